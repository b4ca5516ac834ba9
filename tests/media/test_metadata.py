import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from PIL.PngImagePlugin import PngInfo
from tiff_files import ASCII, DOUBLE, LONG, RATIONAL, SHORT, SRATIONAL, UNDEFINED, UTF8, exif_block, tag, tiff_file

from restorekit.media.decode import read_image
from restorekit.media.encode import encode_image, write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Block, Metadata, jpeg_segments

GREY, RGB = np.arange(63, dtype=np.uint8).reshape(7, 9), np.arange(189, dtype=np.uint8).reshape(7, 9, 3)
SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
CAMERA = {
    270: tag(UTF8, "Blick auf Zürich\0".encode()),
    271: tag(ASCII, b"M\xfcller \xa9\0"),  # Latin-1, as many programs write it
    282: tag(RATIONAL, 720000, 10000),
    283: tag(RATIONAL, 720000, 10000),
    296: tag(SHORT, 2),
    34665: {
        33434: tag(RATIONAL, 10, 1250),
        36867: tag(ASCII, b"2024:05:06 07:08:09\0"),
        37380: tag(SRATIONAL, -2, 6),
        37500: tag(UNDEFINED, b"maker's own \x00\x01\xff"),
        40962: tag(SHORT, 9),
        40963: tag(SHORT, 7),
        40965: {1: tag(ASCII, b"R98\0")},
        42036: tag(ASCII, b"Lens 50mm f/1.8\0"),
    },
    34853: {1: tag(ASCII, b"N\0"), 2: tag(RATIONAL, 52, 1, 30, 1, 1234, 100)},
}


def rewrite(data: bytes, tmp_path: Path) -> tuple[Image, bytes]:
    """What is read from a file, and the file that is written from it."""
    (tmp_path / "in").write_bytes(data)
    image = read_image(tmp_path / "in")
    write_image(image, tmp_path / "out")
    assert read_image(tmp_path / "out").metadata == image.metadata
    return image, (tmp_path / "out").read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pixels", [GREY, RGB, RGB.astype(np.uint16) * 257], ids=["grey", "rgb", "16 bit"])
def test_tiff_keeps_exif_gps_and_interoperability(tmp_path: Path, order: str, pixels: np.ndarray) -> None:
    image, written = rewrite(tiff_file(order, pixels, CAMERA), tmp_path)
    assert image.metadata.lost == ()
    assert image.metadata.resolution == (72, 72)
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        tags = file.pages.first.tags
        assert file.byteorder == order
        assert tags[34665].value["ExposureTime"] == (10, 1250)  # not 1/125: the very numbers
        assert tags[282].value == (720000, 10000)
        assert np.array_equal(file.asarray(), pixels)
    assert struct.pack(order + "HHI", 270, UTF8, 18) in written  # no library here reads texts of this type
    assert struct.pack(order + "HHI", 271, ASCII, 9) in written
    assert b"M\xfcller \xa9\0" in written
    assert "Blick auf Zürich\0".encode() in written
    exif = PIL.Image.open(io.BytesIO(written)).getexif()
    details, place = exif.get_ifd(34665), exif.get_ifd(34853)
    assert details[36867] == "2024:05:06 07:08:09"
    assert details[37380] == pytest.approx(-1 / 3)
    assert details[37500] == b"maker's own \x00\x01\xff"
    assert details[42036] == "Lens 50mm f/1.8"
    assert exif.get_ifd(40965) == {1: "R98"}
    assert place == {1: "N", 2: (52, 30, 12.34)}


def test_tags_of_any_program_stay_in_a_tiff_but_not_how_its_pixels_were_stored(tmp_path: Path) -> None:
    tags = {65000: tag(DOUBLE, 0.5, -1e300), 65001: tag(LONG, 1, 2, 3), 320: tag(SHORT, 1, 2, 3), 317: tag(SHORT, 1)}
    _, written = rewrite(tiff_file("<", RGB, tags), tmp_path)
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        found = file.pages.first.tags
        assert (found[65000].value, found[65001].value) == ((0.5, -1e300), (1, 2, 3))
        assert 320 not in found


def test_what_shows_the_old_image_inside_a_tiff_is_dropped_and_named(tmp_path: Path) -> None:
    image, written = rewrite(tiff_file("<", RGB, {330: tag(LONG, 8), 37724: tag(UNDEFINED, b"layers")}), tmp_path)
    assert image.metadata.lost == ("images inside the TIFF (previews or masks) dropped", "Photoshop layers dropped")
    assert b"layers" not in written


