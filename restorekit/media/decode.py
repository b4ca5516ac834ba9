"""Read image files: what comes in goes out.

Pillow knows most containers and reports truncated files; OpenCV decodes 16-bit PNG, imagecodecs whole PNGs of 8 bits in
half of Pillow's time. TIFFs have a file of their own.
"""

import io
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from restorekit.errors import UnreadableImage
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.decode_tiff import read_tiff
from restorekit.media.image import Image
from restorekit.media.limits import LARGEST_PIXEL, MOST_METADATA, MOST_PIXELS
from restorekit.media.metadata import jpeg_segments, png_chunk, png_chunks, read_metadata
from restorekit.media.profiles import colour_space, convert_to_srgb
from restorekit.media.samples import (
    check_size,
    decode_with_opencv,
    decoding,
    described,
    expanded_mode,
    split_alpha,
    turn,
)
from restorekit.media.sniff import PNG, SIGNATURE_LENGTH, UNREAD_SUFFIXES, Format, sniff
from restorekit.media.tags import Bytes, read_sides
from restorekit.runtime.regular import open_regular, read_regular

WEBP_HEADER = 30  # bytes
MOST_DEFLATED = 1032  # bytes that one byte of deflate can stand for
MOST_STORED = 1 << 28  # bytes of pixels that are in memory twice while they are decoded
END_OF_JPEG = b"\xff\xd9"
MORE_OF_JPEG = b"\xaa" * 64 + b"".join(bytes([0xFF, 0xD0 + number]) + b"\xaa" * 16 for number in range(8))

# PIL.Image.open would choose among them too, but it warns about large images through the process's warning filters.
READERS: dict[Format, type[ImageFile]] = {
    "png": PngImageFile,
    "jpeg": JpegImageFile,
    "webp": WebPImageFile,
    "bmp": BmpImageFile,
}


def read_image(path: Path, max_pixels: int = MOST_PIXELS) -> Image:
    """Read an image, upright, in its own depth.

    CMYK and Lab become sRGB, by the file's colour profile where it has one. What of the file is not in the result is said
    in `image.metadata.lost`.

    Args:
        path: PNG, JPEG, WebP, TIFF or BMP; the content decides, not the name.
        max_pixels: an image that claims more is refused before memory is taken for it.

    Raises:
        UnreadableImage: absent, no regular file, empty, cut off, no image, too large, or of a kind that would lose
            something.
    """
    try:
        _refuse_video(path)
        return decode_image(read_content(path, max_pixels), max_pixels)
    except UnreadableImage as error:
        error.path = path
        raise


def _refuse_video(path: Path) -> None:
    """Say of a video in a container that is not read what helps, before much of it is: they are large."""
    if (suffix := path.suffix.lower()) in UNREAD_SUFFIXES:
        with suppress(OSError), open_regular(path) as stream:  # reading tells why it cannot be
            if sniff(stream.read(SIGNATURE_LENGTH) or b"") is None:
                raise UnreadableImage(
                    f"Videos in {suffix} are not read.", "Remux it to .mkv: `ffmpeg -i VIDEO -c copy VIDEO.mkv`."
                )


def read_content(path: Path, max_pixels: int = MOST_PIXELS) -> bytes:
    """The bytes of an image's file.

    Raises:
        UnreadableImage: absent, no regular file, or larger than any image of so many pixels.
    """
    try:
        return read_regular(path, most_bytes(max_pixels))
    except OSError as error:
        raise UnreadableImage(
            f"It cannot be read ({error.strerror}).", "Check its path and permissions.", path
        ) from error


def most_bytes(max_pixels: int) -> int:
    """Of the file of any image of so many pixels."""
    return LARGEST_PIXEL * max_pixels + MOST_METADATA


