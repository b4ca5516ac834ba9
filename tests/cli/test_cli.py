import errno
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import typer
from typer.testing import CliRunner
from video_clips import make_clip

from restorekit import __version__
from restorekit.cli.app import app, main
from restorekit.cli.console import printable
from restorekit.errors import ExitCode
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training.recipe import Recipe


def command(*arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command as the shell would; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["restorekit", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_version_and_help_tell_the_commands_and_exit_codes() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == f"restorekit {__version__}"
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    for word in ("deblur", "synth-blur", "train", "models", "demo", "Exit codes"):
        assert word in shown


def test_deblur_ends_with_a_table_and_the_right_exit_code(
    folder: Path,
    tmp_path: Path,
    weights_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("deblur", folder, "-o", tmp_path / "out", "--weights", weights_file, "--device", "cpu")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "skipped" in shown
    (folder / "bad.png").write_text("no picture")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.SOME_FAILED
    shown = capsys.readouterr()
    assert "bad.png" in shown.err
    assert "no PNG" in " ".join(shown.out.split())


LONG = "x" * 300
"""More than file systems take for a name."""


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["deblur", "nowhere", "-o", "x"], ExitCode.USAGE, "nowhere"),
        (["deblur", "{folder}", "--model", "ggan"], ExitCode.USAGE, "gggan"),
        (["deblur", "{folder}", "--model", "sang"], ExitCode.WEIGHTS, "restorekit train --model sang"),
        (["deblur", "{folder}", "-o", "x", "--tile", "big"], ExitCode.USAGE, "'--tile'"),
        (["deblur", "{folder}", "-o", "x", "--precision", "fp8"], ExitCode.USAGE, "bf16"),
        (["deblur", "{folder}", "-o", "x", "--device", "abacus"], ExitCode.USAGE, "abacus"),
        (["deblur", "{folder}", "-o", "x", "--weights", "nowhere.pth"], ExitCode.WEIGHTS, "nowhere.pth"),
        (["deblur", "{folder}", "-o", "{folder}"], ExitCode.USAGE, "replace an input"),
        (["deblur"], ExitCode.USAGE, "inputs"),
        (["deblur", "{folder}", "-o", LONG], ExitCode.USAGE, "too long"),
        (["deblur", LONG, "-o", "x"], ExitCode.USAGE, LONG),
        (["deblur", "{folder}", "-o", "x", "--weights", LONG], ExitCode.WEIGHTS, LONG),
        (["train", "--data", "{folder}", "--out", "x", "--recipe", LONG], ExitCode.USAGE, "too long"),
        (["benchmark", "--pairs", LONG, LONG, "-o", "x"], ExitCode.USAGE, "too long"),
        (["synth-blur", "{folder}", "-o", "x", "--length", "long"], ExitCode.USAGE, "50:80"),
        (["synth-blur", "{folder}", "-o", "x", "--noise", "nan"], ExitCode.USAGE, "--noise"),
        (["synth-blur", "{folder}", "-o", "x", "--kind", "trajectory", "--length", "1e7"], ExitCode.USAGE, "length"),
        (["synth-blur", "{folder}", "-o", "x", "--split", "../../evil=1"], ExitCode.USAGE, "../../evil"),
        (["train", "--data", "{folder}", "--out", "x", "--milestones", "a,b"], ExitCode.USAGE, "milestones"),
        (["train", "--data", "{folder}", "--out", "x", "--seed", "-1"], ExitCode.USAGE, "seed"),
        (["train", "--data", "{folder}", "--out", "x", "--mix", "linear=nan"], ExitCode.USAGE, "mix"),
        (["train", "--data", "{folder}", "--out", "x", "--length", "inf"], ExitCode.USAGE, "length"),
        (["train", "--data", "{folder}", "--out", "x", "--crop", "33"], ExitCode.USAGE, "multiple of 16"),
        (
            ["synth-blur", "{folder}", "-o", "x", "--sweep", "1:6"],
            ExitCode.USAGE,
            "--sweep does not go with --kind linear",
        ),
        (["synth-blur", "{folder}", "-o", "x", "--kind", "frames", "--length", "5:9"], ExitCode.USAGE, "--length does"),
        (["synth-blur", "{folder}", "-o", "x", "--kind", "frames", "--per-image", "1"], ExitCode.USAGE, "--per-image"),
        (["synth-blur", "{folder}", "-o", "x", "--kind", "shake", "--angle", "0:9"], ExitCode.USAGE, "linear, mixed"),
        (["synth-blur", "{folder}", "-o", "x", "--split", "train=9"], ExitCode.USAGE, "there are 3"),
        (["synth-blur", "{folder}", "-o", "x", "--split", "train=1.5"], ExitCode.USAGE, "whole numbers"),
        (["synth-blur", "{folder}", "-o", "x", "--split", "train"], ExitCode.USAGE, "like --split train=480,test=300"),
        (["deblur", "{folder}", "-o", "x", "--crf", "999"], ExitCode.USAGE, "--crf"),
        (
            ["deblur", "{folder}", "-o", "x", "--model", "deepdeblur"],
            ExitCode.WEIGHTS,
            "Fetch some: `restorekit models fetch deepdeblur:gopro-l1` or `restorekit",
        ),
        (["synth-blur", "{folder}", "-o", "x", "--kind", "circular"], ExitCode.USAGE, "trajectory"),
        (["train", "--data", "nowhere", "--out", "x"], ExitCode.USAGE, "nowhere"),
        (["train", "--data", "{folder}", "--out", "x", "--device", "abacus"], ExitCode.USAGE, "abacus"),
        (["train", "--data", "{folder}", "--out", "x", "--loss-weight", "pixels=1"], ExitCode.USAGE, "pixels"),
        (
            ["train", "--model", "espcn", "--data", "{folder}", "-o", "x", "--objective", "gan=wgan"],
            ExitCode.USAGE,
            "no options",
        ),
        (["train", "--data", "{folder}", "--out", "x", "--schedule", "never"], ExitCode.USAGE, "cosine"),
        (["train", "--data", "{folder}", "--out", "x", "--steps", "0"], ExitCode.USAGE, "steps"),
        (["train", "--data", "{folder}", "--out", "x", "--config", "blocks=many"], ExitCode.USAGE, "blocks=many"),
        (
            ["train", "--data", "{folder}", "--out", "x", "--model", "msdn", "--ablation", "rrdb"],
            ExitCode.USAGE,
            "single-",
        ),
        (["train", "--data", "{folder}", "--out", "x", "--recipe", "{folder}/notes.txt"], ExitCode.USAGE, "notes.txt"),
    ],
)
def test_mistakes_get_one_line_and_a_hint(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: ExitCode,
    word: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*(part.format(folder=folder) for part in arguments), monkeypatch=monkeypatch) == code
    shown = capsys.readouterr().err
    assert word in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("progress", ["bar", "json"])
