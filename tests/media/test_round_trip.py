"""What comes in goes out, whatever it is: pixels, depth, alpha and metadata."""

import io
from pathlib import Path

import cv2
import numpy as np
import PIL.ImageCms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from tiff_files import ASCII, RATIONAL, SHORT, SRATIONAL, UNDEFINED, UTF8, Tags, exif_block, tag

from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Metadata
from restorekit.media.sniff import Format

SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
"""Only the header's colour space counts here."""
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
DEPTHS: dict[Format, tuple[type, ...]] = {
    "png": (np.uint8, np.uint16),
    "tiff": (np.uint8, np.uint16, np.float32),
    "webp": (np.uint8,),
    "bmp": (np.uint8,),
    "jpeg": (np.uint8,),
}
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.integers(0, 2**32 - 1)
values = st.one_of(
    st.binary(min_size=1, max_size=9).map(lambda text: tag(ASCII, text + b"\0")),
    st.text(min_size=1, max_size=5).map(lambda text: tag(UTF8, text.encode() + b"\0")),
    st.binary(min_size=1, max_size=9).map(lambda content: tag(UNDEFINED, content)),
    st.lists(words, min_size=2, max_size=2).map(lambda pair: tag(RATIONAL, *pair)),
    st.lists(words, min_size=6, max_size=6).map(lambda pairs: tag(RATIONAL, *pairs)),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=2).map(lambda pair: tag(SRATIONAL, *pair)),
    st.lists(st.integers(0, 65535), min_size=1, max_size=3).map(lambda numbers: tag(SHORT, *numbers)),
)
HEADER = (270, 271, 272, 305, 306, 315, 316, 33432, 33723, 65000)
EXIF = (33434, 33437, 36867, 37380, 37500, 41988, 42036)


@st.composite
def exif_tags(draw: st.DrawFn) -> Tags:
    tags: Tags = draw(st.dictionaries(st.sampled_from(HEADER), values, min_size=1))
    for pointer, numbers in ((34665, EXIF), (34853, range(1, 30))):
        if child := draw(st.dictionaries(st.sampled_from(numbers), values, max_size=4)):
            tags[pointer] = child
    return tags


@st.composite
def images(draw: st.DrawFn, *formats: Format) -> Image:
    format = draw(st.sampled_from(formats))
    dtype = draw(st.sampled_from(DEPTHS[format]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels = 3 if format == "webp" else draw(st.sampled_from([1, 3]))
    samples = np.random.default_rng(draw(st.integers(0, 99))).random((height, width, channels + 1))
    if dtype is not np.float32:
        samples = samples * np.iinfo(dtype).max
    samples = samples.astype(dtype)
    samples[0, 0, -1] = 0  # a transparent pixel's colours must survive too
    no_alpha = format == "jpeg" or (format == "bmp" and channels == 1) or draw(st.booleans())
    order = draw(st.sampled_from("<>"))
    exif = draw(st.one_of(st.just(b""), exif_tags().map(lambda tags: exif_block(order, tags))))
    dpi = st.integers(1, 2000).map(float)
    metadata = Metadata(
        exif=b"" if format == "bmp" else exif,
        icc=b"" if format == "bmp" else draw(st.sampled_from([b"", SRGB if channels == 3 else GREY])),
        xmp=b"" if format == "bmp" else draw(st.sampled_from([b"", XMP])),
        resolution=None if format == "webp" else draw(st.one_of(st.none(), st.tuples(dpi, dpi))),
    )
    return Image(samples[..., :channels], None if no_alpha else samples[..., -1], metadata, format, format != "jpeg")


def pillow_tags(data: bytes) -> dict[int, object]:
    """Types and bytes of the tags that are not about the storage of pixels, as Pillow reads them; it skips UTF-8."""

    def directory(offset: int | None = None) -> ImageFileDirectory_v2:
        tags = ImageFileDirectory_v2(data[:8])
        stream = io.BytesIO(data)
        stream.seek(tags.next if offset is None else offset)
        tags.load(stream)
        return tags

    header = directory()
    found: dict[int, object] = {n: (header.tagtype[n], header._tagdata[n]) for n in HEADER if n in header._tagdata}
    for pointer in (34665, 34853):
        if pointer in header:
            child = directory(header[pointer])
            found[pointer] = {number: (child.tagtype[number], content) for number, content in child._tagdata.items()}
    return found


@QUICK
@given(image=images("png", "tiff", "webp", "bmp"))
def test_lossless_formats_give_back_pixels_and_metadata(image: Image, tmp_path: Path) -> None:
    assert write_image(image, tmp_path / "first") == ()
    first = read_image(tmp_path / "first")
    assert (first.format, first.lossless, first.pixels.dtype) == (image.format, True, image.pixels.dtype)
    np.testing.assert_array_equal(first.pixels, image.pixels)
    assert (first.alpha is None) == (image.alpha is None)
    if image.alpha is not None:
        np.testing.assert_array_equal(first.alpha, image.alpha)
    assert (first.metadata.icc, first.metadata.xmp) == (image.metadata.icc, image.metadata.xmp)
    if image.format != "tiff":  # whose tags are compared below
        assert first.metadata.exif == image.metadata.exif
    if image.metadata.resolution is None:
        assert first.metadata.resolution is None
    else:  # PNG and BMP state whole pixels per metre
        np.testing.assert_allclose(first.metadata.resolution, image.metadata.resolution, rtol=0, atol=0.501 * 0.0254)
    assert write_image(first, tmp_path / "second") == ()
    second = read_image(tmp_path / "second")
    np.testing.assert_array_equal(second.pixels, image.pixels)
    assert second.metadata == first.metadata


@QUICK
@given(tags=exif_tags(), order=st.sampled_from("<>"))
def test_a_tiff_keeps_every_tag(tags: Tags, order: str, tmp_path: Path) -> None:
    block = exif_block(order, tags)
    write_image(Image(np.zeros((2, 3, 3), np.uint8), metadata=Metadata(block), format="tiff"), tmp_path / "first")
    write_image(read_image(tmp_path / "first"), tmp_path / "second")
    assert pillow_tags((tmp_path / "first").read_bytes()) == pillow_tags(block)
    assert pillow_tags((tmp_path / "second").read_bytes()) == pillow_tags(block)


@QUICK
@given(image=images("jpeg"))
def test_a_jpeg_keeps_its_metadata(image: Image, tmp_path: Path) -> None:
    assert write_image(image, tmp_path / "image") == ()
    again = read_image(tmp_path / "image")
    assert again.pixels.shape == image.pixels.shape
    assert again.metadata == image.metadata


def test_grey_with_alpha_in_16_bits_is_grey_with_alpha_for_another_reader(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (5, 6, 2), np.uint16)
    write_image(Image(samples[..., :1], samples[..., 1]), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[24:26] == bytes([16, 4])  # bits; grey and alpha
    decoded = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded, samples[..., [0, 0, 0, 1]])
