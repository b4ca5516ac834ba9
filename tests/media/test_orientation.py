"""Images are upright and say so, compared with Pillow's own transposition."""

import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile
from tiff_files import ASCII, LONG, RATIONAL, SHORT, exif_block, tag, tiff_file

from restorekit.media.decode import read_image
from restorekit.media.encode import write_image

RGB = np.random.default_rng(6).integers(0, 256, (6, 9, 3), np.uint8)
GREY16 = RGB[..., 0] * np.uint16(257)


def transposed(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What Pillow makes of pixels with an orientation, whatever file they come from."""
    image = PIL.Image.fromarray(pixels)
    image.getexif()[274] = orientation
    return np.asarray(PIL.ImageOps.exif_transpose(image))


def lzw(pixels: np.ndarray, orientation: int) -> bytes:
    """A TIFF that tifffile cannot decode by itself."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "TIFF", compression="tiff_lzw", tiffinfo={274: orientation})
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_in_exif_is_applied_once_and_reset(
    tmp_path: Path, format: str, kind: int, order: str, orientation: int
) -> None:
    exif = exif_block(order, {271: tag(ASCII, b"Maker\0"), 274: tag(kind, orientation)})
    options = {"lossless": True} if format == "WEBP" else {}
    PIL.Image.fromarray(RGB).save(tmp_path / "x", format, exif=b"Exif\0\0" + exif, **options)
    stored = np.asarray(PIL.Image.open(tmp_path / "x"))
    image = read_image(tmp_path / "x")
    assert np.array_equal(image.pixels, transposed(stored, orientation))
    write_image(image, tmp_path / "again")
    again = PIL.Image.open(tmp_path / "again")
    assert dict(again.getexif()) == {271: "Maker", 274: 1}
    assert (again.height, again.width) == image.size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["<", ">", "lzw", "lzw in 16 bits"])
def test_a_tiff_is_turned_once_whoever_decodes_it(tmp_path: Path, kind: str, orientation: int) -> None:
    pixels = GREY16 if kind == "lzw in 16 bits" else RGB
    by_hand = kind in "<>"
    data = tiff_file(kind, pixels, {274: tag(SHORT, orientation)}) if by_hand else lzw(pixels, orientation)
    (tmp_path / "x").write_bytes(data)
    image = read_image(tmp_path / "x")
    assert np.array_equal(image.pixels.squeeze(), transposed(pixels, orientation))
    write_image(image, tmp_path / "again")
    with tifffile.TiffFile(tmp_path / "again") as file:
        assert 274 not in file.pages.first.tags
        assert np.array_equal(file.asarray(), transposed(pixels, orientation))


@pytest.mark.parametrize("xmp", [b'<x tiff:Orientation="6"/>', b"<tiff:Orientation>6</tiff:Orientation>"])
def test_xmp_states_the_orientation_where_exif_does_not_and_is_reset(tmp_path: Path, xmp: bytes) -> None:
    PIL.Image.fromarray(RGB).save(tmp_path / "x", "WEBP", lossless=True, xmp=xmp)
    image = read_image(tmp_path / "x")
    assert np.array_equal(image.pixels, transposed(RGB, 6))
    assert image.metadata.xmp == xmp.replace(b"6", b"1")


def test_a_turned_jpeg_states_its_upright_size_and_loses_a_thumbnail_that_lies_on_its_side(tmp_path: Path) -> None:
    details = {33434: tag(RATIONAL, 1, 2), 40962: tag(SHORT, 9), 40963: tag(SHORT, 6)}
    exif = bytearray(exif_block(">", {274: tag(SHORT, 6), 34665: details}))
    first = int.from_bytes(exif[4:8])
    struct.pack_into(">I", exif, first + 2 + 12 * 2, first)  # any next directory would do
    PIL.Image.fromarray(RGB).save(tmp_path / "x", "JPEG", exif=b"Exif\0\0" + bytes(exif))
    image = read_image(tmp_path / "x")
    assert image.size == (9, 6)
    assert image.metadata.lost == ("EXIF thumbnail dropped: it is not upright",)
    write_image(image, tmp_path / "again")
    details = PIL.Image.open(tmp_path / "again").getexif().get_ifd(34665)
    assert (details[40962], details[40963]) == (6, 9)