def decode_image(data: bytes, max_pixels: int = MOST_PIXELS) -> Image:
    """Decode the bytes of an image's file; see `read_image`, whose errors name the file."""
    if not data:
        raise UnreadableImage("The file is empty.", "Copy it again from its source.")
    format = sniff(data[:SIGNATURE_LENGTH])
    if format is None:
        raise UnreadableImage(
            "The content is no PNG, JPEG, WebP, TIFF or BMP.", "Remove the file or give it its right name."
        )
    with decoding():
        return read_tiff(data, max_pixels) if format == "tiff" else _read_with_pillow(data, format, max_pixels)


def megapixels(path: Path, max_pixels: int = MOST_PIXELS) -> float:
    """Size of an image by its header alone; 0 for what cannot be read or claims more than `max_pixels`."""
    height, width = read_size(path)
    return width * height / 1e6 if width * height <= max_pixels else 0.0


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image by its header alone; zeros for what cannot be read."""
    try:
        with open_regular(path) as stream:
            format = sniff(stream.read(SIGNATURE_LENGTH))
            stream.seek(0)
            if format is None:
                return 0, 0
            if format == "tiff":
                width, height = read_sides(stream)
            elif format == "webp":
                width, height = _webp_size(stream.read(WEBP_HEADER))
            else:
                with READERS[format](stream) as image:
                    width, height = image.size
    except Exception:  # whatever is wrong with the file, reading it will tell; here it only has no size
        return 0, 0
    return height, width


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H,W,3) uint8 RGB for training and measuring; alpha is dropped, deeper images are rounded."""
    rgb = read_image(path).rgb()
    if rgb.dtype != np.uint8:
        return from_unit(to_unit(rgb))
    return np.array(rgb)  # a copy: what Pillow decodes is read-only, and grey is only a view


def _read_with_pillow(data: bytes, format: Format, max_pixels: int) -> Image:
    if format == "webp":  # of which Pillow takes memory for the whole canvas at once
        check_size(*_webp_size(data), max_pixels)
    file = READERS[format](io.BytesIO(data))
    image: PIL.Image.Image = file
    samples: NDArray[Any] | None = None
    check_size(*image.size, max_pixels)
    if format == "jpeg":
        check_enough_jpeg(data, *image.size)
    elif format == "png":
        samples = _decode_png(data, image)
    elif format == "bmp" and file.tile[0].codec_name == "raw" and image.width * image.height > 8 * len(data):
        raise ValueError("it holds fewer pixels than its header promises")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnreadableImage(
            f"The file is an animation of {frames} frames; only one could be restored.", "Split it into single images."
        )
    metadata, orientation = read_metadata(format, data, image.info)
    icc = metadata.icc
    lost: tuple[str, ...] = ()
    if format == "png" and data[24] == 16:  # bits, in the header
        pixels, alpha = split_alpha(decode_with_opencv(data), grey=data[25] in (0, 4))
        if data[25] == 0 and "transparency" in image.info:  # OpenCV leaves out the one grey value that is transparent
            alpha = np.where(pixels[..., 0] == image.info["transparency"], 0, 65535).astype(np.uint16)
    else:
        if image.mode == "CMYK":
            image, icc, lost = convert_to_srgb(image, icc)
        elif image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert(expanded_mode(image, colour_space(icc) == "RGB"))
        elif "transparency" in image.info:
            image = image.convert("LA" if image.mode == "L" else "RGBA")
        pixels, alpha = split_alpha(np.asarray(image) if samples is None else samples, grey=image.mode in ("L", "LA"))
        if format == "jpeg" and _ends_in_one_colour(pixels):
            _check_end(data)
    pixels, alpha = turn(pixels, orientation), None if alpha is None else turn(alpha, orientation)
    lossless = format in ("png", "bmp") or (format == "webp" and _is_lossless_webp(data))
    return Image(pixels, alpha, described(metadata, icc, lost, orientation, pixels), format, lossless)