def test_a_damaged_directory_in_a_tiff_is_dropped_and_named(tmp_path: Path) -> None:
    data = tiff_file("<", RGB, {271: tag(ASCII, b"Maker\0"), 34853: tag(LONG, 10**9)})
    image, written = rewrite(data, tmp_path)
    assert image.metadata.lost == ("damaged tags dropped: 34853",)
    assert PIL.Image.open(io.BytesIO(written)).getexif()[271] == "Maker"


def test_a_directory_that_points_to_itself_ends(tmp_path: Path) -> None:
    data = bytearray(tiff_file("<", RGB, {34665: {33434: tag(RATIONAL, 1, 2), 40965: tag(LONG, 0)}}))
    at = data.index(struct.pack("<HHII", 40965, LONG, 1, 0))  # the second entry of its directory
    struct.pack_into("<I", data, at + 8, at - 12 - 2)
    image, _ = rewrite(bytes(data), tmp_path)
    assert image.metadata.lost == ("damaged tags dropped: 40965",)


def test_a_tiff_in_centimetres_stays_so_and_reads_in_inches(tmp_path: Path) -> None:
    tags = {282: tag(RATIONAL, 100, 1), 283: tag(RATIONAL, 50, 1), 296: tag(SHORT, 3)}
    image, written = rewrite(tiff_file(">", RGB, tags), tmp_path)
    assert image.metadata.resolution == (254, 127)
    assert tifffile.TiffFile(io.BytesIO(written)).pages.first.tags[296].value == 3


def test_colours_that_are_multiplied_by_alpha_stay_so(tmp_path: Path) -> None:
    rgba = np.minimum(np.arange(252, dtype=np.uint8).reshape(7, 9, 4), 100)
    tags = {338: tag(SHORT, 1)}
    image, written = rewrite(tiff_file("<", rgba, tags), tmp_path)
    assert np.array_equal(np.dstack([image.pixels, image.alpha]), rgba)
    assert tifffile.TiffFile(io.BytesIO(written)).pages.first.extrasamples == (1,)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_profile_xmp_and_resolution_survive(tmp_path: Path, format: str, order: str) -> None:
    block = exif_block(order, CAMERA)
    options = {} if format == "WEBP" else {"dpi": (240, 120)}
    if format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", "<x/>", zip=True)
    target = io.BytesIO()
    PIL.Image.fromarray(RGB).save(target, format, exif=b"Exif\0\0" + block, icc_profile=SRGB, xmp=b"<x/>", **options)
    image, written = rewrite(target.getvalue(), tmp_path)
    assert image.metadata.exif == block
    assert image.metadata.lost == ()
    again = PIL.Image.open(io.BytesIO(written))
    again.load()
    assert again.format == format
    assert again.info["exif"].removeprefix(b"Exif\0\0") == block
    assert again.info["icc_profile"] == SRGB
    assert again.info["xmp"] == b"<x/>"
    if format != "WEBP":
        assert again.info["dpi"] == pytest.approx((240, 120), abs=0.02)


def test_a_png_keeps_its_texts_and_gamma_and_metadata_behind_its_pixels(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("Title", "Sonne")
    texts.add_itxt("Comment", "Größe", "de")
    texts.add(b"gAMA", struct.pack(">I", 45455))
    target = io.BytesIO()
    PIL.Image.fromarray(RGB).save(target, "PNG", pnginfo=texts)
    exif = b"eXIf" + exif_block("<", CAMERA)
    late = struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif))
    image, written = rewrite(target.getvalue()[:-12] + late + target.getvalue()[-12:], tmp_path)  # IEND has 12 bytes
    again = PIL.Image.open(io.BytesIO(written))
    assert again.info["gamma"] == 0.45455
    assert again.text == {"Title": "Sonne", "Comment": "Größe"}
    assert again.getexif().get_ifd(34853)[1] == "N"
    assert encode_image(replace(image, format="bmp")).lost == (
        "PNG chunk tEXt dropped",
        "PNG chunk iTXt dropped",
        "PNG chunk gAMA dropped",
        "EXIF dropped: BMP files have no place for it",
    )


