import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from restorekit.errors import UnreadableImage
from restorekit.media import strips_jpeg, strips_png, strips_tiff
from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.large import open_large
from restorekit.media.rows import RowReader

SOME = 2000  # bytes that are decoded at once here: a few rows, one or two pieces


@pytest.fixture(autouse=True)
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (strips_jpeg, strips_png, strips_tiff):
        monkeypatch.setattr(module, "STRIP_BYTES", SOME)


def all_rows(reader: RowReader) -> np.ndarray:
    """In overlapping bands, as tiles read them."""
    starts = range(0, reader.height, 17)
    parts = [reader.rows(max(0, start - 5), min(start + 17, reader.height))[min(start, 5) :] for start in starts]
    return np.concatenate(parts)


def read_by_rows(path: Path) -> np.ndarray:
    large = open_large(path)
    assert large is not None
    return all_rows(large.colours())


def assert_equal_to_the_whole(path: Path) -> None:
    whole, large = read_image(path), open_large(path)
    assert large is not None
    assert large.size == whole.size
    assert large.metadata == whole.metadata
    assert large.metadata.lost == whole.metadata.lost
    assert large.format == whole.format
    colours, alpha = all_rows(large.colours()), large.alpha()
    assert colours.dtype == whole.pixels.dtype
    assert np.array_equal(colours, whole.pixels)
    assert (alpha is None) == (whole.alpha is None)
    assert alpha is None or np.array_equal(all_rows(alpha)[..., 0], whole.alpha)