def test_what_an_image_provokes_is_told_in_flags(
    progress: str,
    folder: Path,
    tmp_path: Path,
    weights_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frames = [PIL.Image.new("L", (9, 9), level) for level in (0, 9)]
    frames[0].save(folder / "animation.gif", save_all=True, append_images=frames[1:])
    make_clip(folder / "clip.mkv", "ffv1", "bgr0", frames=[np.zeros((24, 32, 3), np.uint8)])
    run = ("deblur", folder, "-o", tmp_path / "out", "--weights", weights_file, "--max-pixels", "9")
    assert command(*run, "--progress", progress, monkeypatch=monkeypatch) == ExitCode.SOME_FAILED
    shown = capsys.readouterr()
    for told in (shown.out, shown.err):
        assert "raise --max-pixels to" in " ".join(told.split())
        assert " ".join(told.split()).count("Raise --max-pixels if") == 2
        assert "max_pixels" not in told


@pytest.mark.parametrize("name", ["onnx and openvino need restorekit's extras of these names", "for tv, epll,"])
def test_help_shows_what_it_says(name: str) -> None:
    shown = CliRunner().invoke(app, ["deblur", "--help"], env={"COLUMNS": "300"}).output
    assert name in " ".join(shown.split())
    assert "need restorekit or" not in shown  # [extras] are taken for markup


@pytest.mark.parametrize("name", ["benchmark", "deblur", "export", "quantize", "sr", "synth-blur", "train"])
def test_no_word_of_help_is_cut_on_eighty_columns(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"}).output
    assert "--help" in shown
    assert "\u2026" not in shown  # an ellipsis


def commands(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command and group below one by its names, with what its docstring says."""
    yield names, inspect.cleandoc(command.help or "")
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *names, name)


def test_no_line_of_a_docstring_is_broken_on_eighty_columns() -> None:
    found = dict(commands(typer.main.get_command(app)))
    assert "strips/" in found["train",]
    for names, text in found.items():
        for paragraph in text.split("\n\n"):  # one of a single line is wrapped as it comes
            lines = paragraph.splitlines()
            assert len(lines) == 1 or max(map(len, lines)) <= 78, (names, paragraph)  # with a space on either side


def test_quantize_leaves_out_what_nncf_says_of_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    levels: list[int] = []
    monkeypatch.setitem(sys.modules, "nncf", SimpleNamespace(set_log_level=levels.append))
    monkeypatch.setattr("restorekit.training.quantization.quantize", lambda *_, **__: f"loses 1 dB from {levels}")
    assert command("quantize", "--data", tmp_path, "-o", "net.onnx", monkeypatch=monkeypatch) == ExitCode.OK
    assert "loses 1 dB from [30]" in capsys.readouterr().err  # logging.WARNING, before it begins


def test_train_takes_ablations_and_options_above_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes: list[Recipe] = []

    def remember(recipe: Recipe, *_: object, **__: object) -> Path:
        recipes.append(recipe)
        return Path("run[/x]")  # what is no markup

    monkeypatch.setattr("restorekit.training.run.train", remember)
    arguments = ("train", "--data", folder, "-o", tmp_path, "--model", "srgan-em", "--ablation", "mse")
    more = ("--ablation", "batch-norm", "--loss-weight", "mse=2", "--config", "blocks=3")
    assert command(*arguments, *more, monkeypatch=monkeypatch) == ExitCode.OK
    assert capsys.readouterr().out == "Weights: run[/x]\n"
    (recipe,) = recipes
    assert recipe.config == {"batch_norm": True, "blocks": 3}
    assert (recipe.loss_weights["l1"], recipe.loss_weights["mse"]) == (0.0, 2.0)


@pytest.mark.slow
def test_synth_blur_builds_a_set_that_train_takes(
    tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        write_image(Image(np.roll(photo, 11 * number, axis=0)), tmp_path / "in" / f"{number}.png")
    made = ("synth-blur", tmp_path / "in", "-o", tmp_path / "set", "--length", "5:9", "--split", "train=2,test=1")
    assert command(*made, monkeypatch=monkeypatch) == ExitCode.OK
    assert len((tmp_path / "set" / "pairs.jsonl").read_text().splitlines()) == 3
    trained = (
        *("train", "--data", tmp_path / "set" / "train", "--validation", tmp_path / "set" / "test"),
        *(
            "--out",
            tmp_path / "run",
            "--steps",
            "2",
            "--batch",
            "2",
            "--crop",
            "32",
            "--device",
            "cpu",
            "--workers",
            "0",
        ),
        *(
            "--loss-weight",
            "adversarial=0",
            "--loss-weight",
            "gradient_adversarial=0",
            "--config",
            "channels=16",
            "--config",
            "gradient_channels=16",
        ),
    )
    assert command(*trained, monkeypatch=monkeypatch) == ExitCode.OK
    assert "images: PSNR 26" in capsys.readouterr().err
    weights = tmp_path / "run" / "weights.safetensors"
    restored = ("deblur", tmp_path / "set" / "test" / "blur", "-o", tmp_path / "out", "--weights", weights)
    assert command(*restored, monkeypatch=monkeypatch) == ExitCode.OK
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["steps"] == 2
    assert recipe["blur"]["ramp"] == 1  # a quarter of the samples, because the start is random


def test_models_lists_every_system_and_verifies_the_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert command("models", monkeypatch=monkeypatch) == ExitCode.OK
    assert "gggan-lite" in capsys.readouterr().out
    assert command("models", "verify", monkeypatch=monkeypatch) == ExitCode.OK


@pytest.mark.slow
def test_the_demo_restores_what_it_blurred(tmp_path: Path) -> None:
    from restorekit.evaluation import demo

    scores = demo.run_demo(tmp_path)
    assert len(scores) == len(demo.IMAGES)
    assert all(one.after[0] > one.before[0] + 1 for one in scores)
    assert all(one.after[1] > one.before[1] for one in scores)
    assert all(len(list((tmp_path / place).glob("*.png"))) == len(scores) for place in demo.FOLDERS)


def test_bytes_of_names_that_are_no_text_or_steer_the_terminal_are_shown_as_numbers() -> None:
    assert printable("a\udcff\x1b[31m\x9b\u00fc") == r"a\xff\x1b[31m\x9bü"


def test_a_name_begins_no_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\nError: forged.png").write_bytes(b"")
    (tmp_path / "a\nError: forged.txt").write_text("a recipe?")
    monkeypatch.chdir(tmp_path)
    assert command("sr", "in", "-o", "out", "--model", "bicubic", monkeypatch=monkeypatch) == ExitCode.SOME_FAILED
    run = ("train", "--data", "in", "-o", "run", "--recipe", "a\nError: forged.txt")
    assert command(*run, monkeypatch=monkeypatch) == ExitCode.USAGE
    shown = "".join(capsys.readouterr())
    assert r"a\x0aError: forged.png" in shown
    assert r"a\x0aError: forged.txt" in shown
    assert not any(line.startswith("Error: forged") for line in shown.splitlines())


def test_a_full_disk_behind_standard_output_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("restorekit.cli.app.app", full)
    assert command("models", monkeypatch=monkeypatch) == ExitCode.OUTPUT
    assert "No space left" in capsys.readouterr().err
