import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import pytest
import tifffile
from tiff_files import RATIONAL, SHORT, UNDEFINED, exif_block, tag, tiff_file

from restorekit.errors import UnreadableImage
from restorekit.media.decode import megapixels, read_image, read_rgb8
from restorekit.media.encode import encode_image, write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Metadata
from restorekit.media.sniff import Format

RNG = np.random.default_rng(5)
GREY, RGB, RGBA = (RNG.integers(0, 256, (6, 9, *channels), np.uint8) for channels in ((), (3,), (4,)))
SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


def read(data: bytes, tmp_path: Path) -> Image:
    (tmp_path / "x").write_bytes(data)
    return read_image(tmp_path / "x")


def lzw(pixels: np.ndarray) -> bytes:
    """A TIFF that tifffile cannot decode by itself."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "TIFF", compression="tiff_lzw")
    return buffer.getvalue()


def cmyk_profile() -> bytes:
    """A CMYK profile, ICC.1:2022 sections 7, 10.10: cyan ink is sRGB red, black ink black, the others do nothing."""
    clut = b""
    for corner in range(16):  # of the CMYK cube, cyan slowest
        cyan, black = corner >> 3 & 1, corner & 1
        light, a, b = (0, 0, 0) if black else (54.29, 80.80, 69.89) if cyan else (100, 0, 0)  # Lab under D50
        clut += bytes([round(light * 2.55), round(a + 128), round(b + 128)])
    identity = struct.pack(">9i", *(65536 * (number in (0, 4, 8)) for number in range(9)))
    tables = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + tables * 4 + clut + tables * 3
    paper = b"XYZ \0\0\0\0" + struct.pack(">3i", 50552, 52429, 43249)  # 0.8 of white, yet it shall become white
    texts = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(4 + 4 + 2 + 1 + 67)
    count, at, directory, body = 3, 128 + 4 + 12 * 3, b"", b""
    for name, content in ((b"A2B0", lut), (b"wtpt", paper), (b"desc", texts)):
        directory += name + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", count) + directory + body


def inks(cyan: int, black: int) -> PIL.Image.Image:
    return PIL.Image.new("CMYK", (16, 16), (cyan, 0, 0, black))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("cyan", "black", "rgb"), [(255, 0, (255, 0, 0)), (0, 0, (255, 255, 255)), (0, 255, (0, 0, 0))]
)
def test_a_cmyk_profile_decides_the_colours_and_is_replaced(
    tmp_path: Path, format: str, cyan: int, black: int, rgb: tuple[int, int, int]
) -> None:
    buffer = io.BytesIO()
    inks(cyan, black).save(buffer, format, icc_profile=cmyk_profile(), quality=100)
    image = read(buffer.getvalue(), tmp_path)
    assert (
        np.abs(image.pixels.astype(int) - rgb).max() <= 6
    )  # 8-bit Lab; without the profile, cyan would be (0, 255, 255)
    assert image.metadata.lost == ("CMYK profile replaced by sRGB",)
    write_image(image, tmp_path / "again")
    profile = PIL.Image.open(tmp_path / "again").info["icc_profile"]
    assert profile[24:36] == b"\x07\xd0\0\1\0\1\0\0\0\0\0\0"  # 1 January 2000: the same bytes on any day
    assert PIL.ImageCms.getProfileDescription(PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))).startswith("sRGB")


def test_cmyk_without_a_profile_is_said_to_be_approximate(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    inks(255, 0).save(buffer, "JPEG", quality=100)
    image = read(buffer.getvalue(), tmp_path)
    assert np.abs(image.pixels.astype(int) - (0, 255, 255)).max() <= 2
    assert image.metadata.icc == b""
    assert image.metadata.lost == ("CMYK converted to RGB approximately: it has no profile",)


def test_a_profile_of_other_colours_than_the_pixels_is_dropped(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, "JPEG", icc_profile=cmyk_profile())
    image = read(buffer.getvalue(), tmp_path)
    assert (image.metadata.icc, image.metadata.lost) == (b"", ("CMYK profile dropped: the pixels are RGB",))


def test_a_lab_tiff_becomes_srgb(tmp_path: Path) -> None:
    patch = np.full((4, 4, 3), (200, 80, 40), np.uint8)
    lab = PIL.ImageCms.profileToProfile(
        PIL.Image.fromarray(patch),
        PIL.ImageCms.createProfile("sRGB"),
        PIL.ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    buffer = io.BytesIO()
    lab.info.clear()  # its profile
    lab.save(buffer, "TIFF")
    image = read(buffer.getvalue(), tmp_path)
    assert np.abs(image.pixels.astype(int) - patch).max() <= 3
    assert image.metadata.lost == ("Lab colours replaced by sRGB",)


def test_a_grey_palette_with_an_rgb_profile_stays_rgb(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    palette = PIL.Image.fromarray(GREY).convert("P")
    palette.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    palette.save(buffer, "PNG", icc_profile=SRGB)
    image = read(buffer.getvalue(), tmp_path)
    assert image.pixels.shape == (6, 9, 3)
    assert image.metadata.icc == SRGB


def test_white_is_zero_in_a_compressed_tiff_too(tmp_path: Path) -> None:
    compressed = bytearray(lzw(GREY))
    with tifffile.TiffFile(io.BytesIO(lzw(GREY))) as file:
        struct.pack_into("<H", compressed, file.pages.first.tags["PhotometricInterpretation"].valueoffset, 0)
    assert np.array_equal(read(bytes(compressed), tmp_path).pixels[..., 0], 255 - GREY)
    plain = tiff_file("<", GREY, {262: tag(SHORT, 0)})
    assert np.array_equal(read(plain, tmp_path).pixels[..., 0], 255 - GREY)


def test_colours_multiplied_by_alpha_stay_so_in_a_compressed_tiff(tmp_path: Path) -> None:
    premultiplied = np.minimum(RGBA, RGBA[..., 3:])
    image = read(tiff_file("<", premultiplied, {338: tag(SHORT, 1)}, packbits=True), tmp_path)
    assert np.array_equal(image.to_array(), premultiplied)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_a_compressed_tiff_is_alpha_and_does_not_darken_colours(tmp_path: Path, channels: int) -> None:
    samples = RGBA if channels == 4 else RGBA[..., 2:]
    image = read(lzw(samples), tmp_path)
    assert np.array_equal(np.dstack([image.pixels, image.alpha]), samples)


@pytest.mark.parametrize("profile", [SRGB, SRGB[:-1]], ids=["even length", "odd length"])
def test_a_lossless_webp_stays_lossless_behind_a_long_profile(tmp_path: Path, profile: bytes) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, "WEBP", lossless=True, exact=True, icc_profile=profile)
    image = read(buffer.getvalue(), tmp_path)
    assert image.lossless
    write_image(image, tmp_path / "again")
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "again")), RGB)


def test_the_transparent_grey_of_a_16_bit_png_is_transparent(tmp_path: Path) -> None:
    pixels = np.array([[1000, 2000], [2000, 65535]], np.uint16)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 0, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">H", 2000)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    image = read(data, tmp_path)
    assert image.pixels[..., 0].tolist() == pixels.tolist()
    assert image.alpha.tolist() == [[65535, 0], [0, 65535]]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (tiff_file("<", RGB, {50706: tag(UNDEFINED, b"\1\4\0\0")}), "raw file"),
        (tiff_file("<", np.zeros((6, 9, 5), np.uint8), {338: tag(SHORT, 0, 0)}), "5 channels"),
        (tiff_file("<", RGBA[..., :2].astype(np.uint16), {338: tag(SHORT, 2)}, packbits=True), "2 channels"),
        (tiff_file("<", GREY.astype(np.uint16), {258: tag(SHORT, 12)}, packbits=True), "12 bits"),
    ],
    ids=["raw", "five channels", "alpha that no decoder reads", "twelve bits"],
)
def test_a_tiff_that_would_lose_something_is_refused(tmp_path: Path, data: bytes, word: str) -> None:
    with pytest.raises(UnreadableImage, match=word) as caught:
        read(data, tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "error", [zlib.error("x"), IndexError(), TypeError("x"), ZeroDivisionError(), RecursionError()]
)
def test_whatever_a_decoder_raises_names_the_file_and_keeps_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("tifffile.TiffPage.asarray", fails)
    with pytest.raises(UnreadableImage, match=str(error) or type(error).__name__) as caught:
        read(tiff_file("<", RGB, {}), tmp_path)
    assert caught.value.path == tmp_path / "x"
    assert caught.value.__cause__ is error


def test_size_is_known_from_the_header_alone(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:60])
    (tmp_path / "x.tif").write_bytes(tiff_file(">", RGB, {}))
    (tmp_path / "none.png").write_bytes(b"nothing")
    sizes = [megapixels(tmp_path / name) for name in ("cut.png", "x.tif", "none.png", "absent.png")]
    assert sizes == [54e-6, 54e-6, 0, 0]
    assert megapixels(tmp_path / "x.tif", max_pixels=53) == 0  # it is not going to be restored


@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0"}, {"lossless": True, "icc_profile": SRGB}]
)
def test_the_size_of_a_webp_is_known_before_pillow_takes_memory_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    PIL.Image.new("RGB", (300, 1025), (1, 2, 3)).save(tmp_path / "x.webp", **options)
    monkeypatch.setattr("restorekit.media.decode.READERS", {})
    assert megapixels(tmp_path / "x.webp") == 0.3075
    with pytest.raises(UnreadableImage, match="300x1025 pixels"):
        read_image(tmp_path / "x.webp", max_pixels=300 * 1025 - 1)


def test_training_gets_three_channels_of_eight_bits(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 65535]], np.uint16)  # 128/257 rounds to 0, 129/257 to 1
    (tmp_path / "x.png").write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    assert read_rgb8(tmp_path / "x.png").tolist() == [[[0] * 3, [0] * 3, [1] * 3, [255] * 3]]


def test_lzw_tiff_is_read(tmp_path: Path) -> None:
    assert np.array_equal(read(lzw(RGB), tmp_path).pixels, RGB)


def test_palette_and_bilevel_images_keep_their_colours(tmp_path: Path) -> None:
    bilevel = PIL.Image.fromarray(GREY > 127)
    bilevel.save(tmp_path / "1.png")
    assert np.array_equal(read_image(tmp_path / "1.png").pixels[..., 0], np.asarray(bilevel) * np.uint8(255))
    palette = PIL.Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png").pixels, np.asarray(palette.convert("RGB")))


def damaged(path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    samples = RNG.integers(0, 256, (200, 200, 3), np.uint8)
    noise = PIL.Image.fromarray(samples)
    if kind == "cut jpeg":
        noise.save(buffer, "JPEG", quality=95)
        path.write_bytes(buffer.getvalue()[:9000])
    elif kind == "cut png":
        noise.save(buffer, "PNG")
        path.write_bytes(buffer.getvalue()[:-30])
    elif kind == "cut 16-bit png":
        deep = RNG.integers(0, 65536, (200, 200, 3), np.uint16)
        path.write_bytes(cv2.imencode(".png", deep)[1].tobytes()[:50000])
    elif kind == "cut tiff":
        tifffile.imwrite(buffer, samples, photometric="rgb")
        path.write_bytes(buffer.getvalue()[:5000])
    elif kind == "text":
        path.write_text("I am no image.")
    elif kind == "empty":
        path.touch()
    elif kind == "bomb":
        noise.save(buffer, "PNG")
        data = bytearray(buffer.getvalue())
        struct.pack_into(">II", data, 16, 60000, 60000)
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
        ("not a number", "not all finite"),
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
    metadata = Metadata(exif=b"" if format == "bmp" else exif_block("<", {34665: {33434: tag(RATIONAL, 1, 250)}}))
    data = encode_image(Image(rng.integers(0, 256, (24, 31, 3), np.uint8), metadata=metadata, format=format)).data
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


@pytest.mark.parametrize("at", [5000, -100, -14], ids=["early", "late", "checksum"])
def test_a_16_bit_png_with_a_changed_byte_is_refused(tmp_path: Path, at: int) -> None:
    data = bytearray(cv2.imencode(".png", RNG.integers(0, 65536, (200, 200, 3), np.uint16))[1].tobytes())
    data[at] ^= 0x55
    with pytest.raises(UnreadableImage, match="damaged"):
        read(bytes(data), tmp_path)


def test_a_damaged_deflate_strip_is_an_unreadable_image(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((20, 20, 3), np.uint8), photometric="rgb", compression="zlib")
    data = bytearray(buffer.getvalue())
    data[bytes(data).rfind(b"\x78")] ^= 0xFF
    (tmp_path / "cut.tif").write_bytes(data)
    with pytest.raises(UnreadableImage, match="damaged"):
        read_image(tmp_path / "cut.tif")


def test_a_bmp_states_whole_pixels_per_metre(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, "BMP")
    data = bytearray(buffer.getvalue())
    struct.pack_into("<ii", data, 38, 66220, 10000)
    assert read(bytes(data), tmp_path).metadata.resolution == pytest.approx((1681.988, 254), abs=1e-9)


def jpeg_that_claims(width: int, height: int, pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", **options)
    data = bytearray(buffer.getvalue())
    at = max(bytes(data).find(b"\xff\xc0"), bytes(data).find(b"\xff\xc2"))
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("pixels", [GREY, RGB])
def test_a_jpeg_far_too_short_for_its_header_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: np.ndarray, progressive: bool
) -> None:
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match="fewer pixels than its header promises"):
        read(jpeg_that_claims(13000, 13000, pixels, progressive=progressive), tmp_path)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
@pytest.mark.parametrize(("height", "taken"), [(6, True), (7, False), (12, False), (9000, False)])
def test_a_png_that_ends_early_is_refused_and_one_that_ends_black_is_not(
    tmp_path: Path, mode: str, height: int, taken: bool
) -> None:
    pixels = RGB.copy()
    pixels[-1] = 0
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    struct.pack_into(">I", data, 20, height)
    struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
    if taken:
        assert read(bytes(data), tmp_path).size == (6, 9)
    else:
        with pytest.raises(UnreadableImage, match="fewer pixels than its header promises"):
            read(bytes(data), tmp_path)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_8_bits_is_decoded_without_pillow_whatever_its_filters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    pixels = RNG.integers(0, 256, (6, 9, channels), np.uint8)
    rows, above = b"", np.zeros((9 + 1, channels), int)
    for row, kind in zip(np.pad(pixels.astype(int), ((0, 0), (1, 0), (0, 0))), [4, 3, 2, 1, 0, 4], strict=True):
        left, corner, up = row[:-1], above[:-1], above[1:]
        estimate = left + up - corner  # PNG, section 9.4
        near = np.abs(estimate - np.stack([left, up, corner])).argmin(axis=0)  # the first of equals, in this order
        paeth = np.choose(near, [left, up, corner])
        predicted = [0 * up, left, up, (left + up) // 2, paeth][kind]
        rows += bytes([kind]) + (row[1:] - predicted).astype(np.uint8).tobytes()
        above = row

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packed, colour = zlib.compress(rows), {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 6, 8, colour, 0, 0, 0))
    data += chunk(b"IDAT", packed[:20]) + chunk(b"IDAT", packed[20:]) + chunk(b"IEND", b"")
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded by Pillow"))
    assert read(data, tmp_path).to_array().reshape(6, 9, -1).tolist() == pixels.tolist()


def test_a_png_with_a_wrong_checksum_or_an_unknown_filter_is_refused(tmp_path: Path) -> None:
    data = encode_image(Image(RGB)).data
    start = data.index(b"IDAT") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = bytearray(zlib.decompress(data[start : start + length]))
    rows[0] = 7
    for packed in (data[start : start + length - 4] + b"1234", zlib.compress(rows)):
        chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
        with pytest.raises(UnreadableImage, match="damaged"):
            read(data[: start - 8] + chunk + data[start + length + 4 :], tmp_path)


@pytest.mark.parametrize("lacking", [0, 1])
def test_an_interlaced_png_needs_the_pixels_of_all_passes(tmp_path: Path, lacking: int) -> None:
    passes = [[(0, 0)], [(0, 4)], [(4, 0), (4, 4)], *([(y, 2)] for y in (0, 4))]  # PNG, section 8.2: rows of 5x5 pixels
    passes += [[(2, x) for x in (0, 2, 4)], *([(y, x) for x in (1, 3)] for y in (0, 2, 4))]
    passes += [[(y, x) for x in range(5)] for y in (1, 3)]
    assert sorted(place for row in passes for place in row) == [(y, x) for y in range(5) for x in range(5)]
    rows = b"".join(b"\0" + bytes(10 * y + x + 1 for y, x in row) for row in passes)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 0, 0, 0, 1))
    data += chunk(b"IDAT", zlib.compress(rows[: len(rows) - 6 * lacking])) + chunk(b"IEND", b"")
    if lacking:
        with pytest.raises(UnreadableImage, match="fewer pixels"):
            read(data, tmp_path)
    else:
        assert read(data, tmp_path).pixels[..., 0].tolist() == [[10 * y + x + 1 for x in range(5)] for y in range(5)]


def test_a_bmp_far_too_short_for_its_header_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).convert("1").save(buffer, "BMP")  # the format's smallest pixels, of a bit
    assert read(buffer.getvalue(), tmp_path).size == (6, 9)
    data = bytearray(buffer.getvalue())
    struct.pack_into("<ii", data, 18, 13000, 13000)
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match="fewer pixels than its header promises"):
        read(bytes(data), tmp_path)


@pytest.mark.parametrize(("width", "height"), [(9, 16), (25, 6), (64, 64)])
def test_a_jpeg_that_ends_early_is_refused(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(UnreadableImage, match="fewer pixels"):
        read(jpeg_that_claims(width, height, RGB, subsampling=0), tmp_path)  # of 9x6 pixels, two blocks


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
@pytest.mark.parametrize("side", [1, 7, 40])
def test_a_jpeg_that_ends_in_one_colour_is_whole(tmp_path: Path, options: dict[str, object], side: int) -> None:
    pixels = np.zeros((side, side + 3, 3), np.uint8)
    pixels[: side // 3] = RNG.integers(0, 256, (side // 3, side + 3, 3))
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", **options)
    assert read(buffer.getvalue() + b"behind the end \xff\xd9", tmp_path).size == (side, side + 3)


@pytest.mark.parametrize("name", ["a.h264", "a.ivf", "a.M2V", "a.y4m", "a.dv", "a.rm"])
def test_containers_that_are_not_read_are_named_with_what_helps(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0\0\0\1" * 9)
    with pytest.raises(UnreadableImage, match=rf"Videos in \{name[1:].lower()} are not read\. Remux it to \.mkv"):
        read_image(tmp_path / name)


def test_an_image_is_one_whatever_container_its_name_claims(tmp_path: Path) -> None:
    write_image(Image(np.zeros((4, 5, 3), np.uint8)), tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.ivf")
    assert read_image(tmp_path / "a.ivf").size == (4, 5)