def deep(photo: np.ndarray, dtype: str) -> np.ndarray:
    return {
        "uint8": photo,
        "uint16": photo.astype(np.uint16) * 257 + np.uint16(3),
        "float32": (photo / 255).astype(np.float32),
    }[dtype]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"compression": "zlib", "rowsperstrip": 7},
        {"rowsperstrip": 1, "byteorder": ">"},
        {"tile": (16, 32), "compression": "zlib"},
        {"tile": (64, 64), "bigtiff": True, "byteorder": ">"},
        {"bigtiff": True, "compression": "zlib", "rowsperstrip": 50},
    ],
    ids=["one strip", "deflated strips", "single rows", "deflated tiles", "BigTIFF tiles", "BigTIFF strips"],
)
def test_a_tiff_read_by_rows_is_the_same_as_whole(
    photo: np.ndarray, tmp_path: Path, dtype: str, layout: dict[str, object]
) -> None:
    samples = deep(photo[:101, :67], dtype)
    tifffile.imwrite(tmp_path / "rgb.tif", samples, photometric="rgb", **layout)
    grey_alpha = samples[..., :2]
    tifffile.imwrite(
        tmp_path / "la.tif",
        grey_alpha,
        photometric="minisblack",
        extrasamples=["unassalpha"],
        planarconfig="contig",
        **layout,
    )
    assert_equal_to_the_whole(tmp_path / "rgb.tif")
    assert_equal_to_the_whole(tmp_path / "la.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_other_compressions_and_palettes_of_a_tiff_are_the_same_as_whole(
    photo: np.ndarray, tmp_path: Path, compression: str, mode: str
) -> None:
    if (compression, mode) == ("jpeg", "P"):
        pytest.skip("there is no such file")
    path = tmp_path / "image.tif"
    PIL.Image.fromarray(photo).convert(mode).save(path, compression=compression, dpi=(300, 300))
    assert_equal_to_the_whole(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_png_read_by_rows_is_the_same_as_whole(photo: np.ndarray, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.png"
    PIL.Image.fromarray(photo).convert(mode).save(path, dpi=(300, 300))  # Pillow uses all five filters
    assert_equal_to_the_whole(path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_deep_png_read_by_rows_is_the_same_as_whole(
    photo: np.ndarray, tmp_path: Path, channels: int, alpha: bool
) -> None:
    samples = deep(photo, "uint16")
    write_image(Image(samples[..., :channels], samples[..., 2] if alpha else None), tmp_path / "image.png")
    assert_equal_to_the_whole(tmp_path / "image.png")


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_read_by_rows_is_the_same_as_whole(
    photo: np.ndarray, tmp_path: Path, subsampling: int, mode: str
) -> None:
    pytest.importorskip("pyvips")
    exif = PIL.Image.Exif()
    exif[0x10F] = "maker"
    path = tmp_path / "image.jpg"
    PIL.Image.fromarray(photo).convert(mode).save(path, quality=90, subsampling=subsampling, exif=exif, comment="words")
    assert_equal_to_the_whole(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("size", [(1, 60), (60, 1), (1, 1), (17, 33), (18, 34)])
def test_images_of_any_size_are_read_by_rows(
    photo: np.ndarray, tmp_path: Path, suffix: str, size: tuple[int, int]
) -> None:
    path = tmp_path / f"image.{suffix}"
    write_image(Image(np.ascontiguousarray(photo[: size[0], : size[1]])), path)
    assert_equal_to_the_whole(path)


def test_strips_may_lie_in_any_order_in_the_file(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, photo, photometric="rgb", rowsperstrip=16, compression="zlib")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        at = page.tags["StripOffsets"].valueoffset
        strips = [
            data[start : start + length] for start, length in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
    offsets = []
    for strip in reversed(strips):
        offsets.insert(0, len(data))
        data += strip
    struct.pack_into(f"<{len(offsets)}I", data, at, *offsets)
    path.write_bytes(data)
    assert_equal_to_the_whole(path)


def test_a_bigtiff_is_read_beyond_four_gigabytes(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    row = photo[:1, :64]
    tifffile.imwrite(path, row, photometric="rgb", bigtiff=True)
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags["StripOffsets"]
        assert tag.dtype == 16
        at = tag.valueoffset
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(struct.pack("<Q", 5 << 30))
        stream.seek(5 << 30)  # the file has a hole before it
        stream.write(row.tobytes())
    large = open_large(path)
    assert large is not None
    assert np.array_equal(large.colours().rows(0, 1), row)


def interlaced(photo: np.ndarray) -> bytes:
    """The header says so; nothing else of the file is looked at."""
    stream = io.BytesIO()
    PIL.Image.fromarray(photo).save(stream, "PNG")
    data = stream.getvalue()
    return data[:28] + b"\1" + struct.pack(">I", zlib.crc32(data[12:28] + b"\1")) + data[33:]


def test_what_can_only_be_decoded_whole_is_left_to_it(photo: np.ndarray, tmp_path: Path) -> None:
    image, turned = PIL.Image.fromarray(photo), PIL.Image.Exif()
    turned[274] = 6
    image.convert("P").save(tmp_path / "palette.png")
    (tmp_path / "interlaced.png").write_bytes(interlaced(photo))
    image.save(tmp_path / "turned.png", exif=turned)
    image.save(tmp_path / "animated.png", save_all=True, append_images=[image.rotate(90)])
    image.save(tmp_path / "turned.jpg", exif=turned)
    image.save(tmp_path / "progressive.jpg", progressive=True)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    image.save(tmp_path / "image.webp")
    (tmp_path / "image.txt").write_text("no image")
    opened = {path.name: open_large(path) for path in (*tmp_path.iterdir(), tmp_path / "absent.png")}
    assert len(opened) == 11
    assert all(large is None for large in opened.values()), opened


def test_a_tiff_of_several_pages_is_refused(photo: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([photo, photo]), photometric="rgb")
    with pytest.raises(UnreadableImage, match="several pages"):
        open_large(tmp_path / "pages.tif")


@pytest.mark.parametrize("name", ["strips.tif", "tiles.tif", "image.png", "image.jpg"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_file_that_is_cut_off_is_damaged(photo: np.ndarray, tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    if name == "image.jpg":
        pytest.importorskip("pyvips")
    if name.endswith(".tif"):
        layout = {"tile": (16, 16)} if name == "tiles.tif" else {"rowsperstrip": 8}
        tifffile.imwrite(path, photo, photometric="rgb", compression="zlib", **layout)
    else:
        PIL.Image.fromarray(photo).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableImage, match="damaged or cut off") as caught:
        read_by_rows(path)
    assert caught.value.path == path


def test_a_header_that_claims_more_than_is_read_is_refused(photo: np.ndarray, tmp_path: Path) -> None:
    for suffix in ("png", "tif", "jpg"):
        path = tmp_path / f"image.{suffix}"
        PIL.Image.fromarray(photo).save(path)
        with pytest.raises(UnreadableImage, match="160x128 pixels"):
            open_large(path, photo.shape[0] * photo.shape[1] - 1)
