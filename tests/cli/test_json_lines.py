import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from restorekit.cli.app import main
from restorekit.cli.json_lines import JsonLines
from restorekit.errors import ExitCode, UsageError
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.pipeline.report import FileResult
from restorekit.runtime.progress import Event, Work


def command(*arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["restorekit", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_every_event_is_the_documented_line(capsys: pytest.CaptureFixture[str]) -> None:
    told = JsonLines()
    done = FileResult(Path("in/a.png"), Path("out/a.png"), "done", 0.25, doubt="Colours moved.")
    failed = FileResult(Path("in/b.png"), Path("out/b.png"), "failed", reason="It is cut off.", hint="Copy it.")
    told.begin(Work(4, 1.5, "MP", "gggan-lite on cpu"))
    told.step(Event("in/c.png", 1, 0.0, "skipped", left=1.5))
    told.step(Event("in/a.png", 0, 0.0, "started"))
    told.step(Event("in/a.png", 1, 0.25, "done", done, left=1.0))
    told.step(Event("in/b.png", 1, 0.0, "failed", failed, left=0.5))
    told.step(Event("in/d.mp4", 0, 0.125, part="frame 1 of 2"))
    told.step(Event("in/d.mp4", 1, 0.0, left=0.0))
    told.end(None)
    assert capsys.readouterr().err.splitlines() == [
        '{"version": 1, "event": "planned", "items": 4, "left": 1.5, "unit": "MP", "what": "gggan-lite on cpu"}',
        '{"version": 1, "event": "skipped", "item": "in/c.png", "amount": 0.0, "left": 1.5}',
        '{"version": 1, "event": "started", "item": "in/a.png", "amount": 0.0, "left": 1.5}',
        '{"version": 1, "event": "done", "item": "in/a.png", "amount": 0.25, "left": 1.0, "output": "out/a.png", '
        '"doubt": "Colours moved."}',
        '{"version": 1, "event": "failed", "item": "in/b.png", "amount": 0.25, "left": 0.5, "output": "out/b.png", '
        '"reason": "It is cut off.", "hint": "Copy it."}',
        '{"version": 1, "event": "progress", "item": "in/d.mp4", "amount": 0.375, "left": 0.375, "part": "frame 1 of 2"}',
        '{"version": 1, "event": "done", "item": "in/d.mp4", "amount": 0.375, "left": 0.0}',
        '{"version": 1, "event": "summary", "exit_code": 0, "planned": 4, "done": 2, "skipped": 1, "failed": 1}',
    ]


def test_a_run_that_an_error_ends_has_a_summary_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError), JsonLines():
        raise UsageError("There is no image.", "Name another folder.", Path("in"))
    assert capsys.readouterr().err.splitlines() == [
        '{"version": 1, "event": "summary", "exit_code": 2, "planned": 0, "done": 0, "skipped": 0, "failed": 0, '
        '"reason": "There is no image.", "hint": "Name another folder.", "path": "in"}'
    ]


def test_a_full_disk_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="No space"), JsonLines():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert json.loads(capsys.readouterr().err)["exit_code"] == ExitCode.OUTPUT


def test_a_name_that_the_system_refuses_ends_with_one_exit_code(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("deblur", folder, "-o", tmp_path / ("x" * 300), "--progress", "json")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.USAGE
    assert json.loads(capfd.readouterr().err.splitlines()[-1])["exit_code"] == ExitCode.USAGE


def test_nothing_but_lines_of_json_is_on_stderr(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.png").write_text("no image")
    arguments = ("sr", folder, "-o", tmp_path / "out", "--model", "bicubic", "--scale", "2", "--progress", "json")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.SOME_FAILED
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines].count("started") == 4
    assert {line["event"] for line in lines} == {"planned", "started", "done", "failed", "summary"}
    assert (lines[-1]["exit_code"], lines[-1]["done"], lines[-1]["failed"]) == (3, 3, 1)
    assert command("deblur", tmp_path / "nowhere", "--progress", "json", monkeypatch=monkeypatch) == ExitCode.USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["path"] == str(tmp_path / "nowhere")
    assert command("sr", folder, "--weights", "x4", "--progress", "json", monkeypatch=monkeypatch) == ExitCode.USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["hint"] == "Add --model NAME."


def test_synth_blur_tells_its_pairs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("synth-blur", folder, "-o", tmp_path / "set", "--length", "3:5", "--progress", "json")
    assert command(*arguments, monkeypatch=monkeypatch) == ExitCode.OK
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["planned", "done", "done", "done", "summary"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
def test_a_signal_ends_the_search_for_a_blur_which_takes_minutes(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(Image(np.tile(photo, (3, 3, 1))), tmp_path / "in/a.png")
    arguments = ["deblur", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", "whyte", "--progress", "json"]
    command = [sys.executable, "-m", "restorekit", *arguments]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    lines = []
    for line in run.stderr:
        lines.append(json.loads(line))
        if "level 1 of " in lines[-1].get("part", ""):
            run.send_signal(signal.SIGTERM)
            break
    lines += [json.loads(line) for line in run.stderr]
    assert run.wait(timeout=120) == lines[-1]["exit_code"] == ExitCode.INTERRUPTED
    assert [line["event"] for line in lines if line["event"] in ("done", "failed")] == []
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_begun_and_the_next_run_goes_on(
    tmp_path: Path, photo: np.ndarray, weights_file: Path, number: signal.Signals
) -> None:
    for index in range(400):
        write_image(Image(np.roll(photo, index, axis=0)), tmp_path / "in" / f"{index:03}.png")
    arguments = ["deblur", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--weights", str(weights_file)]
    command = [sys.executable, "-m", "restorekit", *arguments, "--device", "cpu", "--progress", "json"]
    # Programs in the background may ignore SIGINT, and so would those that they start.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ignored)
    begun = time.monotonic()
    while not list((tmp_path / "out").glob("*.png")) and time.monotonic() - begun < 120:
        time.sleep(0.01)
    run.send_signal(number)
    _, told = run.communicate(timeout=120)
    lines = [json.loads(line) for line in told.splitlines()]
    started, done = ({line["item"] for line in lines if line["event"] == event} for event in ("started", "done"))
    assert run.returncode == lines[-1]["exit_code"] == ExitCode.INTERRUPTED, told
    assert started == done
    assert 0 < len(done) < 400
    assert len(list((tmp_path / "out").glob("*.png"))) == lines[-1]["done"] == len(done)
    again = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    summary = json.loads(again.stderr.splitlines()[-1])
    assert (summary["skipped"], summary["done"]) == (len(done), 400 - len(done))
