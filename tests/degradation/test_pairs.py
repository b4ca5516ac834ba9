import base64
import errno
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import pixel_digest
from typer.testing import CliRunner

from restorekit import synthesize_pairs
from restorekit.cli.app import app
from restorekit.degradation import pairs
from restorekit.degradation.convolution import convolve
from restorekit.degradation.pairs import read_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import ExitCode, UnwritableOutput, UsageError
from restorekit.imaging.dtypes import to_unit
from restorekit.imaging.resize import resize
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.encode import encode_image, write_image
from restorekit.media.image import Image
from restorekit.runtime.lock import working_in
from restorekit.runtime.progress import Event, Work
from restorekit.runtime.worker_processes import worker_processes

SHORT = BlurSettings(length=(5, 9))


@pytest.fixture
def sharp(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(6):
        write_image(Image(np.roll(photo[:48, :64], number * 5, axis=0)), tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def files(out: Path) -> dict[str, bytes]:
    shown = (path for path in out.rglob("*") if path.is_file() and ".restorekit" not in path.parts)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in shown}


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]


def test_same_bytes_for_any_worker_count(sharp: Path, tmp_path: Path) -> None:
    settings = BlurSettings(kind="mixed", length=(5, 9), noise=2)
    synthesize_pairs([sharp], tmp_path / "one", settings=settings, workers=1)
    synthesize_pairs([sharp], tmp_path / "four", settings=settings, workers=4)
    assert files(tmp_path / "one") == files(tmp_path / "four")
    assert len(files(tmp_path / "one")) == 13


@pytest.mark.slow
def test_processes_render_the_same_bytes_and_a_failure_stays_that_of_its_pair(sharp: Path, tmp_path: Path) -> None:
    (sharp / "small.png").write_bytes(encode_image(Image(np.zeros((9, 9, 3), np.uint8))).data)
    settings = BlurSettings(kind="scene", length=(5, 9))
    here = synthesize_pairs([sharp], tmp_path / "here", settings=settings)
    with worker_processes(2) as processes:
        there = synthesize_pairs([sharp], tmp_path / "there", settings=settings, renderers=processes)
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert here == there
    assert [result.key for result in there.results if "too few for moving objects" in result.reason] == [
        "all/small.png"
    ]


@pytest.mark.parametrize(("kind", "rendered"), [("scene", 6), ("linear", 0)])
def test_the_command_has_processes_render_scenes_and_nothing_else(
    kind: str, rendered: int, sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(ThreadPoolExecutor):
        submitted = 0

        def submit(self, *arguments: Any, **more: Any) -> Future:
            Counting.submitted += 1
            return super().submit(*arguments, **more)

    monkeypatch.setattr("restorekit.runtime.worker_processes.worker_processes", Counting)
    asked = ["synth-blur", sharp, "-o", tmp_path / "out", "--kind", kind, "--length", "5:9", "--workers", "2"]
    assert CliRunner().invoke(app, [*map(str, asked)], catch_exceptions=False).exit_code == 0
    assert Counting.submitted == rendered


def test_a_pair_does_not_depend_on_what_else_is_in_the_folder(sharp: Path, tmp_path: Path) -> None:
    synthesize_pairs([sharp], tmp_path / "all", settings=SHORT)
    (sharp / "0.png").unlink()
    synthesize_pairs([sharp], tmp_path / "fewer", settings=SHORT)
    assert (tmp_path / "all/all/blur/3.png").read_bytes() == (tmp_path / "fewer/all/blur/3.png").read_bytes()


def test_the_record_reproduces_the_picture_and_kernels_differ(sharp: Path, tmp_path: Path) -> None:
    synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)
    found = records(tmp_path / "out")
    assert len({record["kernel"] for record in found}) == len(found) == 6
    for record in found:
        side = record["kernel_side"]
        kernel = np.frombuffer(base64.b64decode(record["kernel"]), np.float32).reshape(side, side)
        original = read_rgb8(tmp_path / "out" / record["sharp"])
        assert np.array_equal(convolve(original, kernel), read_rgb8(tmp_path / "out" / record["blur"]))
        assert 5 <= record["length"] <= 9
        assert -40 <= record["angle"] <= 40


