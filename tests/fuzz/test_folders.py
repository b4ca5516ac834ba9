"""Whole folders through the command: no file among them stops it."""

import json
import os
import sys
from pathlib import Path

import pytest

from fuzz.images import crafted_images, sound_images, spoilt_images
from fuzz.runs import ENLARGE, Run, contents, restorekit

pytestmark = pytest.mark.fuzz
MOST_PIXELS = "20000000"


def checked(folder: Path, out: Path, report: Path) -> tuple[Run, dict[str, str]]:
    """Run over a folder; every file is told once, and nobody but the command speaks."""
    run = restorekit(*ENLARGE, folder, "--max-pixels", MOST_PIXELS, "-o", out, "--report", report)
    lines = [json.loads(line) for line in report.read_bytes().splitlines()]
    assert [line for line in lines if "defect" in line] == []
    assert all(line["reason"] and line["hint"] for line in lines if line["status"] == "failed")
    assert {line.split(b" ")[0] for line in run.err.splitlines()} <= {
        b"bicubic",
        b"Failed:",
        b"1",
    }  # 1 of 9 results could not ...
    assert b"Traceback" not in run.out + run.err
    return run, {Path(line["source"]).name: line["status"] for line in lines}


@pytest.mark.skipif(sys.platform == "win32", reason="a child's memory is not told there")
def test_a_folder_of_hostile_images_is_restored_as_far_as_it_can_be(tmp_path: Path) -> None:
    files = {**sound_images(), **dict(spoilt_images(800, seed=9)), **crafted_images()}
    for name, data in files.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    run, ends = checked(tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl")
    assert ends.keys() == files.keys()
    assert run.code == 3
    assert {ends[name] for name in sound_images()} == {"done"}
    assert contents(tmp_path / "in") == {Path(name): data for name, data in files.items()}
    assert {path.name for path in contents(tmp_path / "out")} == {name for name, end in ends.items() if end == "done"}
    assert run.megabytes < 1000
    _, again = checked(tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl")
    assert again == {name: "skipped" if end == "done" else end for name, end in ends.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among files")
def test_links_pipes_and_devices_among_images_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.png").write_bytes(sound_images()["grey.png"])
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.png")
    odd = {"loop": "loop.png", "zero": "/dev/zero", "kernel": "/proc/kmsg", "absent": "nowhere", "folder": tmp_path}
    for name, target in odd.items():
        (folder / f"{name}.png").symlink_to(target)
    (folder / "tty").symlink_to("/dev/tty")
    run = restorekit(*ENLARGE, folder, "-o", tmp_path / "out")
    assert run.code == 3
    assert run.err.count(b"Failed:") == len(odd) + 1
    assert b"defect" not in run.err
    assert contents(tmp_path / "out").keys() == {Path("good.png")}
