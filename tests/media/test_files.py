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

from restorekit.errors import UnreadableImage, UnwritableOutput
from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.image import Image

ICC = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


def samples(dtype: type, channels: int, shape: tuple[int, int] = (19, 31)) -> np.ndarray:
    values = np.random.default_rng(channels).random((*shape, channels))
    if dtype is not np.float32:
        values *= np.iinfo(dtype).max
    values = values.astype(dtype)
    if channels in (2, 4):
        values[:4, :4, -1] = 0
        values[4:8, :4, -1] = 1 if dtype is np.float32 else np.iinfo(dtype).max
    return values[..., 0] if channels == 1 else values


def exif(orientation: int) -> bytes:
    tags = PIL.Image.Exif()
    tags[0x010F] = "maker"
    tags[0x0112] = orientation
    return tags.tobytes()


def same(first: Image, second: Image) -> bool:
    assert first.pixels.dtype == second.pixels.dtype
    assert first.metadata == second.metadata
    alphas = (first.alpha is None, second.alpha is None)
    assert alphas in ((True, True), (False, False))
    return np.array_equal(first.pixels, second.pixels) and (alphas[0] or np.array_equal(first.alpha, second.alpha))


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp", "x.bmp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_reading_and_writing_keeps_every_pixel(tmp_path: Path, name: str, channels: int, dtype: type) -> None:
    kinds = {"x.png": (np.uint8, np.uint16), "x.tif": (np.uint8, np.uint16, np.float32)}
    if (
        dtype not in kinds.get(name, (np.uint8,))
        or (name == "x.webp" and channels < 3)
        or (name == "x.bmp" and channels in (2, 4))
    ):
        pytest.skip("the format cannot hold this")
    if name == "x.png" and dtype is np.uint16 and channels == 2:
        pytest.skip("no library writes 16-bit grey with alpha")
    source = samples(dtype, channels)
    path = tmp_path / f"ü {name}"
    if name == "x.tif":
        extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
        tifffile.imwrite(
            path, source, photometric="rgb" if channels > 2 else "minisblack", resolution=(300, 200), **extra
        )
    elif dtype is np.uint16:
        order = {1: np.s_[...], 3: np.s_[..., [2, 1, 0]], 4: np.s_[..., [2, 1, 0, 3]]}[channels]  # OpenCV's is BGR
        path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(source[order]))[1].tobytes())
    else:
        options = {"lossless": True, "exact": True} if name == "x.webp" else {"dpi": (300, 200)}
        PIL.Image.fromarray(source).save(path, **options)
    read = read_image(path)
    assert read.pixels.shape[2] == (3 if channels > 2 else 1)
    colours = source[..., None] if channels == 1 else source[..., : 3 if channels > 2 else 1]
    assert np.array_equal(read.pixels, colours)
    if channels in (2, 4):
        assert np.array_equal(read.alpha, source[..., -1])
    write_image(read, tmp_path / "again")
    assert same(read, read_image(tmp_path / "again"))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_icc_and_resolution_survive(tmp_path: Path, format: str) -> None:
    path = tmp_path / "x"
    options = {} if format == "WEBP" else {"dpi": (240, 120)}
    image = PIL.Image.fromarray(samples(np.uint8, 3))
    if format == "TIFF":
        image.save(path, format, icc_profile=ICC, tiffinfo={271: "maker"}, **options)
    else:
        image.save(path, format, exif=exif(1), icc_profile=ICC, **options)
    write_image(read_image(path), tmp_path / "again")
    written = PIL.Image.open(tmp_path / "again")
    assert written.format == format
    assert written.info["icc_profile"] == ICC
    assert written.getexif()[0x010F] == "maker"
    if format != "WEBP":
        assert written.info["dpi"] == pytest.approx((240, 120), abs=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_applied_once_and_reset(tmp_path: Path, orientation: int, format: str) -> None:
    path = tmp_path / "x"
    source = PIL.Image.fromarray(np.kron(samples(np.uint8, 3, (3, 4)), np.ones((16, 16, 1), np.uint8)))
    if format == "TIFF":
        source.save(path, format, tiffinfo={274: orientation})
    else:
        source.save(path, format, exif=exif(orientation))
    upright = source.copy()
    upright.getexif()[0x0112] = orientation

    expected = np.asarray(PIL.ImageOps.exif_transpose(upright))
    read = read_image(path)
    assert read.pixels.shape == expected.shape
    assert np.abs(read.pixels.astype(int) - expected).mean() < 10  # JPEG; a wrong orientation is off by 80
    write_image(read, tmp_path / "again")
    again = PIL.Image.open(tmp_path / "again")
    assert again.getexif().get(0x0112, 1) == 1
    assert np.asarray(again).shape == expected.shape


def test_lzw_tiff_is_read(tmp_path: Path) -> None:
    source = samples(np.uint8, 3)
    PIL.Image.fromarray(source).save(tmp_path / "x.tif", compression="tiff_lzw")
    assert np.array_equal(read_image(tmp_path / "x.tif").pixels, source)


def test_palette_and_bilevel_pictures_keep_their_colours(tmp_path: Path) -> None:
    bilevel = PIL.Image.fromarray(samples(np.uint8, 1) > 127)
    bilevel.save(tmp_path / "1.png")
    assert np.array_equal(read_image(tmp_path / "1.png").pixels[..., 0], np.asarray(bilevel) * np.uint8(255))
    palette = PIL.Image.fromarray(samples(np.uint8, 3)).quantize(16)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png").pixels, np.asarray(palette.convert("RGB")))


def damaged(path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    noise = PIL.Image.fromarray(samples(np.uint8, 3, (200, 200)))
    if kind == "cut jpeg":
        noise.save(buffer, "JPEG", quality=95)
        path.write_bytes(buffer.getvalue()[:9000])
    elif kind == "cut png":
        noise.save(buffer, "PNG")
        path.write_bytes(buffer.getvalue()[:-30])
    elif kind == "cut 16-bit png":
        path.write_bytes(cv2.imencode(".png", samples(np.uint16, 3, (200, 200)))[1].tobytes()[:50000])
    elif kind == "cut tiff":
        tifffile.imwrite(buffer, samples(np.uint8, 3, (200, 200)), photometric="rgb")
        path.write_bytes(buffer.getvalue()[:5000])
    elif kind == "text":
        path.write_text("I am no picture.")
    elif kind == "empty":
        path.touch()
    elif kind == "bomb":
        noise.save(buffer, "PNG")
        data = bytearray(buffer.getvalue())
        struct.pack_into(">II", data, 16, 60000, 60000)
        import zlib

        struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
        path.write_bytes(bytes(data))
    elif kind == "animation":
        noise.save(path, "PNG", save_all=True, append_images=[noise.rotate(90)])
    elif kind == "pages":
        tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint8), photometric="minisblack")
    elif kind == "float out of range":
        tifffile.imwrite(path, np.full((8, 8), 200, np.float32), photometric="minisblack")
    elif kind == "not a number":
        tifffile.imwrite(path, np.full((8, 8), np.nan, np.float32), photometric="minisblack")
    elif kind == "float64":
        tifffile.imwrite(path, np.zeros((8, 8)), photometric="minisblack")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("cut jpeg", "cut off"),
        ("cut png", "cut off"),
        ("cut 16-bit png", "cut off"),
        ("cut tiff", "cut off"),
        ("text", "no PNG"),
        ("empty", "empty"),
        ("bomb", "pixels"),
        ("animation", "animation"),
        ("pages", "pages"),
        ("float out of range", "0 to 1"),
        ("not a number", "nan"),
        ("float64", "float64"),
        ("absent", "cannot be read"),
    ],
)
def test_bad_files_are_refused_with_file_reason_and_hint(tmp_path: Path, kind: str, word: str) -> None:
    path = tmp_path / "x.png"
    damaged(path, kind)
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    assert caught.value.path == path
    assert word in str(caught.value)
    assert caught.value.hint


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.png"
    target.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UnwritableOutput, match="No space left"):
        write_image(Image(samples(np.uint8, 3)), target)
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]
    assert target.read_bytes() == b"old"


def test_grey_restored_as_rgb_stays_grey() -> None:
    picture = Image(np.array([[[10], [20]]], np.uint8))
    restored = picture.with_rgb(np.array([[[10, 11, 12], [20, 20, 21]]], np.uint8))
    assert restored.pixels.tolist() == [[[11], [20]]]