def test_splits_are_disjoint_sized_and_seeded(sharp: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        synthesize_pairs(
            [sharp],
            tmp_path / str(seed),
            settings=BlurSettings(length=(5, 9), seed=seed),
            split={"train": 4, "test": 2},
        )
    parts = [
        {record["facts"]["source"]: record["key"].split("/")[0] for record in records(tmp_path / str(seed))}
        for seed in (1, 2)
    ]
    assert all(sorted(part.values()) == ["test"] * 2 + ["train"] * 4 for part in parts)
    assert parts[0] != parts[1]
    with pytest.raises(UsageError, match="there are 6"):
        synthesize_pairs([sharp], tmp_path / "x", split={"train": 7})


def parts_of(sharp: Path, out: Path, **split: int) -> dict[str, set[str]]:
    synthesize_pairs([sharp], out, settings=SHORT, split=split)
    found = records(out)
    return {part: {record["key"].split("/")[1] for record in found if record["key"].startswith(part)} for part in split}


def test_the_test_part_depends_neither_on_the_size_of_the_others_nor_on_their_order(
    sharp: Path, tmp_path: Path
) -> None:
    first = parts_of(sharp, tmp_path / "first", train=4, test=2)
    assert parts_of(sharp, tmp_path / "smaller", train=2, test=2)["test"] == first["test"]
    assert parts_of(sharp, tmp_path / "turned", test=2, train=4) == first


def test_an_image_that_goes_moves_at_most_one_other_from_part_to_part(sharp: Path, tmp_path: Path) -> None:
    before = parts_of(sharp, tmp_path / "before", train=3, test=2)
    (sharp / next(iter(before["test"]))).unlink()
    after = parts_of(sharp, tmp_path / "after", train=3, test=2)
    assert len(after["test"] - before["test"]) == 1
    assert len(after["train"] - before["train"]) == 1


def test_single_parts_of_a_split_can_be_made(sharp: Path, tmp_path: Path) -> None:
    whole = parts_of(sharp, tmp_path / "whole", train=4, test=2)
    synthesize_pairs([sharp], tmp_path / "part", settings=SHORT, split={"train": 4, "test": 2}, parts={"test"})
    assert {record["key"] for record in records(tmp_path / "part")} == {f"test/{name}" for name in whole["test"]}


def test_a_set_with_another_split_is_not_mixed_with_the_first(sharp: Path, tmp_path: Path) -> None:
    synthesize_pairs([sharp], tmp_path / "out", settings=SHORT, split={"train": 4, "test": 2})
    before = files(tmp_path / "out")
    with pytest.raises(UsageError, match="in the part train, but the split puts it into test"):
        synthesize_pairs([sharp], tmp_path / "out", settings=SHORT, split={"train": 2, "test": 4})
    assert files(tmp_path / "out") == before


def test_second_run_makes_only_what_is_missing(sharp: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    synthesize_pairs([sharp], out, settings=SHORT)
    before = files(out)
    (out / "all/blur/2.png").unlink()
    summary = synthesize_pairs([sharp], out, settings=SHORT)
    assert (summary.count("skipped"), summary.count("done")) == (5, 1)
    assert files(out) == before
    assert synthesize_pairs([sharp], out, settings=BlurSettings(length=(6, 9))).count("done") == 6


def test_a_changed_source_or_algorithm_is_made_again(
    sharp: Path, tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    synthesize_pairs([sharp], out, settings=SHORT)
    write_image(Image(photo), sharp / "3.png")
    summary = synthesize_pairs([sharp], out, settings=SHORT)
    assert [result.key for result in summary.results if result.status == "done"] == ["all/3.png"]
    monkeypatch.setattr(pairs, "ALGORITHM", 1000)
    assert synthesize_pairs([sharp], out, settings=SHORT).count("done") == 6


def test_what_a_killed_run_with_other_settings_replaced_is_made_again(sharp: Path, tmp_path: Path) -> None:
    """Its new picture has no record yet, and the old record must not speak for it."""
    out = tmp_path / "out"
    synthesize_pairs([sharp], out, settings=SHORT)
    before = files(out)
    (out / "all/blur/2.png").write_bytes((out / "all/blur/3.png").read_bytes())
    assert synthesize_pairs([sharp], out, settings=SHORT).count("done") == 1
    assert files(out) == before


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_a_torn_record_costs_its_own_pair_alone(sharp: Path, tmp_path: Path, keep: int) -> None:
    out = tmp_path / "out"
    synthesize_pairs([sharp], out, settings=SHORT)
    before = files(out)
    lines = (out / "pairs.jsonl").read_bytes().splitlines(keepends=True)
    (out / "pairs.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:keep].rstrip(b"\n"))
    assert synthesize_pairs([sharp], out, settings=SHORT).count("done") == (0 if keep == -1 else 1)
    assert files(out) == before


def test_valid_border_crops_both_and_16_bit_stays(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (60, 70, 3)).astype(np.uint16)
    write_image(Image(deep), tmp_path / "in" / "x.png")
    synthesize_pairs(
        [tmp_path / "in"], tmp_path / "out", settings=BlurSettings(length=(9, 9), border="valid"), per_image=2
    )
    for copy in (0, 1):
        pair = [read_image(tmp_path / "out" / "all" / half / f"x_{copy}.png").pixels for half in ("blur", "sharp")]
        assert pair[0].shape == pair[1].shape
        assert pair[0].shape[0] < 60
        assert pair[0].dtype == np.uint16


@pytest.mark.parametrize("border", ["reflect", "valid"])
def test_grey_and_float_sources_keep_their_channels(tmp_path: Path, photo: np.ndarray, border: str) -> None:
    write_image(Image(photo[:48, :64, :1]), tmp_path / "in" / "grey.png")
    write_image(Image(to_unit(photo[:48, :64]), format="tiff"), tmp_path / "in" / "float.tiff")
    settings = BlurSettings(length=(9, 9), angle=(0, 0), border=border)
    assert synthesize_pairs([tmp_path / "in"], tmp_path / "out", settings=settings).count("done") == 2
    width = 64 if border == "reflect" else 56
    for name, channels, dtype in (("grey", 1, np.uint8), ("float", 3, np.uint16)):
        for half in ("blur", "sharp"):
            pixels = read_image(tmp_path / "out" / "all" / half / f"{name}.png").pixels
            assert pixels.shape[1:] == (width, channels)
            assert pixels.dtype == dtype


def test_a_bad_source_fails_alone(sharp: Path, tmp_path: Path) -> None:
    (sharp / "bad.png").write_text("no picture")
    summary = synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)
    assert [result.key for result in summary.results if result.status == "failed"] == ["all/bad.png"]
    assert (summary.planned, summary.count("done")) == (7, 6)
    assert summary.exit_code == ExitCode.SOME_FAILED


def test_any_exception_is_the_failure_of_its_file(sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> bytes:
        if path.name == "4.png":
            raise MemoryError("no room")
        return path.read_bytes()

    monkeypatch.setattr(pairs, "read_content", read)
    summary = synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)
    (failed,) = [result for result in summary.results if result.status == "failed"]
    assert (failed.key, summary.count("done")) == ("all/4.png", 5)
    assert "4.png" in failed.reason
    assert "MemoryError: no room" in failed.reason


def test_images_whose_names_would_give_one_pair_give_two(sharp: Path, tmp_path: Path) -> None:
    image = read_image(sharp / "4.png")
    for format, name in (("png", "a.png"), ("jpeg", "a.jpg"), ("bmp", "a.jpg.bmp")):
        write_image(replace(image, format=format), tmp_path / "in" / name)
    summary = synthesize_pairs([tmp_path / "in"], tmp_path / "out", settings=SHORT)
    names = {"all/a.png.png", "all/a.jpg.png", "all/a.jpg.bmp.png"}
    assert {result.key for result in summary.results if result.status == "done"} == names
    assert {record["key"] for record in records(tmp_path / "out")} == names


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_names_that_are_no_text_have_pairs(sharp: Path, tmp_path: Path) -> None:
    write_image(read_image(sharp / "4.png"), tmp_path / "in" / os.fsdecode(b"ba\xff.png"))
    for expected in ("done", "skipped"):
        summary = synthesize_pairs([tmp_path / "in"], tmp_path / "out", settings=SHORT, split={"test": 1})
        assert summary.count(expected) == 1


def test_a_folder_in_which_a_set_is_made_takes_no_other_run(sharp: Path, tmp_path: Path) -> None:
    with working_in(tmp_path / "out"), pytest.raises(UnwritableOutput, match=f"process {os.getpid()} on "):
        synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)


def test_an_image_smaller_than_its_psf_fails_where_only_valid_pixels_count(sharp: Path, tmp_path: Path) -> None:
    settings = BlurSettings(length=(50, 50), angle=(0, 0), border="valid")
    summary = synthesize_pairs([sharp], tmp_path / "out", settings=settings)
    assert summary.count("failed") == 6
    assert "64x48" in summary.results[0].reason


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", os.replace

    def full(source: Path, destination: Path) -> None:
        if destination.name == "3.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UnwritableOutput, match="No space left"):
        synthesize_pairs([sharp], out, settings=SHORT, workers=1)
    assert len(records(out)) == 3
    monkeypatch.undo()
    summary = synthesize_pairs([sharp], out, settings=SHORT)
    assert (summary.count("skipped"), summary.count("done")) == (3, 3)


def test_a_name_that_cannot_be_written_fails_alone(sharp: Path, tmp_path: Path) -> None:
    (tmp_path / "out/all/blur/3.png").mkdir(parents=True)
    summary = synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)
    assert [result.key for result in summary.results if result.status == "failed"] == ["all/3.png"]


def test_what_a_killed_run_left_half_written_is_removed(sharp: Path, tmp_path: Path) -> None:
    program = "import os\nfrom pathlib import Path\nfrom restorekit.runtime.atomic import replacing\n"
    program += "with replacing(Path('out/all/blur/3.png')) as beside:\n    beside.write_bytes(b'half')\n    os._exit(1)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert len(files(tmp_path / "out")) == 1
    synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)
    assert not [name for name in files(tmp_path / "out") if name.endswith(".part")]


