"""What comes in goes out, whatever it is: pixels, depth, alpha, metadata, and the right side up."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorekit.errors import UnreadableImage, UnwritableOutput, UsageError
from restorekit.media.decode import read_image
from restorekit.media.encode import encode_image, write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Metadata
from restorekit.media.sniff import Format

SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
"""Only the header's colour space counts here."""
DEPTHS: dict[Format, tuple[type, ...]] = {
    "png": (np.uint8, np.uint16),
    "tiff": (np.uint8, np.uint16, np.float32),
    "webp": (np.uint8,),
    "bmp": (np.uint8,),
}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def exif_block(order: str = "<", orientation: int = 1) -> bytes:
    """An EXIF block of three tags, one of them a text that is not ASCII, and a sub-directory with an exposure time."""
    artist = "Müller ©".encode()
    entries = 3
    values_at = 8 + 2 + 12 * entries + 4
    sub_at = values_at + len(artist) + len(artist) % 2
    block = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", entries)
    block += struct.pack(f"{order}HHIHH", 274, 3, 1, orientation, 0)
    block += struct.pack(f"{order}HHII", 315, 2, len(artist), values_at)
    block += struct.pack(f"{order}HHII", 34665, 4, 1, sub_at) + struct.pack(f"{order}I", 0)
    block += artist + b"\0" * (len(artist) % 2)
    block += struct.pack(f"{order}H", 1) + struct.pack(f"{order}HHII", 33434, 5, 1, sub_at + 2 + 12 + 4)
    return block + struct.pack(f"{order}I", 0) + struct.pack(f"{order}II", 1, 250)


