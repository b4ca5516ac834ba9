import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from restorekit.errors import UnwritableOutput
from restorekit.media import write_rows
from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Metadata
from restorekit.media.profiles import srgb_profile
from restorekit.media.sniff import Format
from restorekit.media.write_rows import ROW_WRITERS, RowFileWriter


def write(image: Image, path: Path, step: int = 100) -> tuple[str, ...]:
    """By rows, so many at a time."""
    samples = image.to_array().reshape(*image.size, -1)
    writer = ROW_WRITERS[image.format](path, *samples.shape, samples.dtype, image.metadata)
    for top in range(0, len(samples), step):
        rows = samples[top : top + step].copy()
        writer.write(rows)
        rows[:] = 0  # the writer has its own
    return writer.commit()


def described(photo: np.ndarray, format: Format, alpha: bool = False) -> Image:
    exif = PIL.Image.Exif()
    exif[0x10F] = "maker"
    metadata = Metadata(exif.tobytes().removeprefix(b"Exif\0\0"), srgb_profile(), b"<x:xmpmeta/>", (300.0, 200.0))
    pixels = np.tile(photo, (5, 2, 1))[:601, :300]
    return Image(pixels, pixels[..., 0] if alpha else None, metadata, format)


@pytest.mark.parametrize("step", [1, 64, 255, 256, 257, 601])
@pytest.mark.parametrize("format", ["tiff", "png", "jpeg"])
def test_a_file_written_by_rows_is_read_as_one_written_whole(
    photo: np.ndarray, tmp_path: Path, format: Format, step: int
) -> None:
    image = described(photo, format, alpha=format != "jpeg")
    assert write(image, tmp_path / "rows", step) == write_image(image, tmp_path / "whole")
    rows, whole = read_image(tmp_path / "rows"), read_image(tmp_path / "whole")
    assert np.array_equal(rows.pixels, whole.pixels)
    assert rows.metadata == whole.metadata
    assert image.alpha is None or np.array_equal(rows.alpha, image.alpha)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", "whole"]


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (1, 1), (256, 256), (257, 255)])
@pytest.mark.parametrize("format", ["tiff", "png", "jpeg"])
def test_images_of_any_size_are_written_by_rows(
    photo: np.ndarray, tmp_path: Path, format: Format, size: tuple[int, int]
) -> None:
    pixels = np.ascontiguousarray(np.tile(photo, (3, 2, 1))[: size[0], : size[1]])
    write(Image(pixels, format=format), tmp_path / "rows")
    write_image(Image(pixels, format=format), tmp_path / "whole")
    assert np.array_equal(read_image(tmp_path / "rows").pixels, read_image(tmp_path / "whole").pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_every_kind_keeps_its_values(tmp_path: Path, dtype: type, channels: int, alpha: bool) -> None:
    random = np.random.default_rng(0)
    values = random.random((270, 30, channels + 1))
    samples = values.astype(np.float32) if dtype == np.float32 else (values * np.iinfo(dtype).max).astype(dtype)
    formats: tuple[Format, ...] = ("tiff",) if dtype == np.float32 else ("tiff", "png")
    for format in formats:
        image = Image(samples[..., :-1], samples[..., -1] if alpha else None, format=format)
        write(image, tmp_path / "rows")
        again = read_image(tmp_path / "rows")
        assert np.array_equal(again.pixels, image.pixels)
        assert (again.alpha is None) == (not alpha)
        assert again.alpha is None or np.array_equal(again.alpha, samples[..., -1])


def test_a_tiff_is_tiled_and_deflated_and_any_reader_takes_it(photo: np.ndarray, tmp_path: Path) -> None:
    image = described(photo, "tiff")
    write(image, tmp_path / "rows.tif")
    with tifffile.TiffFile(tmp_path / "rows.tif") as file:
        page = file.pages.first
        assert (page.tilelength, page.tilewidth, page.compression.name, file.is_bigtiff) == (
            256,
            256,
            "ADOBE_DEFLATE",
            False,
        )
    opened = PIL.Image.open(tmp_path / "rows.tif")
    assert np.array_equal(np.asarray(opened), image.pixels)
    assert opened.info["dpi"] == (300.0, 200.0)


def test_what_may_exceed_four_gigabytes_is_a_bigtiff(
    photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_rows, "MOST_METADATA", 1 << 32)  # as if the metadata could take all of it
    image = described(photo, "tiff", alpha=True)
    write(image, tmp_path / "rows.tif")
    with tifffile.TiffFile(tmp_path / "rows.tif") as file:
        assert file.is_bigtiff
        tags = file.pages.first.tags
        assert tags["TileOffsets"].dtype == 16
        assert tags["Make"].value == "maker"
    again = read_image(tmp_path / "rows.tif")
    assert np.array_equal(again.pixels, image.pixels)
    assert again.metadata == read_image_of(image, tmp_path).metadata


def read_image_of(image: Image, folder: Path) -> Image:
    write_image(image, folder / "whole")
    return read_image(folder / "whole")


def test_a_big_endian_tiff_stays_one(tmp_path: Path) -> None:
    pixels = np.arange(300 * 20, dtype=np.uint16).reshape(300, 20, 1)
    exif = b"MM\0*\0\0\0\10\0\1\1\17\0\2\0\0\0\4abc\0\0\0\0\0"  # Make: abc
    image = Image(pixels, metadata=Metadata(exif), format="tiff")
    write(image, tmp_path / "rows.tif")
    assert (tmp_path / "rows.tif").read_bytes()[:4] == b"MM\0*"
    assert np.array_equal(read_image(tmp_path / "rows.tif").pixels, pixels)
    assert np.array_equal(tifffile.imread(tmp_path / "rows.tif"), pixels[..., 0])


def new_writer(path: Path) -> RowFileWriter:
    return ROW_WRITERS["png"](path, 300, 5, 3, np.dtype(np.uint8), Metadata())


def test_nothing_is_in_its_place_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "image.png"
    path.parent.mkdir()
    path.write_text("before")
    writer = new_writer(path)
    writer.write(np.zeros((290, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="10 rows are missing"):
        writer.commit()
    with pytest.raises(ValueError, match="more rows"):
        writer.write(np.zeros((11, 5, 3), np.uint8))
    for wrong in (np.zeros((1, 4, 3), np.uint8), np.zeros((1, 5, 4), np.uint8), np.zeros((1, 5, 3), np.uint16)):
        with pytest.raises(ValueError, match="do not fit"):
            writer.write(wrong)
    assert path.read_text() == "before"
    writer.abort()
    writer.abort()
    assert [path.name for path in path.parent.iterdir()] == ["image.png"]
    assert path.read_text() == "before"


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = new_writer(tmp_path / "file" / "image.png")
    with pytest.raises(UnwritableOutput, match="cannot be written") as caught:
        writer.write(np.zeros((300, 5, 3), np.uint8))
    assert caught.value.path == tmp_path / "file" / "image.png"
    writer.abort()
    with pytest.raises(UnwritableOutput, match="65500"):
        ROW_WRITERS["jpeg"](tmp_path / "image.jpg", 65501, 5, 3, np.dtype(np.uint8), Metadata())


def test_a_jpeg_counts_its_restart_markers_across_its_parts(photo: np.ndarray, tmp_path: Path) -> None:
    image = described(photo, "jpeg")
    write(image, tmp_path / "rows.jpg")
    data = (tmp_path / "rows.jpg").read_bytes()
    scan = data[data.index(b"\xff\xda") :]
    markers = [scan[at + 1] - 0xD0 for at in range(len(scan) - 1) if scan[at] == 0xFF and 0xD0 <= scan[at + 1] <= 0xD7]
    assert markers == [index % 8 for index in range(75)]  # between 76 rows of blocks: ceil(601 / 8)
    frame = data.index(b"\xff\xc0")
    assert struct.unpack_from(">HH", data, frame + 5) == (601, 300)