def _decode_png(data: bytes, image: PIL.Image.Image) -> NDArray[Any] | None:
    """The samples (H,W[,C]) of a plain PNG of 8 bits; None for what OpenCV or Pillow decodes.

    Raises:
        ValueError: the data ends before the pixels do.
    """
    needed = _filtered_bytes(data, image)
    if needed > MOST_DEFLATED * len(data):
        raise ValueError("it holds fewer pixels than its header promises")
    bits, colour, interlaced = data[24], data[25], data[28]
    if bits == 16:  # OpenCV decodes these, and sees data that ends early
        return None
    if bits == 8 and colour != 3 and not interlaced and "transparency" not in image.info and needed <= MOST_STORED:
        # Pillow says what is wrong with what they refuse, such as data that ends early, and passes over some of it.
        with suppress(imagecodecs.DeflateError, imagecodecs.PngError):
            return _decode_deflated(data, needed)
    # Pillow leaves the rows that lack at zero.
    if interlaced or not np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any():
        inflater = zlib.decompressobj()
        for kind, body, _ in png_chunks(data):
            while kind == b"IDAT" and body and needed > 0:
                needed -= len(inflater.decompress(body, 1 << 20))
                body = inflater.unconsumed_tail
        if needed > 0:
            raise ValueError("it holds fewer pixels than its header promises")
    return None


def _filtered_bytes(data: bytes, image: PIL.Image.Image) -> int:
    """What the data of a PNG must inflate to: the filter and the pixels of every row of every pass."""
    bits = data[24] * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[data[25]]
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    needed = 0
    for left, top, across, down in passes if data[28] else [(0, 0, 1, 1)]:
        columns, rows = (
            -(-max(0, length) // step) for length, step in ((image.width - left, across), (image.height - top, down))
        )
        needed += rows * (1 + -(-columns * bits // 8)) if columns else 0
    return needed


def _decode_deflated(data: bytes, needed: int) -> NDArray[Any]:
    """Decode a PNG whose data inflates to so many bytes.

    libdeflate inflates in a third of the time of the zlib in PNG decoders. One of these gets the same data stored.
    """
    packed = b"".join(body for kind, body, _ in png_chunks(data) if kind == b"IDAT")
    filtered = imagecodecs.deflate_decode(packed, out=needed)
    stored = png_chunk(b"IDAT", bytes(imagecodecs.deflate_encode(filtered, level=0)))
    samples: NDArray[Any] = imagecodecs.png_decode(b"".join([PNG, data[8:33], stored, png_chunk(b"IEND", b"")]))
    return samples


def check_enough_jpeg(data: Bytes, width: int, height: int) -> None:
    """Refuse a JPEG that is too short for its size: 8x8 pixels take half a bit at least.

    Arithmetic coding (SOF9 to SOF11) may take less.
    """
    if 16 * len(data) < (width // 8) * (height // 8) and not any(
        0xC9 <= marker <= 0xCB for marker, _, _ in jpeg_segments(data)
    ):
        raise ValueError("it holds fewer pixels than its header promises")


def _ends_in_one_colour(pixels: NDArray[Any]) -> bool:
    """Whether the last quarter of the last 8x8 pixels has one, as where data has ended before."""
    rows, columns = (1 + (side - 1) % 8 // 2 for side in pixels.shape[:2])
    return bool((pixels[-rows:, -columns:] == pixels[-1, -1]).all())


def _check_end(data: bytes) -> None:
    """Refuse a JPEG whose data ends before its pixels do. libjpeg makes the rest one colour and only warns.

    Data that is inserted at the end, with every restart marker that may be due, changes the image where it is taken for the
    pixels that lack. Of progressive files this sees the last scan.
    """
    start = 2 + sum(len(segment) for _, _, segment in jpeg_segments(data))
    end = data.find(END_OF_JPEG, start)
    images = [JpegImageFile(io.BytesIO(data[:end] + more + END_OF_JPEG)) for more in (b"", MORE_OF_JPEG)]
    if end >= 0 and images[0].tobytes() != images[1].tobytes():
        raise ValueError("it holds fewer pixels than its header promises")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a WebP, of 14 bits each (24 in VP8X)."""
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case _:
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the pixels are in a VP8L chunk; other chunks may stand before it."""
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] in (b"VP8 ", b"VP8L"):
            return data[at : at + 4] == b"VP8L"
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return False
