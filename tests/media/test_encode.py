import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from PIL.JpegImagePlugin import get_sampling

from restorekit.errors import UnwritableOutput
from restorekit.media import encode
from restorekit.media.decode import read_image
from restorekit.media.encode import check_storable, encode_image, write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Metadata
from restorekit.media.sniff import Format

RGBA = np.random.default_rng(4).integers(0, 256, (6, 9, 4), np.uint8)


def opened(data: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(("format", "side"), [("webp", 16384), ("jpeg", 65501)])
def test_a_result_that_its_format_cannot_hold_offers_another_one(tmp_path: Path, format: Format, side: int) -> None:
    with pytest.raises(UnwritableOutput, match="PNG") as caught:
        write_image(Image(np.zeros((1, side, 3), np.uint8), format=format), tmp_path / "a")
    assert caught.value.path == tmp_path / "a"
    assert str(side) in caught.value.reason
    assert list(tmp_path.iterdir()) == []
    check_storable(format, 1, side - 1)
    check_storable("png", 1, side)


def test_the_largest_sides_are_indeed_stored() -> None:
    for format, side in (("webp", 16383), ("jpeg", 65500)):
        assert opened(encode_image(Image(np.zeros((1, side, 3), np.uint8), format=format)).data).shape == (1, side, 3)


def test_jpeg_refuses_alpha_instead_of_dropping_it(tmp_path: Path) -> None:
    with pytest.raises(UnwritableOutput, match="no alpha"):
        write_image(Image(RGBA[..., :3], RGBA[..., 3], format="jpeg"), tmp_path / "a")


@pytest.mark.parametrize(
    ("format", "dtype", "expected", "lost"),
    [
        ("png", np.float32, [0, 32768, 65535], ("float32 rounded to uint16: PNG files hold no more",)),
        ("bmp", np.float32, [0, 128, 255], ("float32 rounded to uint8: BMP files hold no more",)),
        ("bmp", np.uint16, [0, 127, 255], ("uint16 rounded to uint8: BMP files hold no more",)),
        ("tiff", np.float32, [0, 0.5, 1], ()),
    ],
)
def test_depth_that_a_format_lacks_is_rounded_and_said(
    format: Format, dtype: type, expected: list[float], lost: tuple[str, ...]
) -> None:
    values = np.array([[0, 0.5, 1]]) * (1 if dtype is np.float32 else 65535)
    encoded = encode_image(Image(values.astype(dtype)[..., None].repeat(3, axis=2), format=format))
    assert encoded.lost == lost
    if format == "bmp":
        assert opened(encoded.data)[0, :, 0].tolist() == expected
    elif format == "tiff":
        assert tifffile.imread(io.BytesIO(encoded.data))[0, :, 0].tolist() == expected
    else:
        assert (opened(encoded.data)[0, :, 0] == np.array(expected) // 256).all()  # Pillow reads 16-bit RGB in 8


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_of_several_chunks_has_the_same_pixels(
    channels: int, dtype: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(encode, "MOST_IN_CHUNK", 50)
    samples = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 11, channels), dtype)
    alpha = samples[..., -1] if channels in (2, 4) else None
    image = Image(np.asfortranarray(samples[..., : channels - (alpha is not None)]), alpha)
    write_image(image, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().count(b"IDAT") > 1
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").to_array(), image.to_array())


def test_bmp_keeps_alpha_and_states_a_resolution_only_where_there_is_one() -> None:
    image = Image(RGBA[..., :3], RGBA[..., 3], format="bmp")
    assert np.array_equal(opened(encode_image(image).data), RGBA)
    assert "dpi" not in PIL.Image.open(io.BytesIO(encode_image(image).data)).info
    stated = Image(RGBA[..., :3], metadata=Metadata(resolution=(300, 150)), format="bmp")
    assert PIL.Image.open(io.BytesIO(encode_image(stated).data)).info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_what_reading_lost_and_what_writing_loses_come_together(tmp_path: Path) -> None:
    source = Image(RGBA[..., :3], metadata=Metadata(xmp=b"<x/>", lost=("Photoshop layers dropped",)), format="bmp")
    assert write_image(source, tmp_path / "a") == (
        "Photoshop layers dropped",
        "XMP dropped: BMP files have no place for it",
    )


def test_whatever_an_encoder_raises_names_the_file_and_keeps_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ZeroDivisionError("x")

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tifffile.imwrite", fails)
    with pytest.raises(UnwritableOutput, match="tiff") as caught:
        write_image(Image(RGBA[..., :3], format="tiff"), tmp_path / "a")
    assert (caught.value.path, caught.value.__cause__) == (tmp_path / "a", error)


def test_a_lossy_webp_is_written_lossy(tmp_path: Path) -> None:
    PIL.Image.fromarray(RGBA[..., :3]).save(tmp_path / "a", "WEBP", quality=95)
    image = read_image(tmp_path / "a")
    assert not image.lossless
    assert b"VP8 " in encode_image(image).data[:64]


def test_a_jpeg_keeps_the_resolution_of_its_colours() -> None:
    encoded = encode_image(Image(RGBA[..., :3], format="jpeg"))
    assert get_sampling(PIL.Image.open(io.BytesIO(encoded.data))) == 0  # 4:4:4