def test_a_jpeg_keeps_its_comment_iptc_and_resolution_in_centimetres(tmp_path: Path) -> None:
    target = io.BytesIO()
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x05\0\x03Sun"
    extra = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    PIL.Image.fromarray(RGB).save(target, "JPEG", comment=b"hello", extra=extra)
    data = bytearray(target.getvalue())
    struct.pack_into(">BHH", data, 13, 2, 118, 59)
    image, written = rewrite(bytes(data), tmp_path)
    again = PIL.Image.open(io.BytesIO(written))
    assert again.info["comment"] == b"hello"
    assert again.info["photoshop"][0x0404].endswith(b"Sun")
    assert (again.info["jfif_unit"], again.info["jfif_density"]) == (2, (118, 59))
    assert encode_image(replace(image, format="png")).lost == ("IPTC dropped", "JPEG comment dropped")


def test_what_a_format_cannot_hold_is_named() -> None:
    long = exif_block("<", {37500: tag(UNDEFINED, bytes(70000))})
    image = Image(RGB, metadata=Metadata(exif=long, icc=SRGB, xmp=b"<x/>", resolution=(300, 300), lost=("before",)))
    assert encode_image(replace(image, format="bmp")).lost == (
        "before",
        "EXIF dropped: BMP files have no place for it",
        "ICC profile dropped: BMP files have no place for it",
        "XMP dropped: BMP files have no place for it",
    )
    jpeg = encode_image(replace(image, format="jpeg"))
    assert jpeg.lost == ("before", f"EXIF dropped: it has {len(long)} bytes, JPEG files hold 65527")
    assert PIL.Image.open(io.BytesIO(jpeg.data)).info["icc_profile"] == SRGB
    assert encode_image(replace(image, format="webp")).lost == (
        "before",
        "resolution dropped: WEBP files cannot state it",
    )
    assert encode_image(replace(image, format="png")).lost == ("before",)
    assert encode_image(replace(image, format="tiff")).lost == ("before",)


def test_a_block_of_another_format_is_never_written() -> None:
    image = Image(RGB, metadata=Metadata(blocks=(Block("jpeg", "JPEG comment", b"\xff\xfe\0\x04hi"),)))
    encoded = encode_image(image)
    assert encoded.lost == ("JPEG comment dropped",)
    assert b"hi" not in encoded.data


def test_exif_states_the_new_size_and_a_geotiff_loses_its_place(tmp_path: Path) -> None:
    place = {33550: tag(DOUBLE, 1.0, 1.0, 0.0), 33922: tag(DOUBLE, 0.0, 0.0, 0.0, 5e5, 4e6, 0.0)}
    (tmp_path / "x.tif").write_bytes(tiff_file(">", RGB, CAMERA | place))
    image = read_image(tmp_path / "x.tif")
    same = image.with_rgb(np.zeros((7, 9, 3), np.uint8))
    larger = image.with_rgb(np.zeros((14, 18, 3), np.uint8))
    assert same.metadata == image.metadata
    assert larger.metadata.lost == ("GeoTIFF position dropped: the image has another size",)
    with tifffile.TiffFile(io.BytesIO(encode_image(larger).data)) as file:
        tags = file.pages.first.tags
        assert 33550 not in tags
        assert 33922 not in tags
        details = tags[34665].value
        assert (details["PixelXDimension"], details["PixelYDimension"]) == (18, 14)
        assert details["ExposureTime"] == (10, 1250)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(image: PIL.Image.Image, *chunks: bytes) -> bytes:
    """A PNG with chunks behind its header."""
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()[:33] + b"".join(chunks) + target.getvalue()[33:]


def test_png_chunks_that_depend_on_the_channels_stay_only_where_these_do(tmp_path: Path) -> None:
    chunks = (chunk(b"sBIT", b"\5\6\5"), chunk(b"bKGD", b"\0\1\0\2\0\3"))
    image, written = rewrite(png(PIL.Image.fromarray(RGB), *chunks), tmp_path)
    assert image.metadata.lost == ()
    assert all(whole in written for whole in chunks)
    palette = png(PIL.Image.fromarray(RGB).quantize(8), chunk(b"sBIT", b"\5\6\5"))
    image, written = rewrite(palette, tmp_path)
    assert image.metadata.lost == ("PNG chunk sBIT dropped",)
    assert b"sBIT" not in written


