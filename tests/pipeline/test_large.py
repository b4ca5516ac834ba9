"""Images that go by rows have the results that they would have whole."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from restorekit import restore_folder
from restorekit.errors import ExitCode
from restorekit.inference.engine import Engine
from restorekit.inference.image import Size
from restorekit.inference.settings import Settings
from restorekit.media import strips_jpeg, strips_png, strips_tiff
from restorekit.media.decode import read_image
from restorekit.pipeline import files, large
from restorekit.pipeline.report import RunSummary

TILED = Settings("cpu", tile=64, overlap=8)


@pytest.fixture
def by_rows(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Every image goes by rows from the call on, some at a time, so that a result is written in many parts."""

    def begin() -> None:
        monkeypatch.setattr(large, "WHOLE_PIXELS", 0)
        monkeypatch.setattr(large, "STEP", 3 * 130 * 16)
        for module in (strips_tiff, strips_png, strips_jpeg):
            monkeypatch.setattr(module, "STRIP_BYTES", 3 * 130 * 16)

    return begin


def pixels(
    channels: int, dtype: type[np.generic] = np.uint8, height: int = 150, width: int = 130
) -> NDArray[np.generic]:
    top = 255 if dtype is np.uint8 else 65535
    return np.random.default_rng(0).integers(0, top, (height, width, channels), endpoint=True).astype(dtype)


def store(path: Path, array: NDArray[np.generic]) -> None:
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb")
    else:
        assert cv2.imwrite(str(path), array)


def restore(source: Path, out: Path, weights: Path, size: Size = Size(), compare: Path | None = None) -> RunSummary:
    return restore_folder([source], out, weights=weights, settings=TILED, size=size, compare=compare)


@pytest.mark.parametrize("size", [Size(), Size(pixels=(90, 110))], ids=["as it is", "resized"])
@pytest.mark.parametrize(
    ("name", "channels", "dtype"),
    [
        ("rgb.tif", 3, np.uint8),
        ("deep.tif", 3, np.uint16),
        ("alpha.png", 4, np.uint8),
        ("grey.png", 1, np.uint16),
        ("rgb.png", 3, np.uint8),
        ("rgb.jpg", 3, np.uint8),
    ],
)
def test_rows_give_the_result_of_the_whole(
    tmp_path: Path,
    weights_file: Path,
    by_rows: Callable[[], None],
    name: str,
    channels: int,
    dtype: type[np.generic],
    size: Size,
) -> None:
    source = tmp_path / name
    store(source, pixels(channels, dtype))
    whole = restore(source, tmp_path / "whole", weights_file, size, tmp_path / "views")
    by_rows()
    rows = restore(source, tmp_path / "rows", weights_file, size, tmp_path / "views2")
    assert [result.by_rows for result in (*whole.results, *rows.results)] == [False, True]
    expected, restored = (read_image(tmp_path / way / name) for way in ("whole", "rows"))
    assert restored.pixels.dtype == dtype
    assert np.array_equal(restored.pixels, expected.pixels)
    assert (restored.alpha is None) == (channels != 4)
    assert restored.alpha is None or np.array_equal(restored.alpha, expected.alpha)
    views = [read_image(next((tmp_path / folder).glob("*.png"))) for folder in ("views", "views2")]
    assert np.abs(views[1].pixels.astype(int) - views[0].pixels).max() <= (dtype is np.uint16)  # rounded once more
    again = restore(source, tmp_path / "rows", weights_file, size)
    assert again.count("skipped") == 1


@pytest.mark.parametrize(
    "layout", [{"tile": (48, 32)}, {"rowsperstrip": 7}, {"bigtiff": True}, {"compression": "zlib"}]
)
def test_tiffs_of_other_layouts_go_by_rows(
    tmp_path: Path, weights_file: Path, by_rows: Callable[[], None], layout: dict[str, object]
) -> None:
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, pixels(3), photometric="rgb", **layout)
    restore(source, tmp_path / "whole", weights_file)
    by_rows()
    assert [result.by_rows for result in restore(source, tmp_path / "rows", weights_file).results] == [True]
    assert np.array_equal(tifffile.imread(tmp_path / "rows/a.tif"), tifffile.imread(tmp_path / "whole/a.tif"))