def test_a_set_is_not_built_among_its_originals(sharp: Path) -> None:
    before = files(sharp)
    with pytest.raises(UsageError, match="input of the next run"):
        synthesize_pairs([sharp], sharp, settings=SHORT)
    assert files(sharp) == before


def test_an_original_is_never_replaced(sharp: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    synthesize_pairs([sharp], out, settings=SHORT)
    before = files(out)
    with pytest.raises(UsageError, match="replace an original"):
        synthesize_pairs([out / "all/sharp/3.png"], out, settings=BlurSettings(length=(5, 9), border="valid"))
    assert files(out) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_image": 0}, "`per_image`"),
        ({"split": {"train": 0}}, "`split` asks for 0"),
        ({"split": {"../train": 1}}, r"`split` cannot name a part '\.\./train'"),
        ({"split": {"": 1}}, "`split`"),
    ],
)
def test_plans_that_make_no_sense_are_refused(sharp: Path, tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        synthesize_pairs([sharp], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_ends_the_run_before_it_begins(sharp: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UnwritableOutput):
        synthesize_pairs([sharp], tmp_path / "out", settings=SHORT)


def test_progress_hears_of_every_pair_in_order(sharp: Path, tmp_path: Path) -> None:
    class Heard:
        def __init__(self) -> None:
            self.said: list[object] = []

        def begin(self, work: Work) -> None:
            self.said.append((work.items, work.unit))

        def step(self, event: Event) -> None:
            self.said.append((event.key, event.status, event.amount))

        def end(self, summary: object) -> None:
            self.said.append(summary)

    (sharp / "1.png").write_text("no picture")
    synthesize_pairs([sharp / "0.png"], tmp_path / "out", settings=SHORT)
    heard = Heard()
    summary = synthesize_pairs([sharp], tmp_path / "out", settings=SHORT, progress=heard)
    assert heard.said == [
        (6, "pairs"),
        ("all/0.png", "skipped", 0.0),
        ("all/1.png", "failed", 1.0),
        *((f"all/{number}.png", "done", 1.0) for number in (2, 3, 4, 5)),
        summary,
    ]


def test_records_are_read_back_with_the_kernels_of_stored_values(sharp: Path, tmp_path: Path) -> None:
    for light in ("stored", "gamma"):
        synthesize_pairs([sharp], tmp_path / light, settings=BlurSettings(length=(5, 9), light=light))
    (first, *_), gamma = read_pairs(tmp_path / "stored"), read_pairs(tmp_path / "gamma")
    assert (first.key, first.blur) == ("all/0.png", tmp_path / "stored/all/blur/0.png")
    assert first.kernel is not None
    original, blurred = read_rgb8(first.sharp), read_rgb8(first.blur)
    np.testing.assert_array_equal(convolve(original, first.kernel), blurred)
    assert all(record.kernel is None for record in gamma)
    assert read_pairs(tmp_path) == []


# Digests of the blurred image and of the sharp part that it shows, 8 and 16 bit.
PINNED = {
    "linear": (
        BlurSettings(length=(5, 9)),
        ("26594b066796da86", "b9e7181f84741dfe"),
        ("053eaa3dfbc3cabc", "bf0bc4606f21c8d6"),
    ),
    "valid with noise": (
        BlurSettings(length=(5, 9), border="valid", noise=2, seed=3),
        ("673ecfcece654c31", "0fb2e2673b8a161a"),
        ("f61d09ead972a3e2", "c405f7d99579ecb0"),
    ),
    "trajectory": (
        BlurSettings(kind="trajectory", length=(20, 30)),
        ("c23253fc22ffb641", "b9e7181f84741dfe"),
        ("7e9731eea3c79c0b", "bf0bc4606f21c8d6"),
    ),
    "linear light": (
        BlurSettings(length=(5, 9), light="gamma"),
        ("30af0d455e2aa38d", "b9e7181f84741dfe"),
        ("1b421fe3eee8b941", "bf0bc4606f21c8d6"),
    ),
    "rotational": (
        BlurSettings(kind="rotational"),
        ("8f2786d32be75359", "b9e7181f84741dfe"),
        ("2a67c41cf1666585", "bf0bc4606f21c8d6"),
    ),
    "mixed with noise": (
        BlurSettings(kind="mixed", length=(5, 9), noise=2, seed=7),
        ("6a11172ae3a1d60e", "b9e7181f84741dfe"),
        ("56f5674a3b01b210", "bf0bc4606f21c8d6"),
    ),
    "shake": (
        BlurSettings(kind="shake", length=(5, 9), sweep=(0, 2), light="random"),
        ("ad3e85ffc97db095", "b9e7181f84741dfe"),
        ("87f95151a467b3ac", "bf0bc4606f21c8d6"),
    ),
    "scene with highlights": (
        BlurSettings(kind="scene", length=(5, 9), border="valid", highlights=(1, 3)),
        ("3667ca8f0116d52d", "5bb34d08d2017a82"),
        ("d510774681bd6526", "16ce4682204499ab"),
    ),
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors round differently")
@pytest.mark.parametrize(("settings", "eight", "sixteen"), PINNED.values(), ids=PINNED)
def test_the_pairs_of_a_seed_stay_the_same_to_the_bit(
    tmp_path: Path, photo: np.ndarray, settings: BlurSettings, eight: tuple[str, str], sixteen: tuple[str, str]
) -> None:
    """Where a change is meant, `ALGORITHM` must be raised, or half-made sets would mix."""
    write_image(Image(photo), tmp_path / "in" / "a.png")
    write_image(Image(np.roll(photo, 31, axis=1).astype(np.uint16) * 257), tmp_path / "in" / "b.png")
    synthesize_pairs([tmp_path / "in"], tmp_path / "out", settings=settings)
    for name, digests in (("a", eight), ("b", sixteen)):
        pair = (read_image(tmp_path / "out/all" / half / f"{name}.png").pixels for half in ("blur", "sharp"))
        assert tuple(map(pixel_digest, pair)) == digests


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "circular"}, r"`kind` cannot be 'circular'.*rotational"),
        ({"border": "wrap"}, r"`border` cannot be 'wrap'.*valid"),
        ({"light": "linear"}, "`light`"),
        ({"highlights": (0, 1)}, "`highlights`"),
        ({"length": (9, 5)}, r"`length` ends before it begins \(9:5\)"),
        ({"length": (-1, 5)}, r"`length` must lie in 0 to 10000"),
        ({"angle": (0, float("nan"))}, "`angle` is not finite"),
        ({"sweep": (6, 1)}, "`sweep`"),
        ({"noise": -1}, "`noise`"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BlurSettings(**settings)


def test_images_are_resized_before_they_are_blurred(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(Image(photo), tmp_path / "in" / "a.png")
    write_image(Image(resize(photo, (60, 90))), tmp_path / "small" / "a.png")
    for folder, size in (("in", (90, 60)), ("small", None)):
        settings = BlurSettings(length=(5, 9), resize=size)
        synthesize_pairs([tmp_path / folder], tmp_path / "out" / folder, settings=settings)
    for half in ("blur", "sharp"):
        resized, small = (
            read_image(tmp_path / "out" / folder / "all" / half / "a.png").pixels for folder in ("in", "small")
        )
        assert resized.shape == (60, 90, 3)
        np.testing.assert_array_equal(resized, small)


def test_an_image_may_be_resized_to_a_single_row() -> None:
    assert BlurSettings(resize=(1, 1)).resize == (1, 1)
    for size in ((0, 5), (5, 0)):
        with pytest.raises(UsageError, match="`resize` cannot be"):
            BlurSettings(resize=size)


def test_lines_of_a_set_with_values_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    good: dict[str, object] = {
        "key": "all/a.png",
        "blur": "all/blur/a.png",
        "sharp": "all/sharp/a.png",
        "light": "stored",
        "kernel_side": 1,
        "kernel": "AACAPw==",  # 1.0
        "facts": {"source_sha256": "00" * 32},
    }
    changes = ({"blur": 3}, {"sharp": None}, {"kernel_side": 2}, {"kernel_side": "x"}, {"kernel": 5}, {"kernel": "A"})
    changes += ({"facts": []}, {"facts": {"source_sha256": "no hex"}})
    lines = [json.dumps(good | change | {"key": f"all/{at}.png"}) for at, change in enumerate(changes)]
    (tmp_path / "pairs.jsonl").write_text("\n".join([*lines, json.dumps(good)]))
    (record,) = read_pairs(tmp_path)
    assert (record.key, record.kernel.tolist()) == ("all/a.png", [[1.0]])


def test_no_camera_rolls_more_than_once_around() -> None:
    with pytest.raises(UsageError, match="`sweep` must lie in -360 to 360"):
        BlurSettings("rotational", sweep=(1, 1e9))
