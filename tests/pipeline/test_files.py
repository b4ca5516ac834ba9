import errno
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from restorekit import restore_folder
from restorekit.cli.summary import print_summary
from restorekit.errors import ExitCode, UnwritableOutput, UsageError
from restorekit.inference.engine import Engine
from restorekit.inference.image import Size
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.pipeline import files, still
from restorekit.pipeline.files import FileWorker
from restorekit.pipeline.plan import plan_files
from restorekit.runtime.atomic import HOST
from restorekit.runtime.executor import LocalExecutor
from restorekit.runtime.journal import Journal
from restorekit.runtime.lock import working_in
from restorekit.runtime.progress import Event, Work
from restorekit.weights.load import load_model

CPU = Settings("cpu")


def tree(root: Path) -> dict[str, bytes]:
    return {
        file.relative_to(root).as_posix(): file.read_bytes()
        for file in root.rglob("*")
        if file.is_file() and ".restorekit" not in file.parts
    }


def statuses(folder: Path, out: Path, **options: object) -> dict[str, str]:
    summary = restore_folder([folder], out, settings=CPU, **options)
    if not options.get("dry_run"):
        assert summary.planned == sum(summary.count(status) for status in ("done", "skipped", "failed"))
    return {result.output.relative_to(out).as_posix(): result.status for result in summary.results}


@pytest.fixture
def options(weights_file: Path) -> dict[str, object]:
    return {"weights": weights_file}


def test_a_folder_keeps_its_tree_and_its_inputs(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    before = tree(folder)
    assert set(statuses(folder, tmp_path / "out", **options).values()) == {"done"}
    assert tree(folder) == before
    assert tree(tmp_path / "out").keys() == {"a.png", "deeper/b.png", "deeper/ü c.png"}
    assert all(tree(tmp_path / "out")[name] != before[name] for name in tree(tmp_path / "out"))


class CountingExecutor(LocalExecutor):
    """Notes how many jobs it is to compute at once."""

    def __init__(self) -> None:
        self.at_once: list[int] = []

    def run(self, jobs: Iterable[Any], worker: Any, at_once: int = 1, helpers: int = 1) -> Generator[Any, None, None]:
        self.at_once.append(at_once)
        yield from super().run(jobs, worker, at_once, helpers)


def test_second_run_restores_only_what_is_missing(
    folder: Path, tmp_path: Path, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "at_once", 2)
    out, executor = tmp_path / "out", CountingExecutor()
    statuses(folder, out, executor=executor, **options)
    first = tree(out)
    (out / "a.png").unlink()
    again = statuses(folder, out, executor=executor, **options)
    assert again == {"a.png": "done", "deeper/b.png": "skipped", "deeper/ü c.png": "skipped"}
    assert executor.at_once == [2, 2]  # one image on all threads could differ in the last bit
    assert tree(out) == first


@pytest.mark.parametrize("change", ["input", "output", "weights", "settings", "overwrite"])
def test_done_means_same_input_weights_and_settings(
    folder: Path, tmp_path: Path, options: dict[str, object], change: str
) -> None:
    out = tmp_path / "out"
    statuses(folder, out, **options)
    again: dict[str, object] = dict(options)
    if change == "input":
        write_image(Image(np.zeros((20, 20, 3), np.uint8)), folder / "a.png")
    elif change == "output":
        (out / "a.png").write_bytes(b"half a pic")
    elif change == "weights":
        again["weights"] = None
    elif change == "overwrite":
        again["overwrite"] = True
    settings = Settings("cpu", tile=64, overlap=8) if change == "settings" else CPU
    summary = restore_folder([folder], out, settings=settings, **again)
    redone = [result.output.name for result in summary.results if result.status == "done"]
    assert redone == (["a.png"] if change in ("input", "output") else ["a.png", "b.png", "ü c.png"])


def test_bad_files_fail_alone_and_leave_nothing(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-40])
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("no picture")
    report = tmp_path / "report.jsonl"
    summary = restore_folder([folder], tmp_path / "out", settings=CPU, report=report, **options)
    failed = {result.source.name: result for result in summary.results if result.status == "failed"}
    assert failed.keys() == {"cut.png", "empty.jpg", "text.png"}
    assert all(result.reason and result.hint for result in failed.values())
    assert summary.exit_code == ExitCode.SOME_FAILED
    assert summary.count("done") == 3
    assert tree(tmp_path / "out").keys() == {"a.png", "deeper/b.png", "deeper/ü c.png"}
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["status"] for line in lines] == [result.status for result in summary.results]
    assert all("reason" in line for line in lines if line["status"] == "failed")


