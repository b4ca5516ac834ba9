"""`restorekit train` while it runs: signals, exit codes, the options of the loop."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from restorekit.cli import app, stopping
from restorekit.errors import ExitCode
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.runtime.lock import working_in
from restorekit.training.checkpoint import Checkpoint
from restorekit.training.recipe import Recipe


@pytest.fixture
def data(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(4):
        write_image(Image(np.roll(photo, 9 * number, axis=1)), tmp_path / "data" / f"{number}.png")
    return tmp_path / "data"


def train(data: Path, out: Path, *options: str) -> list[str]:
    """Arguments of a run that is quick."""
    return [
        "train",
        "--data",
        str(data),
        "--out",
        str(out),
        "--model",
        "espcn",
        "--crop",
        "32",
        "--device",
        "cpu",
        *options,
    ]


def code(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["restorekit", *arguments])
    with pytest.raises(SystemExit) as caught:
        app.main()
    return int(caught.value.code or 0)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no process groups of this kind")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_finishes_the_step_and_ends_with_130(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = train(data, tmp_path / "run", "--steps", "1000000", "--log-every", "5", "--workers", "2")
    command = [sys.executable, "-m", "restorekit", *arguments]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    begun = time.monotonic()
    while not (tmp_path / "run" / "log.csv").exists() and time.monotonic() - begun < 120:
        time.sleep(0.1)
    os.killpg(run.pid, number)
    _, messages = run.communicate(timeout=120)
    assert run.returncode == ExitCode.INTERRUPTED, messages
    assert "Run the same command again to continue" in messages
    assert "Traceback" not in messages
    recipe = Recipe.from_file(tmp_path / "run" / "recipe.json")
    checkpoint = Checkpoint.read(tmp_path / "run" / "checkpoint.pt", recipe)
    assert checkpoint is not None
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        logged = [int(row["step"]) for row in csv.DictReader(file)]
    assert logged[-1] <= checkpoint.trainer["steps_done"] < logged[-1] + 5


def test_the_second_signal_does_what_it_did_before() -> None:
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background may ignore it
    try:
        _see_two_signals()
    finally:
        signal.signal(signal.SIGINT, ignored)


def _see_two_signals() -> None:
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with stopping.stopped_by_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with stopping.stopped_by_signals() as stop:
        pass
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before
    assert isinstance(stop, threading.Event)


def test_options_reach_the_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--steps", "4", "--batch", "4", "--accumulate", "2", "--ema-decay", "0.5", "--keep", "1,3")
    more = ("--tensorboard", "--workers", "0", "--validate-every", "3", "--log-every", "2", "--checkpoint-minutes", "0")
    assert code(train(data, tmp_path / "run", *options, *more), monkeypatch) == ExitCode.OK
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert {name: recipe[name] for name in ("steps", "batch", "accumulate", "ema_decay", "keep")} == {
        "steps": 4,
        "batch": 4,
        "accumulate": 2,
        "ema_decay": 0.5,
        "keep": [1, 3],
    }
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert made >= {"weights-1.safetensors", "weights-3.safetensors", "tensorboard", "curves.png"}
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]
    assert {path.name for path in (tmp_path / "run" / "strips").iterdir()} == {"0000003.png", "0000004.png"}


def test_a_folder_in_which_a_run_works_takes_no_other(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = train(data, tmp_path / "run", "--steps", "1", "--batch", "1", "--workers", "0")
    with working_in(tmp_path / "run"):
        assert code(arguments, monkeypatch) == ExitCode.OUTPUT
    assert f"Another run works here (process {os.getpid()} on " in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".restorekit"]
    assert code(arguments, monkeypatch) == ExitCode.OK


@pytest.mark.parametrize("keep", ["5,", "5.5", "many"])
def test_kept_steps_are_whole_numbers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keep: str
) -> None:
    assert code(train(data, tmp_path / "run", "--keep", keep), monkeypatch) == ExitCode.USAGE
    assert "--keep" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_named_counted_and_told_by_the_exit_code(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "1.png").write_bytes(b"no image")
    options = ("--steps", "3", "--batch", "4", "--workers", "1")
    assert code(train(data, tmp_path / "run", *options), monkeypatch) == ExitCode.SOME_FAILED
    shown = capsys.readouterr()
    assert shown.err.count("1.png") == 1
    assert "1 of the images could not be read" in shown.err
    assert "weights.safetensors" in shown.out