def test_two_large_images_at_once_take_turns_since_each_has_all_the_memory(
    tmp_path: Path, weights_file: Path, by_rows: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.tif", "b.tif"):
        store(tmp_path / name, pixels(3))
    now, most, restore_one = 0, 0, files.restore_large

    def seen(*arguments: object) -> object:
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(0.2)
        result = restore_one(*arguments)
        now -= 1
        return result

    by_rows()
    monkeypatch.setattr(files, "restore_large", seen)
    monkeypatch.setattr(Engine, "at_once", 2)
    run = restore_folder(
        [tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "out", weights=weights_file, settings=TILED
    )
    assert [result.by_rows for result in run.results] == [True, True]
    assert most == 1


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_a_file_that_ends_in_its_middle_leaves_no_result(
    tmp_path: Path, weights_file: Path, by_rows: Callable[[], None], name: str
) -> None:
    by_rows()
    source = tmp_path / name
    store(source, pixels(3))
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    summary = restore(source, tmp_path / "out", weights_file)
    assert summary.exit_code == ExitCode.SOME_FAILED
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and ".restorekit" not in path.parts] == []


def test_damage_in_the_middle_leaves_nothing_of_what_was_written(
    tmp_path: Path, weights_file: Path, by_rows: Callable[[], None]
) -> None:
    """The header and the first strips are sound, so that rows are written before the damage is met."""
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, pixels(3, height=600), photometric="rgb", compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile(source) as file:
        damaged = file.pages[0].dataoffsets[-2]
    data = bytearray(source.read_bytes())
    data[damaged : damaged + 64] = bytes(64)
    source.write_bytes(data)
    by_rows()
    summary = restore(source, tmp_path / "out", weights_file)
    assert summary.exit_code == ExitCode.SOME_FAILED
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and ".restorekit" not in path.parts] == []


def test_the_rule_counts_input_and_result_and_needs_no_doubt(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.png"
    store(source, pixels(3))
    for bound, ways in ((2 * 150 * 130, False), (2 * 150 * 130 - 1, True)):
        monkeypatch.setattr(large, "WHOLE_PIXELS", bound)
        result = restore_folder(
            [source], tmp_path / "out", weights=weights_file, settings=TILED, overwrite=True
        ).results
        assert [file.by_rows for file in result] == [ways]
    copied = restore_folder([source], tmp_path / "copy", weights=weights_file, settings=TILED, on_doubt="copy").results
    assert [file.by_rows for file in copied] == [False]


def test_a_large_image_above_max_pixels_is_refused(
    tmp_path: Path, weights_file: Path, by_rows: Callable[[], None]
) -> None:
    store(tmp_path / "a.tif", pixels(3))
    by_rows()
    for bound, status in ((150 * 130 - 1, "failed"), (150 * 130, "done")):
        summary = restore_folder(
            [tmp_path / "a.tif"], tmp_path / "out", weights=weights_file, settings=TILED, max_pixels=bound
        )
        assert [file.status for file in summary.results] == [status]


PEAK = """
import resource, sys
from restorekit import restore_folder
from restorekit.inference.settings import Settings
from restorekit.pipeline import files, large
large.WHOLE_PIXELS = 0
source, out, weights = sys.argv[1:]
[result] = restore_folder([source], out, weights=weights, settings=Settings("cpu", tile=256, overlap=8)).results
assert result.by_rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in KiB")
def test_memory_does_not_grow_with_the_height(tmp_path: Path, weights_file: Path) -> None:
    """Another 12 megapixels would take 36 MB as 8-bit RGB before and again after, 144 MB as float32."""
    peaks = []
    for height in (12000, 24000):
        source = tmp_path / f"{height}.tif"
        tifffile.imwrite(
            source,
            np.tile(pixels(3, height=1000, width=1000), (height // 1000, 1, 1)),
            photometric="rgb",
            rowsperstrip=8,
        )
        command = [sys.executable, "-c", PEAK, source, tmp_path / "out", weights_file]
        ran = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        peaks.append(int(ran.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 60, peaks  # the same run twice differs by up to 20 MB
