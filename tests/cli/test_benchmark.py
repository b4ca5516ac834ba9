import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from video_clips import make_clip

from restorekit.cli.app import main
from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import ExitCode
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.runtime.lock import working_in


@pytest.fixture
def pairs(tmp_path: Path, photo: np.ndarray) -> Path:
    for name in ("a", "b"):
        write_image(Image(photo[:64, :80] if name == "a" else photo[40:104, 60:140]), tmp_path / f"in/{name}.png")
    synthesize_pairs([tmp_path / "in"], tmp_path / "pairs", settings=BlurSettings(length=(5, 9)))
    return tmp_path / "pairs/all"


def command(*arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["restorekit", "benchmark", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.slow
def test_a_run_prints_published_rows_beside_ours_and_remembers(
    pairs: Path, tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--protocol",
        "gopro",
        "--data",
        pairs,
        "--model",
        f"gggan-lite:{weights_file}",
        "-o",
        tmp_path / "out",
    )
    arguments += ("--repeats", "1", "--device", "cpu")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr()
    for word in ("Survey, Table II (other data)", "srn", "identity", "wiener", "28.70", "0.958", "parameters"):
        assert word in shown.out
    assert "published rows do not compare" in shown.err
    assert "10 of 10 scores were measured now" in shown.err
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    assert "0 of 10 scores were measured now" in capsys.readouterr().err
    for name in ("results.json", "results.csv", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert not list((tmp_path / "out").rglob("*.part"))
    results = json.loads((tmp_path / "out/results.json").read_text())
    network = next(method for method in results["methods"] if method["kind"] == "network")
    assert network["parameters"] == registry.spec_of("gggan-lite").parameters
    assert network["speed"]["megapixels_per_second"] > 0


def test_two_folders_are_compared_without_any_model(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = shutil.copytree(pairs / "blur", tmp_path / "theirs")
    truth = shutil.copytree(pairs / "sharp", tmp_path / "truth")
    assert command("--pairs", theirs, truth, "-o", tmp_path / "out", monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "theirs" in shown
    assert "identity" not in shown
    (theirs / "a.png").unlink()
    assert command("--pairs", theirs, truth, "-o", tmp_path / "out", monkeypatch=monkeypatch) == ExitCode.SOME_FAILED
    assert "No restored image of that name" in capsys.readouterr().out


def test_opinions_join_the_table(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mos.csv").write_text("image,method,rater,score\na,identity,1,2\na,identity,2,3\n")
    arguments = ("--protocol", "pairs", "--data", pairs, "--mos", tmp_path / "mos.csv", "-o", tmp_path / "out")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    assert "2.50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--protocol and --data are needed"),
        (("--protocol", "gopor", "--data", "."), "gopro"),
        (("--protocol", "lai", "--data", "EMPTY"), "ground_truth/"),
        (("--protocol", "pairs", "--data", "EMPTY"), "same names"),
        (("--protocol", "pairs", "--data", "nowhere"), "There is no such folder"),
        (("--protocol", "pairs", "--data", ".", "--restored", "theirs"), "NAME=FOLDER"),
        (("--figure-box", "4:5"), "not LEFT:TOP:WIDTH"),
        (("--figure-box", "4:-5:6"), "no part of an image"),
    ],
)
def test_what_makes_no_sense_is_explained(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    real = [str(tmp_path / "empty") if one == "EMPTY" else one for one in arguments]
    assert command(*real, "-o", tmp_path / "out", monkeypatch=monkeypatch) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_in_which_a_run_works_takes_no_other(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--protocol", "pairs", "--data", pairs, "-o", tmp_path / "out")
    with working_in(tmp_path / "out"):
        assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OUTPUT
    assert f"Another run works here (process {os.getpid()} on " in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".restorekit"]
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK


def test_the_list_names_every_protocol(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--list", monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr().out
    for name in ("gggan-ead", "sr-paper", "kohler-single", "pairs"):
        assert name in shown


def longest_line(text: str) -> int:
    return max(map(len, text.splitlines()))


@pytest.mark.slow
def test_tables_fit_80_columns_and_break_no_word(
    pairs: Path, tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    weights = shutil.copy(weights_file, tmp_path / "a-name-of-24-characters.safetensors")
    network = "gggan-lite:a-name-of-24-characters"
    arguments = ("--protocol", "gopro", "--data", pairs, "--model", f"gggan-lite:{weights}", "--metric", "niqe")
    arguments += ("--repeats", "1", "--device", "cpu", "-o", "out")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr().out
    assert longest_line(shown) <= 80
    rows = [line.split() for line in shown.splitlines()]
    assert [row[0] for row in rows if row].count(network) == 2  # scores and speed
    assert ["deblurgan", "28.70", "0.958", "[1]"] in rows
    assert ["[1]", "Survey,", "Table", "II", "(other", "data)"] in rows
    assert ["deblurgan", "0.8", "[3]"] in rows
    monkeypatch.setenv("COLUMNS", "200")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    assert "95 %" in capsys.readouterr().out


def test_the_report_is_made_again_without_data_or_network(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--protocol", "pairs", "--data", pairs, "-o", tmp_path / "out")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    page = tmp_path / "out/report.html"
    before = page.read_bytes()
    page.unlink()
    shutil.rmtree(tmp_path / "pairs")
    capsys.readouterr()
    arguments = ("--report-only", "--figure", "--rating-sheet", "-o", tmp_path / "out")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    written = [str(page), *(str(page.with_name(name)) for name in ("figure.png", "rating-sheet.html"))]
    assert capsys.readouterr().out.split() == written
    assert page.read_bytes() == before
    assert command("--report-only", "-o", tmp_path / "nowhere", monkeypatch=monkeypatch) == ExitCode.USAGE
    assert "Run the benchmark first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--protocol", "pairs", "--metric", "lpips"), "in --metric-weights"),
        (("--protocol", "pairs", "--no-baselines"), "Give --model or --restored"),
        (("--protocol", "pairs", "--figure-box", "40:0:80"), "Choose another with --figure-box"),
        (("--protocol", "sr-paper", "--scale", "2"), "Leave out --scale"),
        (("--protocol", "pairs", "--metric", "vmaf"), "Use psnr, ssim, mse, ms-ssim, lpips, niqe"),
    ],
)
def test_messages_of_the_library_name_the_flags(
    pairs: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(*arguments, "--data", pairs, "-o", tmp_path / "out", monkeypatch=monkeypatch) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_results_do_not_go_among_what_is_measured(
    pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--protocol", "pairs", "--data", pairs, "-o", pairs, monkeypatch=monkeypatch) == ExitCode.USAGE
    assert "would be an input of the next run" in capsys.readouterr().err


def test_a_video_is_not_compared_with_a_folder(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", "ffv1", "bgr0", frames=[np.zeros((24, 32, 3), np.uint8)])
    assert command("--pairs", clip, pairs, "-o", tmp_path / "out", monkeypatch=monkeypatch) == ExitCode.USAGE
    assert "two folders, or two videos" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [("--figure",), ("--rating-sheet",), ("--mos", "mos.csv"), ("--metric", "niqe"), ("--figure-box", "0:0:9")],
)
def test_videos_are_not_compared_without_what_was_asked_for(
    tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", "ffv1", "bgr0", frames=[np.zeros((24, 32, 3), np.uint8)])
    arguments = ("--pairs", clip, clip, "-o", tmp_path / "out", *options)
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.USAGE
    assert f"Videos are compared without {options[0]}." in " ".join(capsys.readouterr().err.split())


def test_opinions_are_not_joined_to_a_report_that_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--report-only", "--mos", tmp_path / "mos.csv", "-o", tmp_path)
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.USAGE
    assert "Leave out --report-only" in " ".join(capsys.readouterr().err.split())


def test_two_videos_are_compared_frame_by_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sharp = make_clip(tmp_path / "sharp.mkv", "ffv1", "bgr0", frames=[np.full((24, 32, 3), 100, np.uint8)] * 2)
    other = make_clip(tmp_path / "other.mkv", "ffv1", "bgr0", frames=[np.full((24, 32, 3), 102, np.uint8)] * 2)
    out = tmp_path / "out"
    options = ("--restored", f"input={sharp}", "-o", out)
    assert command("--pairs", other, sharp, *options, monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "42.11" in shown  # 20 log10(255 / 2)
    assert "inf" in shown
    assert (out / "report.html").is_file()