def test_a_png_chunk_that_is_not_safe_to_copy_is_dropped_and_named(tmp_path: Path) -> None:
    data = png(PIL.Image.fromarray(RGB), chunk(b"abCD", b"1"), chunk(b"abCd", b"2"))
    image, written = rewrite(data, tmp_path)
    assert image.metadata.lost == ("PNG chunk abCD dropped",)
    assert chunk(b"abCd", b"2") in written


@pytest.mark.parametrize(
    ("damaged", "name"),
    [
        (chunk(b"iCCP", b"x\0\0" + zlib.compress(SRGB)[:-9]), "ICC profile"),
        (chunk(b"iCCP", b"x\0\0no zlib stream"), "ICC profile"),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0no zlib stream"), "XMP"),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0de"), "XMP"),
    ],
    ids=["cut off", "no zlib", "XMP without zlib", "XMP cut off"],
)
def test_a_damaged_profile_or_xmp_is_dropped_and_named_and_the_pixels_are_read(
    tmp_path: Path, damaged: bytes, name: str
) -> None:
    image, _ = rewrite(png(PIL.Image.fromarray(RGB), damaged), tmp_path)
    assert np.array_equal(image.pixels, RGB)
    (words,) = image.metadata.lost
    assert words.startswith(f"{name} dropped: ")
    assert (image.metadata.icc, image.metadata.xmp) == (b"", b"")


def test_xmp_that_would_fill_the_memory_is_dropped_and_named(tmp_path: Path) -> None:
    bomb = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes((1 << 26) + 1)))
    data = cv2.imencode(".png", RGB.astype(np.uint16))[1].tobytes()
    image, _ = rewrite(data[:-12] + bomb + data[-12:], tmp_path)  # IEND has 12 bytes
    assert image.metadata.lost == ("XMP dropped: its chunk is cut off or too large",)


def test_profile_and_xmp_of_a_tiff_survive(tmp_path: Path) -> None:
    image, written = rewrite(tiff_file(">", RGB, {700: tag(UNDEFINED, b"<x/>"), 34675: tag(UNDEFINED, SRGB)}), tmp_path)
    assert (image.metadata.icc, image.metadata.xmp, image.metadata.exif) == (SRGB, b"<x/>", b"")
    again = PIL.Image.open(io.BytesIO(written))
    assert (again.info["icc_profile"], bytes(again.tag_v2[700])) == (SRGB, b"<x/>")


def jpeg(*segments: bytes) -> bytes:
    """A JPEG with segments behind its JFIF header."""
    target = io.BytesIO()
    PIL.Image.fromarray(RGB).save(target, "JPEG")
    return target.getvalue()[:20] + b"".join(segments) + target.getvalue()[20:]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def test_a_jpeg_names_what_belongs_to_the_old_pixels_and_keeps_the_rest(tmp_path: Path) -> None:
    heat = segment(0xE3, b"temperatures")
    data = bytearray(jpeg(segment(0xE2, b"MPF\0II*\0"), segment(0xEB, b"JP\0\1"), heat))
    struct.pack_into(">BHH", data, 13, 0, 2, 1)
    image, written = rewrite(bytes(data), tmp_path)
    assert image.metadata.lost == (
        "pixel aspect ratio of 2:1 dropped",
        "further images in the file dropped (previews, depth or gain maps)",
        "content credentials dropped: they vouch for the old pixels",
    )
    assert heat in written
    assert b"MPF\0" not in written


@pytest.mark.parametrize("length", [0, 1, 60_000])
def test_jpeg_segments_end_at_one_of_impossible_length(length: int) -> None:
    comment = segment(0xFE, b"kept")
    damaged = struct.pack(">BBH", 0xFF, 0xE3, length)
    assert [whole for *_, whole in jpeg_segments(b"\xff\xd8" + comment + damaged + b"x" * 40)] == [comment]


def test_a_jpeg_segment_that_is_too_short_is_not_copied(tmp_path: Path) -> None:
    short = struct.pack(">BBH", 0xFF, 0xE1, 1) + b"\0"  # Pillow passes it over
    (tmp_path / "a.jpg").write_bytes(jpeg(short))
    write_image(read_image(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert read_image(tmp_path / "b.jpg").size == RGB.shape[:2]


def test_an_exif_prefix_that_is_written_twice_is_no_obstacle(tmp_path: Path) -> None:
    block = exif_block("<", CAMERA)
    image, _ = rewrite(jpeg(segment(0xE1, b"Exif\0\0Exif\0\0" + block)), tmp_path)
    assert image.metadata.exif == block
