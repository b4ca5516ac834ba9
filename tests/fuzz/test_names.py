import json
import os
import re
import sys
from pathlib import Path

import pytest

from fuzz.images import sound_images
from fuzz.names import odd_names
from fuzz.runs import contents, restorekit

pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there"),
]
COUNT = 300
STEERS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of odd names, a third of which belong to files that are no images."""
    image = sound_images()["grey.png"]
    for number, name in enumerate(odd_names(COUNT)):
        folder = tmp_path / "in" / ("" if number % 4 else os.fsdecode(name))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / os.fsdecode(name)).write_bytes(image if number % 3 else b"no image")
    return tmp_path / "in"


def test_results_have_the_names_of_their_inputs_and_no_name_steers_anything(odd: Path, tmp_path: Path) -> None:
    before, report = contents(odd), tmp_path / "report.jsonl"
    arguments = ("sr", odd, "-o", tmp_path / "out", "--model", "bicubic", "--scale", "2", "--device", "cpu")
    first = restorekit(*arguments, "--report", report, "--compare", tmp_path / "views")
    told = {line["source"]: line["status"] for line in map(json.loads, report.read_bytes().splitlines())}
    second = restorekit(*arguments, "--report", report, "--compare", tmp_path / "views")
    again = {line["source"]: line["status"] for line in map(json.loads, report.read_bytes().splitlines())}
    good = {path for path, data in before.items() if data != b"no image"}
    assert (first.code, second.code) == (3, 3)
    assert told == {str(odd / path): "done" if path in good else "failed" for path in before}
    assert again == {source: "skipped" if end == "done" else end for source, end in told.items()}
    assert contents(tmp_path / "out").keys() == good
    assert len(contents(tmp_path / "views")) == len(good)
    assert contents(odd) == before
    for run in (first, second):
        assert b"Traceback" not in run.err
        assert STEERS.search(run.out + run.err) is None
        run.out.decode()
        run.err.decode()


def test_pairs_have_the_names_of_their_originals(odd: Path, tmp_path: Path) -> None:
    good = {path for path, data in contents(odd).items() if data != b"no image"}
    for column in ("done", "skipped"):
        run = restorekit("synth-blur", odd, "-o", tmp_path / "set", "--length", "3:5")
        assert run.code == 3
        assert STEERS.search(run.out + run.err) is None
        records = [json.loads(line) for line in (tmp_path / "set" / "pairs.jsonl").read_bytes().splitlines()]
        assert {record["facts"]["source"] for record in records} == {path.as_posix() for path in good}, column
        assert {tmp_path / "set" / record[half] for record in records for half in ("blur", "sharp")} == {
            tmp_path / "set" / path for path in contents(tmp_path / "set") if path.name != "pairs.jsonl"
        }


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
    run = restorekit("sr", folder, "-o", tmp_path / "out", "--model", "bicubic", "--scale", "2", "--device", "cpu")
    assert run.code == 3
    assert run.err.count(b"Failed:") == len(odd) + 1
    assert b"defect" not in run.err
    assert contents(tmp_path / "out").keys() == {Path("good.png")}
