import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from video_clips import SIZE, make_clip

from restorekit import restore_folder
from restorekit.errors import ExitCode, UnwritableOutput, UsageError
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_image
from restorekit.media.discover import Job
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.video_reader import read_info
from restorekit.pipeline import files, watch
from restorekit.pipeline.plan import plan_files
from restorekit.pipeline.video_settings import VideoSettings
from restorekit.pipeline.watch import watch_folder
from restorekit.runtime.progress import Event, Work

BICUBIC = {"model": "bicubic", "scale": 2, "settings": Settings("cpu")}


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Set at the end, and after 20 seconds if a test waits for what never comes."""
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    yield stop
    timer.cancel()
    stop.set()


class Sender:
    """Takes a step whenever a file is finished, e.g. sends the next one; after the last step it stops the run."""

    def __init__(self, folder: Path, stop: threading.Event, *steps: Callable[[], object]) -> None:
        self.folder, self.stop, self.steps = folder, stop, iter(steps)
        self.finished: list[str] = []
        self.described: list[str] = []

    def begin(self, work: Work) -> None:
        self.described.append(work.description)

    def step(self, event: Event) -> None:
        if event.status == "started":
            return
        self.finished.append(f"{event.status} {Path(event.key).relative_to(self.folder).as_posix()}")
        next(self.steps, self.stop.set)()

    def end(self, summary: object) -> None:
        pass


@pytest.mark.slow
def test_what_is_there_and_what_arrives_is_restored_by_one_network_until_the_run_is_stopped(
    tmp_path: Path, photo: np.ndarray, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SETTLED", 0.1)
    loaded, load = [], files.load_network

    def counted(*arguments: object, **options: object) -> object:
        loaded.append(arguments)
        return load(*arguments, **options)

    monkeypatch.setattr(files, "load_network", counted)
    cleared: list[Path] = []
    monkeypatch.setattr(files, "remove_leftovers", cleared.append)
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    write_image(Image(photo[:7, :9]), folder / "a.png")
    os.utime(folder / "a.png", (0, 0))

    def move_a_folder_in() -> None:
        with pytest.raises(UnwritableOutput, match="Another run"):
            restore_folder([folder], out, overwrite=True, **BICUBIC)
        write_image(Image(photo[:9, :9]), tmp_path / "new" / "deeper" / "b.png")
        write_image(Image(photo[:9, :9]), tmp_path / "new" / ".hidden" / "d.png")
        (tmp_path / "new").rename(folder / "new")

    sender = Sender(
        folder,
        stop,
        move_a_folder_in,
        partial(write_image, Image(photo[:8, :9]), folder / "a.png"),
        partial((folder / "c.png").write_text, "no image"),
        partial(write_image, Image(photo[:6, :9]), folder / "new" / "c.png"),
    )
    summary = restore_folder([folder], out, watch=True, progress=sender, stop=stop, **BICUBIC)
    ends = ["done a.png", "done new/deeper/b.png", "done a.png", "failed c.png", "done new/c.png"]
    assert sender.finished == ends
    assert (summary.planned, summary.count("done"), summary.exit_code) == (4, 3, ExitCode.SOME_FAILED)
    assert len(loaded) == 2  # and once for the run that was kept out
    assert cleared == [out, out / "new" / "deeper", out / "new"]  # each once
    assert [bool(text) for text in sender.described] == [True, False, False, False, False]
    (folder / "c.png").unlink()
    assert restore_folder([folder], out, **BICUBIC).count("skipped") == 3
    restore_folder([folder], tmp_path / "straight", **BICUBIC)
    for name in ("a.png", "new/deeper/b.png", "new/c.png"):
        assert (out / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


@pytest.mark.slow
def test_the_last_state_of_a_file_counts_and_a_folder_of_psfs_is_no_input(
    tmp_path: Path, photo: np.ndarray, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SETTLED", 0.1)
    folder, psfs = tmp_path / "in", tmp_path / "in" / "psfs"
    psf = Image(np.full((3, 3, 1), 28, np.uint8))
    write_image(Image(photo[:40, :40]), folder / "a.png")
    write_image(psf, psfs / "a.png")
    for path in (folder / "a.png", psfs / "a.png"):
        os.utime(path, (0, 0))

    def bring_the_psf() -> None:
        write_image(psf, psfs / "b.png")
        write_image(Image(photo[:41, :40]), folder / "b.png")

    sender = Sender(
        folder,
        stop,
        partial(write_image, Image(photo[:40, :40]), folder / "b.png"),
        bring_the_psf,
        partial(make_clip, folder / "c.mkv"),
    )
    told = {"model": "wiener", "kernel": psfs, "settings": Settings("cpu")}
    summary = restore_folder([folder], tmp_path / "out", watch=True, progress=sender, stop=stop, **told)
    assert sender.finished == ["done a.png", "failed b.png", "done b.png", "failed c.mkv"]
    assert (summary.planned, summary.count("done"), summary.count("failed")) == (3, 2, 1)
    assert summary.results[2].reason == "A video cannot be told its blur."
    assert read_image(tmp_path / "out" / "b.png").size == (41, 40)


@pytest.mark.slow
def test_a_file_that_has_just_changed_at_the_start_is_waited_for(
    tmp_path: Path, photo: np.ndarray, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SETTLED", 0.1)
    for name, age in (("old.png", 100.0), ("young.png", -100.0)):  # a clock may go ahead
        write_image(Image(photo[:7, :9]), tmp_path / name)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    batches = watch_folder(tmp_path, partial(plan_files, [tmp_path], tmp_path / "out"), stop)
    assert [[job.name for job in next(batches)] for _ in range(2)] == [["old.png"], ["young.png"]]


def test_a_file_counts_once_it_has_not_changed_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    growing, going = (Job.of(tmp_path / name, Path(name)) for name in ("growing.png", "going.png"))
    arriving = watch._Arriving()
    for job in (growing, going):
        job.source.write_bytes(b"a")
        arriving.add([job])
    taken = []
    for data in (b"a", b"ab", b"ab", b"abc"):  # it grows within every 2 seconds
        if data != growing.source.read_bytes():
            growing.source.write_bytes(data)
        taken += arriving.take_whole()
        now += 1.5
    assert taken == [going]
    arriving.add([growing, going])
    assert arriving.take_whole() == []
    going.source.unlink()
    now += 2.0
    assert arriving.take_whole() == [growing]
    now += 2.0
    assert arriving.take_whole() == []


@pytest.mark.slow
def test_files_of_one_stem_are_kept_apart_and_one_whose_result_would_replace_anothers_fails(
    tmp_path: Path, photo: np.ndarray, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SETTLED", 0.1)
    folder, out = tmp_path / "in", tmp_path / "out"
    write_image(Image(photo[:7, :9]), folder / "a.png")
    os.utime(folder / "a.png", (0, 0))
    clip = make_clip(tmp_path / "c.mkv")
    (tmp_path / "new").mkdir()
    for name in ("b.flv", "b.flv.mkv"):
        shutil.copy(clip, tmp_path / "new" / name)
    jpeg = Image(photo[:8, :9], format="jpeg")

    class WholeFiles(Sender):
        def step(self, event: Event) -> None:
            if "frame" not in event.part:
                super().step(event)

    sender = WholeFiles(
        folder,
        stop,
        partial(write_image, jpeg, folder / "a.jpg"),
        partial(shutil.copy, clip, folder / "a.flv"),
        partial(shutil.copy, clip, folder / "a.flv.mkv"),  # what a.flv became is called so, too
        partial((tmp_path / "new").rename, folder / "new"),
        lambda: None,
        partial(os.utime, folder / "a.jpg"),
    )
    report = tmp_path / "report.jsonl"
    summary = restore_folder([folder], out, watch=True, progress=sender, report=report, stop=stop, **BICUBIC)
    one_by_one = ["done a.png", "done a.jpg", "done a.flv", "failed a.flv.mkv"]
    assert sender.finished == [*one_by_one, "failed new/b.flv.mkv", "done new/b.flv", "done a.jpg"]
    assert (summary.planned, summary.count("done"), summary.exit_code) == (6, 4, ExitCode.SOME_FAILED)
    failed, _ = [result for result in summary.results if result.status == "failed"]
    assert failed.reason == f"The result of {folder / 'a.flv.mkv'} would replace the result of {folder / 'a.flv'}."
    assert read_info(out / "a.flv.mkv").height == 2 * SIZE[0]
    for name in ("a.flv.mkv", "new/b.flv.mkv"):
        (folder / name).unlink()
    assert restore_folder([folder], out, **BICUBIC).count("skipped") == 4


def test_what_cannot_be_watched_is_told(
    folder: Path, tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop.set()
    watching = partial(restore_folder, out=tmp_path / "out", watch=True, stop=stop, **BICUBIC)
    for inputs in ([folder, folder], [folder / "a.png"], [tmp_path / "nowhere"]):
        with pytest.raises(UsageError, match="One folder"):
            watching(inputs)
    for more in ({"dry_run": True}, {"video": VideoSettings(preview=2)}, {"out": tmp_path / "a.mp4"}):
        with pytest.raises(UsageError, match="goes to a folder"):
            watching([folder], **more)
    for around in ({"out": folder}, {"out": folder.parent}, {"compare": folder.parent}, {"blur_out": folder}):
        with pytest.raises(UsageError, match="become an input"):
            watching([folder], **around)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(UsageError, match="watchfiles") as raised:
        watching([folder])
    assert "restorekit[watch]" in raised.value.hint


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
def test_a_watched_folder_may_be_empty_and_a_signal_ends_the_watch(tmp_path: Path, photo: np.ndarray) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    arguments = ["sr", str(folder), "-o", str(out), "--model", "bicubic", "--scale", "2", "--watch"]
    command = [sys.executable, "-m", "restorekit", *arguments, "--device", "cpu", "--progress", "json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        assert '"items": 0' in run.stderr.readline()
        write_image(Image(photo[:7, :9]), folder / "a.png")
        events = [run.stderr.readline() for _ in range(3)]
        assert "done" in events[-1]
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=60)
    assert run.returncode == ExitCode.OK
    assert '"exit_code": 0, "planned": 1, "done": 1' in told
