import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fuzz.images import crafted_images, sound_images, spoilt_images
from fuzz.runs import Run, contents, restorekit
from restorekit.errors import UnreadableImage, UnwritableOutput
from restorekit.media.decode import decode_image
from restorekit.media.encode import encode_image

pytestmark = [pytest.mark.fuzz, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]
MOST_PIXELS = 20_000_000
ENLARGE = ("sr", "--model", "bicubic", "--scale", "2", "--device", "cpu", "--max-pixels", str(MOST_PIXELS))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_a_file_holds_it_is_an_image_that_can_be_written_or_it_is_refused(seed: int) -> None:
    refused = 0
    for name, data in [*spoilt_images(600, seed), *(crafted_images().items() if seed == 0 else ())]:
        begun = time.process_time()
        try:
            image = decode_image(data, MOST_PIXELS)
            again = decode_image(encode_image(image).data)
        except (UnreadableImage, UnwritableOutput):
            refused += 1
        else:
            assert image.size[0] * image.size[1] <= MOST_PIXELS, name
            assert again.size == image.size, name
            if image.lossless and image.pixels.dtype != np.float32:
                assert np.array_equal(again.to_array(), image.to_array()), name
        assert time.process_time() - begun < 5, name
    assert refused > 300


def checked(folder: Path, out: Path, report: Path) -> tuple[Run, dict[str, str]]:
    """Run over a folder; every file is told once, and nobody but the command speaks."""
    run = restorekit(*ENLARGE, folder, "-o", out, "--report", report)
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