def test_a_doubtful_result_is_told_and_kept_or_replaced_by_its_input(
    folder: Path,
    tmp_path: Path,
    options: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(still, "find_doubt", lambda before, *_: "it is odd" if before.shape[:2] == (20, 30) else "")
    write_image(Image(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)), folder / "odd.png")
    report = tmp_path / "report.jsonl"
    kept = restore_folder([folder], tmp_path / "out", settings=CPU, report=report, **options)
    assert {result.output.name for result in kept.results if result.doubt == "it is odd"} == {"odd.png"}
    doubts = [json.loads(line).get("doubt") for line in report.read_text().splitlines()]
    assert sorted(filter(None, doubts)) == ["it is odd"]
    print_summary(kept, None)
    assert "it is odd." in capsys.readouterr().out
    assert not np.array_equal(read_rgb8(tmp_path / "out/odd.png"), read_rgb8(folder / "odd.png"))
    again = restore_folder([folder], tmp_path / "out", settings=CPU, **options)
    assert {result.output.name: result.status for result in again.results if result.doubt} == {"odd.png": "skipped"}
    print_summary(again, None)
    assert "it is odd." in capsys.readouterr().out
    copied = restore_folder([folder], tmp_path / "out", settings=CPU, on_doubt="copy", **options)
    assert copied.count("done") == 4  # what an earlier run kept is no longer what is asked for
    assert np.array_equal(read_rgb8(tmp_path / "out/odd.png"), read_rgb8(folder / "odd.png"))
    assert not np.array_equal(read_rgb8(tmp_path / "out/a.png"), read_rgb8(folder / "a.png"))


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    folder: Path, tmp_path: Path, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", os.replace

    def full(source: Path, destination: Path) -> None:
        if destination.name == "b.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, destination)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UnwritableOutput, match="No space left"):
        statuses(folder, out, **options)
    assert "deeper/b.png" not in tree(out)
    assert not [name for name in tree(out) if name.endswith(".part")]
    there = tree(out).keys()
    monkeypatch.undo()
    again = statuses(folder, out, **options)
    assert {name for name, status in again.items() if status == "skipped"} == there
    assert again["deeper/b.png"] == "done"


def test_a_result_that_its_format_cannot_hold_fails_alone(
    folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    write_image(Image(np.zeros((4, 9000, 3), np.uint8), format="webp"), folder / "wide.webp")
    summary = restore_folder([folder], tmp_path / "out", model="bicubic", scale=2, settings=CPU)
    assert [result.status for result in summary.results] == ["done", "done", "done", "failed"]
    assert "16383" in summary.results[-1].reason
    assert summary.exit_code == ExitCode.SOME_FAILED


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ({"report": "in/a.png"}, "report would replace an input"),
        ({"compare": "other"}, "side-by-side view of .* would replace an input"),
        ({"report": "out/a.png"}, "report would replace the result of"),
        ({"report": "out/.restorekit/restored.jsonl"}, "report would lie among a run's own files"),
        ({"compare": "out"}, "would replace the"),
    ],
)
def test_nothing_that_is_written_lands_on_an_input_or_on_something_else_that_is_written(
    folder: Path, tmp_path: Path, options: dict[str, object], written: dict[str, str], word: str
) -> None:
    write_image(Image(np.zeros((20, 20, 3), np.uint8)), tmp_path / "other" / "a.png.png")
    before = tree(tmp_path)
    places = {name: tmp_path / place for name, place in written.items()}
    inputs = [folder, tmp_path / "other" / "a.png.png"]
    if written == {"compare": "out"}:
        write_image(Image(np.zeros((20, 20, 3), np.uint8)), folder / "a.png.png")
        before = tree(tmp_path)
    with pytest.raises(UsageError, match=word):
        restore_folder(inputs, tmp_path / "out", settings=CPU, **places, **options)
    assert tree(tmp_path) == before


def test_a_report_does_not_replace_the_weights(folder: Path, tmp_path: Path, weights_file: Path) -> None:
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(weights_file.read_bytes())
    with pytest.raises(UsageError, match="report would replace the weights"):
        restore_folder([folder], tmp_path / "out", weights=weights, report=weights, settings=CPU)
    assert weights.read_bytes() == weights_file.read_bytes()


