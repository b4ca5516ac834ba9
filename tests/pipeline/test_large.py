"""Images that go by rows have the results that they would have whole."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from restorekit import restore_folder
from restorekit.errors import ExitCode
from restorekit.inference.image import Size
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_image
from restorekit.pipeline import large
from restorekit.pipeline.report import RunSummary

TILED = Settings("cpu", tile=64, overlap=8)


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
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    channels: int,
    dtype: type[np.generic],
    size: Size,
) -> None:
    source = tmp_path / name
    store(source, pixels(channels, dtype))
    whole = restore(source, tmp_path / "whole", weights_file, size, tmp_path / "views")
    monkeypatch.setattr(large, "WHOLE_PIXELS", 0)
    rows = restore(source, tmp_path / "rows", weights_file, size, tmp_path / "views2")
    assert [result.by_rows for result in (*whole.results, *rows.results)] == [False, True]
    expected, restored = (read_image(tmp_path / way / name) for way in ("whole", "rows"))
    assert restored.pixels.dtype == dtype
    assert np.array_equal(restored.pixels, expected.pixels)
    views = [read_image(next((tmp_path / folder).glob("*.png"))) for folder in ("views", "views2")]
    assert np.abs(views[1].pixels.astype(int) - views[0].pixels).max() <= (dtype is np.uint16)  # rounded once more
    again = restore(source, tmp_path / "rows", weights_file, size)
    assert again.count("skipped") == 1


@pytest.mark.parametrize(
    "layout", [{"tile": (48, 32)}, {"rowsperstrip": 7}, {"bigtiff": True}, {"compression": "zlib"}]
)
def test_tiffs_of_other_layouts_go_by_rows(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch, layout: dict[str, object]
) -> None:
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, pixels(3), photometric="rgb", **layout)
    restore(source, tmp_path / "whole", weights_file)
    monkeypatch.setattr(large, "WHOLE_PIXELS", 0)
    assert [result.by_rows for result in restore(source, tmp_path / "rows", weights_file).results] == [True]
    assert np.array_equal(tifffile.imread(tmp_path / "rows/a.tif"), tifffile.imread(tmp_path / "whole/a.tif"))


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_a_file_that_ends_in_its_middle_leaves_no_result(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(large, "WHOLE_PIXELS", 0)
    source = tmp_path / name
    store(source, pixels(3))
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    summary = restore(source, tmp_path / "out", weights_file)
    assert summary.exit_code == ExitCode.SOME_FAILED
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and ".restorekit" not in path.parts] == []