@st.composite
def images(draw: st.DrawFn) -> Image:
    format = draw(st.sampled_from(sorted(DEPTHS)))
    dtype = draw(st.sampled_from(DEPTHS[format]))
    height, width, channels = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.sampled_from([1, 3]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.random((height, width, channels + 1))
    if dtype is not np.float32:
        values = values * np.iinfo(dtype).max
    values = values.astype(dtype)
    values[0, 0, -1] = 0  # a transparent pixel's colours must survive too
    has_alpha = draw(st.booleans()) and not (format == "bmp" and channels == 1)
    resolution = draw(st.sampled_from([None, (300.0, 300.0), (72.0, 96.0)]))
    metadata = Metadata(
        exif=b"" if format == "bmp" else draw(st.sampled_from([b"", exif_block("<"), exif_block(">")])),
        icc=b"" if format == "bmp" else draw(st.sampled_from([b"", SRGB if channels == 3 else GREY])),
        xmp=b"" if format == "bmp" else draw(st.sampled_from([b"", b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"])),
        resolution=None if format == "webp" else resolution,
    )
    return Image(values[..., :channels], values[..., -1] if has_alpha else None, metadata, format)


@QUICK
@given(image=images())
def test_lossless_formats_give_back_pixels_and_metadata(image: Image, tmp_path: Path) -> None:
    path = tmp_path / "image"
    assert write_image(image, path) == ()
    again = read_image(path)
    # WebP knows no grey: its three channels are equal.
    pixels = image.rgb() if image.format == "webp" else image.pixels
    assert again.format == image.format
    assert again.pixels.dtype == image.pixels.dtype
    np.testing.assert_array_equal(again.rgb() if image.format == "webp" else again.pixels, pixels)
    assert (again.alpha is None) == (image.alpha is None)
    if image.alpha is not None:
        np.testing.assert_array_equal(again.alpha, image.alpha)
    assert again.metadata.xmp == image.metadata.xmp
    if image.format != "webp":  # a grey profile does not fit three channels
        assert again.metadata.icc == image.metadata.icc
    assert (
        again.metadata.exif == image.metadata.exif or image.format == "tiff"
    )  # compared by an independent reader below
    if image.metadata.resolution is None:
        assert again.metadata.resolution is None
    else:
        assert again.metadata.resolution == pytest.approx(image.metadata.resolution, rel=1e-3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_jpeg_keeps_its_metadata(tmp_path: Path, order: str) -> None:
    metadata = Metadata(exif_block(order), SRGB, b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", (300.0, 300.0))
    write_image(Image(np.zeros((8, 8, 3), np.uint8), None, metadata, "jpeg", False), tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").metadata == metadata


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_every_orientation_is_applied_and_reset(tmp_path: Path, format: Format, orientation: int, order: str) -> None:
    rgb = np.kron(np.random.default_rng(1).integers(0, 256, (3, 5, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    path = tmp_path / f"a.{format}"
    if format == "tiff":
        tifffile.imwrite(
            path, rgb, byteorder=order, photometric="rgb", metadata=None, extratags=[(274, "H", 1, orientation, True)]
        )
    else:
        exif = b"Exif\0\0" + exif_block(order, orientation)
        options = (
            {"lossless": True} if format == "webp" else {"quality": 100, "subsampling": 0} if format == "jpeg" else {}
        )
        PIL.Image.fromarray(rgb).save(path, exif=exif, **options)
    stored = PIL.Image.fromarray(np.asarray(PIL.Image.open(path).convert("RGB")))
    stored.getexif()[274] = orientation
    upright = np.asarray(PIL.ImageOps.exif_transpose(stored))
    image = read_image(path)
    if format != "tiff":  # Pillow turns a TIFF itself when it loads it
        np.testing.assert_array_equal(image.pixels, upright)
    again = tmp_path / f"b.{format}"
    write_image(image, again)
    assert PIL.Image.open(again).getexif().get(274, 1) == 1
    assert read_image(again).pixels.shape == image.pixels.shape
    assert image.pixels.shape[:2] == ((80, 48) if orientation > 4 else (48, 80))


def test_a_tiff_is_turned_as_its_orientation_says(tmp_path: Path) -> None:
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    turned = {3: rgb[::-1, ::-1], 6: np.rot90(rgb, -1), 8: np.rot90(rgb)}  # TIFF 6.0: 6 is to be turned clockwise
    for orientation, expected in turned.items():
        tifffile.imwrite(
            tmp_path / "a.tif", rgb, photometric="rgb", metadata=None, extratags=[(274, "H", 1, orientation, True)]
        )
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, expected)


Values = dict[int, tuple[int, int, bytes]]
"""Type, count and bytes of tags by number."""


def tiff_by_hand(order: str, tags: Values, children: dict[int, Values]) -> bytes:
    """A grey TIFF of 3x2 pixels with tags and directories of tags."""

    def directory(values: Values, at: int) -> bytes:
        entries, extra = struct.pack(f"{order}H", len(values)), b""
        after = at + 2 + 12 * len(values) + 4
        for number, (kind, count, data) in sorted(values.items()):
            entries += struct.pack(f"{order}HHI", number, kind, count)
            entries += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", after + len(extra))
            extra += b"" if len(data) <= 4 else data + b"\0" * (len(data) % 2)
        return entries + bytes(4) + extra

    def long(value: int) -> tuple[int, int, bytes]:
        return 4, 1, struct.pack(f"{order}I", value)

    body = b"\0\1\2\3\4\5"
    values = {256: long(3), 257: long(2), 259: long(1), 262: long(1), 273: long(8), 278: long(2), 279: long(6)} | tags
    values[258] = (3, 1, struct.pack(f"{order}H", 8))
    for number, child in children.items():
        values[number] = long(8 + len(body))
        body += directory(child, 8 + len(body))
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(body))
    return header + body + directory(values, 8 + len(body))


def tiff_directories(path: Path) -> tuple[dict[str, object], dict[str, object]]:
    """EXIF and GPS of a TIFF, as tifffile reads them."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        return tags["ExifTag"].value, tags["GPSTag"].value


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_keeps_exposure_position_and_texts_in_any_language(tmp_path: Path, order: str) -> None:
    def rationals(*numbers: int) -> tuple[int, int, bytes]:
        return 5, len(numbers) // 2, struct.pack(f"{order}{len(numbers)}I", *numbers)

    def text(value: bytes) -> tuple[int, int, bytes]:
        return 2, len(value) + 1, value + b"\0"

    exif = {33434: rationals(1, 250), 36867: text(b"2024:05:01 12:00:00"), 42036: text(b"50mm F1.8")}
    gps = {2: rationals(48, 1, 8, 1, 31, 2), 3: text(b"E")}
    (tmp_path / "a.tif").write_bytes(tiff_by_hand(order, {315: text(b"M\xfcller\xa9")}, {34665: exif, 34853: gps}))
    assert write_image(read_image(tmp_path / "a.tif"), tmp_path / "b.tif") == ()
    assert b"M\xfcller\xa9" in (tmp_path / "b.tif").read_bytes()
    before, after = (tiff_directories(tmp_path / name) for name in ("a.tif", "b.tif"))
    assert after == before
    exposure, position = after
    assert exposure == {"ExposureTime": (1, 250), "DateTimeOriginal": "2024:05:01 12:00:00", "LensModel": "50mm F1.8"}
    assert position["GPSLatitude"] == (48, 1, 8, 1, 31, 2)
    assert position["GPSLongitudeRef"] == "E"


def test_a_cmyk_jpeg_does_not_keep_a_profile_of_other_colours(tmp_path: Path) -> None:
    cmyk = PIL.Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).convert("CMYK")
    fake = SRGB[:16] + b"CMYK" + SRGB[20:]  # it says CMYK and cannot convert any
    cmyk.save(tmp_path / "a.jpg", icc_profile=fake)
    image = read_image(tmp_path / "a.jpg")
    assert image.pixels.shape == (8, 8, 3)
    assert image.metadata.icc == b""
    assert any("CMYK" in words for words in image.metadata.lost)
    assert any("CMYK" in words for words in write_image(image, tmp_path / "b.jpg"))
    assert "icc_profile" not in PIL.Image.open(tmp_path / "b.jpg").info


def refusal(path: Path) -> UnreadableImage | None:
    try:
        read_image(path)
    except UnreadableImage as error:
        return error
    return None


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["tiff", "png", "jpeg", "webp", "bmp"])
def test_whatever_a_damaged_file_provokes_is_told_of_that_file(tmp_path: Path, format: Format) -> None:
    rng = np.random.default_rng(0)
    image = Image(
        rng.integers(0, 256, (24, 31, 3), np.uint8), None, Metadata(exif=exif_block()), format, format != "jpeg"
    )
    data = encode_image(image if format != "bmp" else Image(image.pixels, format="bmp")).data
    refused = 0
    for number in range(150):
        spoilt = bytearray(data)
        for at in rng.integers(0, len(data), 1 + number % 4):
            spoilt[at] ^= int(rng.integers(1, 256))
        path = tmp_path / f"{number}.{format}"
        path.write_bytes(spoilt if number % 3 else spoilt[: int(rng.integers(1, len(data)))])
        error = refusal(path)
        if error is not None:
            refused += 1
            assert error.path == path
            assert error.reason
    assert refused > 20


def test_a_damaged_deflate_strip_is_an_unreadable_image(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((20, 20, 3), np.uint8), photometric="rgb", compression="zlib")
    data = bytearray(buffer.getvalue())
    data[bytes(data).rfind(b"\x78")] ^= 0xFF
    (tmp_path / "cut.tif").write_bytes(data)
    with pytest.raises(UnreadableImage, match="damaged"):
        read_image(tmp_path / "cut.tif")


@pytest.mark.parametrize(("format", "side"), [("webp", 16384), ("jpeg", 65501)])
def test_a_result_that_its_format_cannot_hold_offers_another_one(tmp_path: Path, format: Format, side: int) -> None:
    with pytest.raises(UnwritableOutput, match="PNG") as caught:
        write_image(Image(np.zeros((1, side, 3), np.uint8), format=format), tmp_path / "a")
    assert caught.value.path == tmp_path / "a"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("array", "dtype", "first"),
    [
        (np.full((4, 5), 0.25), np.float32, 0.25),
        (np.full((4, 5, 3), 0.25, np.float16), np.float32, 0.25),
        (np.ones((4, 5), bool), np.uint8, 255),
        (np.full((4, 5, 4), 7, np.uint16), np.uint16, 7),
    ],
)
def test_arrays_of_the_usual_types_are_taken(array: np.ndarray, dtype: type, first: float) -> None:
    image = Image.from_array(array)
    assert image.pixels.dtype == dtype
    assert image.pixels[0, 0, 0] == first
    assert (image.alpha is not None) == (array.shape[-1] == 4)


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 5), 1.5),
        np.full((4, 5), np.nan),
        np.full((4, 5), -0.5),
        np.zeros((4, 5), np.int64),
        np.zeros((3, 4, 5)),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5), complex),
    ],
)
def test_arrays_of_unknown_range_or_shape_are_refused_with_a_hint(array: np.ndarray) -> None:
    with pytest.raises(UsageError) as caught:
        Image.from_array(array)
    assert caught.value.hint


def test_opencv_agrees_on_what_is_written(tmp_path: Path) -> None:
    rgb = np.random.default_rng(2).integers(0, 65536, (5, 6, 3), np.uint16)
    write_image(Image(rgb, metadata=Metadata(exif_block(), SRGB)), tmp_path / "a.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"), -1)[..., ::-1], rgb)