def test_a_link_where_a_result_goes_is_replaced_and_not_followed(
    folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").symlink_to(victim)
    (tmp_path / "report.jsonl").symlink_to(victim)
    with pytest.raises(UnwritableOutput, match="link"):
        restore_folder([folder], tmp_path / "out", settings=CPU, report=tmp_path / "report.jsonl", **options)
    statuses(folder, tmp_path / "out", **options)
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "out" / "a.png").is_symlink()


def test_a_loop_of_links_is_an_image_that_fails(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    (folder / "loop.png").symlink_to(folder / "loop.png")
    assert statuses(folder, tmp_path / "out", **options)["loop.png"] == "failed"


def test_an_unforeseen_error_of_one_image_stays_with_it_and_is_told_as_a_defect(
    folder: Path, tmp_path: Path, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(path: Path, max_pixels: int) -> Image:
        if path.name == "b.png":
            raise ZeroDivisionError("tile of no size")
        return read_image(path, max_pixels)

    monkeypatch.setattr("restorekit.pipeline.files.read_image", odd)
    report = tmp_path / "report.jsonl"
    summary = restore_folder([folder], tmp_path / "out", settings=CPU, report=report, **options)
    assert [result.status for result in summary.results] == ["done", "failed", "done"]
    assert summary.results[1].reason == "Unexpected ZeroDivisionError: tile of no size."
    assert "in odd" in json.loads(report.read_text().splitlines()[1])["defect"]
    assert summary.exit_code == ExitCode.FAILURE  # nothing but a defect failed


def test_the_run_is_told_from_beginning_to_end(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    class Ear:
        def __init__(self) -> None:
            self.told: list[object] = []

        def begin(self, work: Work) -> None:
            self.told.append(work)

        def step(self, event: Event) -> None:
            self.told.append((Path(event.key).name, event.items, event.status, event.amount, event.left))

        def end(self, summary: object) -> None:
            self.told.append(summary)

    (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    statuses(folder, tmp_path / "out", **options)
    (tmp_path / "out/a.png").unlink()
    ear = Ear()
    missing = (folder / "a.png").stat().st_size + 8
    summary = restore_folder([folder], tmp_path / "out", settings=CPU, progress=ear, **options)
    work, *steps, end = ear.told
    assert (work.items, work.unit, work.amount) == (4, "MP", pytest.approx(missing / 1e6))  # a pixel a byte, at first
    known = 40 * 56 / 1e6
    assert steps == [
        ("b.png", 1, "skipped", 0, work.amount),
        ("ü c.png", 1, "skipped", 0, work.amount),
        ("a.png", 0, "started", 0, None),
        ("cut.png", 0, "started", 0, None),
        ("a.png", 1, "done", known, pytest.approx(8 * known / (missing - 8))),
        ("cut.png", 1, "failed", 0, 0),
    ]
    assert end is summary


def test_an_input_that_changes_while_it_is_restored_is_restored_again(
    folder: Path, tmp_path: Path, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(path: Path, max_pixels: int) -> Image:
        image = read_image(path, max_pixels)
        if path.name == "a.png":
            write_image(Image(np.zeros((20, 20, 3), np.uint8)), path)
        return image

    monkeypatch.setattr("restorekit.pipeline.files.read_image", overtaken)
    assert statuses(folder, tmp_path / "out", **options)["a.png"] == "done"
    monkeypatch.undo()
    assert statuses(folder, tmp_path / "out", **options)["a.png"] == "done"


def test_a_folder_in_which_a_run_works_takes_no_other(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    with working_in(tmp_path / "out"), pytest.raises(UnwritableOutput, match=f"process {os.getpid()} on "):
        statuses(folder, tmp_path / "out", **options)
    assert set(statuses(folder, tmp_path / "out", **options).values()) == {"done"}


def test_a_folder_of_views_in_which_a_run_works_takes_no_other(
    folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    options["compare"] = tmp_path / "views"
    with working_in(tmp_path / "views"), pytest.raises(UnwritableOutput, match=f"process {os.getpid()} on ") as caught:
        statuses(folder, tmp_path / "out", **options)
    assert caught.value.path == tmp_path / "views"
    (tmp_path / "views again").symlink_to(tmp_path / "out")
    options["compare"] = tmp_path / "views again"
    assert set(statuses(folder, tmp_path / "out", **options).values()) == {"done"}  # one folder is locked once


def test_a_format_that_cannot_hold_the_result_is_told_before_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("computed")

    write_image(Image(np.zeros((4, 9000, 3), np.uint8), format="webp"), tmp_path / "wide.webp")
    monkeypatch.setattr("restorekit.pipeline.files.restore_still", never)
    summary = restore_folder([tmp_path / "wide.webp"], tmp_path / "out", model="bicubic", scale=2, settings=CPU)
    assert "16383" in summary.results[0].reason
    assert "PNG" in summary.results[0].hint


def test_an_image_of_more_pixels_than_allowed_fails(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    write_image(Image(np.eye(30, dtype=np.uint8)[..., None] * np.uint8(255)), folder / "small.png")
    ends = statuses(folder, tmp_path / "out", max_pixels=40 * 56 - 1, **options)
    assert [name for name, status in ends.items() if status == "done"] == ["small.png"]


def test_the_longest_names_have_results_and_side_by_side_views(tmp_path: Path, photo: np.ndarray) -> None:
    names = [letter + "n" * 250 + ".png" for letter in "ab"]
    for name in names:
        write_image(Image(photo[:10, :10]), tmp_path / "in" / name)
    for expected in ("done", "skipped"):
        summary = restore_folder(
            [tmp_path / "in"], tmp_path / "out", model="bicubic", scale=2, settings=CPU, compare=tmp_path / "views"
        )
        assert [result.status for result in summary.results] == [expected] * 2
    assert len(list((tmp_path / "views").glob("*.png"))) == 2


def test_what_a_killed_run_left_is_removed_although_nothing_is_missing(
    folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    compare = tmp_path / "views"
    statuses(folder, tmp_path / "out", compare=compare, **options)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [place / "deeper" / f".{HOST}-{dead.pid}-0123abcd.part" for place in (tmp_path / "out", compare)]
    for path in left:
        path.write_bytes(b"half")
    assert set(statuses(folder, tmp_path / "out", compare=compare, **options).values()) == {"skipped"}
    assert not any(path.exists() for path in left)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_names_that_are_no_text_are_restored_and_told(tmp_path: Path, photo: np.ndarray) -> None:
    name = b"ba\xff.png"
    write_image(Image(photo[:10, :10]), tmp_path / "in" / os.fsdecode(name))
    report = tmp_path / "report.jsonl"
    for expected in ("done", "skipped"):
        (result,) = restore_folder(
            [tmp_path / "in"], tmp_path / "out", model="bicubic", scale=2, settings=CPU, report=report
        ).results
        assert result.status == expected
        told = json.loads(report.read_text(encoding="utf-8"))
        assert os.fsencode(told["source"]).endswith(name)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
def test_a_report_into_a_pipe_that_nobody_reads_does_not_wait(
    folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnwritableOutput, match="report"):
        statuses(folder, tmp_path / "out", report=tmp_path / "pipe", **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_report_on_a_full_disk_is_told(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UnwritableOutput, match="The report cannot be written"):
        statuses(folder, tmp_path / "out", report=Path("/dev/full"), **options)


@pytest.mark.slow
def test_images_at_once_share_the_time_that_is_told(
    folder: Path, tmp_path: Path, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    restore = files.restore_still

    def slow(*arguments: object) -> object:
        time.sleep(0.3)
        return restore(*arguments)

    monkeypatch.setattr(files, "restore_still", slow)
    monkeypatch.setattr(Engine, "at_once", 2)
    run = restore_folder([folder], tmp_path / "out", **options)
    assert 3 * 0.3 / 2 <= sum(result.seconds for result in run.results) <= run.seconds


def test_a_worker_can_be_sent_to_another_process(folder: Path, tmp_path: Path, weights_file: Path) -> None:
    engine = Engine(load_model("gggan-lite", weights_file), CPU)
    (job,) = plan_files([folder / "a.png"], tmp_path / "out")
    journal = Journal(tmp_path / "journal.jsonl", {})
    worker = FileWorker(engine, Size(), tmp_path / "out", None, journal)
    worker, job = pickle.loads(pickle.dumps((worker, job)))
    result = worker.write(job, worker.compute(job, worker.read(job)))
    assert pickle.loads(pickle.dumps(result)) == result
    assert np.array_equal(read_rgb8(tmp_path / "out/a.png"), engine(read_rgb8(folder / "a.png")).pixels)


def test_an_output_that_cannot_be_written_stops_before_the_work(folder: Path, options: dict[str, object]) -> None:
    with pytest.raises(UnwritableOutput):
        statuses(folder, folder / "notes.txt" / "out", **options)


def test_a_result_never_replaces_an_input(folder: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="replace an input"):
        statuses(folder, folder, **options)


def test_output_inside_the_input_does_not_feed_itself(folder: Path, options: dict[str, object]) -> None:
    out, compare = folder / "out", folder / "side by side"
    statuses(folder, out, compare=compare, **options)
    assert set(statuses(folder, out, compare=compare, **options).values()) == {"skipped"}


def test_views_do_not_go_among_the_inputs(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="input of the next run"):
        statuses(folder, tmp_path / "out", compare=folder / ".." / folder.name, **options)
    assert not (tmp_path / "out").exists()


def test_one_image_gets_the_name_that_is_given(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    named, usual = tmp_path / "new" / "sharp.PNG", tmp_path / "out"
    assert list(statuses(folder / "a.png", named, **options).values()) == ["done"]
    assert list(statuses(folder / "a.png", named, **options).values()) == ["skipped"]
    statuses(folder / "a.png", usual, **options)
    assert named.read_bytes() == (usual / "a.png").read_bytes()


@pytest.mark.parametrize("name", ["sharp.png", "sharp.gif", "sharp.avi", "%d.gif"])
def test_a_name_that_no_folder_has_is_not_made_one(
    name: str, folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match=r"takes one|are not numbered"):
        statuses(folder, tmp_path / name, **options)
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    assert "done" in statuses(folder, tmp_path / name, **options).values()


def test_compare_shows_input_and_result(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    statuses(folder, tmp_path / "out", compare=tmp_path / "compare", **options)
    sheet = read_rgb8(tmp_path / "compare" / "a.png.png")
    assert np.array_equal(sheet[:, :56], read_rgb8(folder / "a.png"))
    assert np.array_equal(sheet[:, -56:], read_rgb8(tmp_path / "out" / "a.png"))


def test_dry_run_writes_nothing(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    assert set(statuses(folder, tmp_path / "out", dry_run=True, **options).values()) == {"planned"}
    assert not (tmp_path / "out").exists()


def test_no_image_is_a_usage_error(tmp_path: Path, options: dict[str, object]) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="No image"):
        statuses(tmp_path, tmp_path / "out", **options)


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path, photo: np.ndarray, weights_file: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(12):
        write_image(Image(np.roll(photo, 5 * number, axis=0)), folder / f"{number:02}.png")
    command = [
        sys.executable,
        "-m",
        "restorekit",
        "deblur",
        str(folder),
        "--weights",
        str(weights_file),
        "--device",
        "cpu",
    ]
    child = subprocess.Popen([*command, "-o", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and len(list(out.glob("*.png"))) < 2:
        time.sleep(0.002)
    child.kill()
    child.wait()
    there = {name for name in tree(out) if name.endswith(".png") and not name.startswith(".")}
    for name in there:
        read_image(out / name)  # whole
    summary = restore_folder([folder], out, weights=weights_file, settings=CPU)
    assert summary.count("failed") == 0
    # At most the result that was in place before its record was written is made again.
    assert summary.count("skipped") >= len(there) - 1
    restore_folder([folder], tmp_path / "straight", weights=weights_file, settings=CPU)
    assert tree(out) == tree(tmp_path / "straight")


def test_animations_are_restored_frame_by_frame_with_their_times(tmp_path: Path) -> None:
    frames = [PIL.Image.new("RGB", (12, 10), colour) for colour in ((200, 40, 40), (40, 40, 200))]
    (tmp_path / "in").mkdir()
    for name in ("a.gif", "b.webp", "c.png"):
        options = {"save_all": True, "append_images": frames[1:], "duration": [300, 50], "loop": 2}
        frames[0].save(tmp_path / "in" / name, **options, **({"lossless": True} if name == "b.webp" else {}))
    run = restore_folder(
        [tmp_path / "in"],
        tmp_path / "out",
        model="bicubic",
        scale=2,
        settings=Settings("cpu"),
        compare=tmp_path / "views",
    )
    assert [(result.output.name, result.status, result.frames) for result in run.results] == [
        ("a.gif", "done", 2),
        ("b.webp", "done", 2),
        ("c.png", "done", 2),
    ]
    for result in run.results:
        with PIL.Image.open(result.output) as image:
            assert (image.size, image.n_frames, image.info["loop"]) == ((24, 20), 2, 2)
            for index, (colour, duration) in enumerate((((200, 40, 40), 300), ((40, 40, 200), 50))):
                image.seek(index)
                assert np.abs(np.asarray(image.convert("RGB")).astype(int) - colour).max() <= 2
                assert image.info["duration"] == duration
    again = restore_folder([tmp_path / "in"], tmp_path / "out", model="bicubic", scale=2, settings=Settings("cpu"))
    assert again.count("skipped") == 3
