"""Read image files: what comes in goes out.

Three libraries share the work, each where it is strongest. Pillow knows most containers and reports truncated files;
OpenCV decodes 16-bit PNG and the deep or premultiplied kinds of compressed TIFF; tifffile knows what a TIFF holds and
decodes the uncompressed and zlib ones in any depth.
"""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import tifffile
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from restorekit.errors import UnreadableImage
from restorekit.imaging.dtypes import RANGES, from_unit, to_unit
from restorekit.media.image import Image, range_error
from restorekit.media.metadata import DNG_VERSION, Metadata, is_premultiplied, read_metadata, read_tiff_metadata
from restorekit.media.profiles import colour_space, convert_to_srgb, matching_profile
from restorekit.media.sniff import SIGNATURE_LENGTH, Format, sniff

MOST_PIXELS = 178_956_970  # 2 GiB of 3 bytes a pixel, rounded down by 4: Pillow's own limit

# PIL.Image.open would choose among them too, but it warns about large images through the process's warning filters.
READERS: dict[Format, type[ImageFile]] = {
    "png": PngImageFile,
    "jpeg": JpegImageFile,
    "webp": WebPImageFile,
    "bmp": BmpImageFile,
    "tiff": TiffImageFile,
}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8  # photometric kinds of a TIFF
ZLIB_OR_NONE = (1, 8, 32946)  # compressions that tifffile decodes by itself


def read_image(path: Path) -> Image:
    """Read an image, upright, in its own depth.

    CMYK and Lab become sRGB, by the file's colour profile where it has one. What of the file is not in the result is said
    in `image.metadata.lost`.

    Args:
        path: PNG, JPEG, WebP, TIFF or BMP; the content decides, not the name.

    Raises:
        UnreadableImage: absent, empty, cut off, no image, too large, or of a kind that would lose something.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"The file cannot be read ({error.strerror}).", "Check its permissions.", path) from error
    if not data:
        raise UnreadableImage("The file is empty.", "Copy it again from its source.", path)
    format = sniff(data[:SIGNATURE_LENGTH])
    if format is None:
        raise UnreadableImage(
            "The content is no PNG, JPEG, WebP, TIFF or BMP.", "Remove the file or give it its right name.", path
        )
    try:
        return _read_tiff(data) if format == "tiff" else _read_with_pillow(data, format)
    except UnreadableImage as error:
        error.path = path
        raise
    except MemoryError as error:
        raise UnreadableImage("The image does not fit into memory.", "Cut it into parts.", path) from error
    except Exception as error:  # decoders raise anything on damaged files, from zlib.error to RecursionError
        reason = str(error) or type(error).__name__
        raise UnreadableImage(
            f"The file is damaged or cut off ({reason}).", "Copy it again from its source.", path
        ) from error


def megapixels(path: Path) -> float:
    """Size of an image by its header alone; 0 for what cannot be read."""
    try:
        with path.open("rb") as stream:
            format = sniff(stream.read(SIGNATURE_LENGTH))
            if format == "tiff":
                with tifffile.TiffFile(path) as file:
                    page = file.pages.first
                    return float(page.imagewidth * page.imagelength / 1e6)
            if format is None:
                return 0.0
            stream.seek(0)
            with READERS[format](stream) as image:
                return image.width * image.height / 1e6
    except Exception:  # whatever is wrong with the file, reading it will tell; here it only has no size
        return 0.0


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H,W,3) uint8 RGB for training and measuring; alpha is dropped, deeper images are rounded."""
    rgb = read_image(path).rgb()
    if rgb.dtype != np.uint8:
        return from_unit(to_unit(rgb))
    return np.array(rgb)  # a copy: what Pillow decodes is read-only, and grey is only a view


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnreadableImage(
            f"The header claims {width}x{height} pixels; the file is damaged, malicious or too large.",
            f"Images up to {MOST_PIXELS // 10**6} megapixels are read; cut larger ones up.",
        )


def _read_with_pillow(data: bytes, format: Format) -> Image:
    image: PIL.Image.Image = READERS[format](io.BytesIO(data))
    _check_size(*image.size)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnreadableImage(
            f"The file is an animation of {frames} frames; only one could be restored.", "Split it into single images."
        )
    metadata, orientation = read_metadata(format, data, image.info)
    icc = metadata.icc
    lost: tuple[str, ...] = ()
    if format == "png" and data[24] == 16:  # bits, in the header
        pixels, alpha = _split(_decode_with_opencv(data), grey=data[25] in (0, 4))
        if data[25] == 0 and "transparency" in image.info:  # OpenCV leaves out the one grey value that is transparent
            alpha = np.where(pixels[..., 0] == image.info["transparency"], 0, 65535).astype(np.uint16)
    else:
        if image.mode == "CMYK":
            image, icc, lost = convert_to_srgb(image, icc)
        elif image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert(_expanded_mode(image, colour_space(icc) == "RGB"))
        elif "transparency" in image.info:
            image = image.convert("LA" if image.mode == "L" else "RGBA")
        pixels, alpha = _split(np.asarray(image), grey=image.mode in ("L", "LA"))
    pixels, alpha = _turn(pixels, orientation), None if alpha is None else _turn(alpha, orientation)
    lossless = format in ("png", "bmp") or (format == "webp" and _is_lossless_webp(data))
    return Image(pixels, alpha, _described(metadata, icc, lost, orientation, pixels), format, lossless)


def _described(
    metadata: Metadata, icc: bytes, lost: tuple[str, ...], orientation: int, pixels: NDArray[Any]
) -> Metadata:
    """The metadata of upright pixels (H,W,1 or 3), which may have another profile and have lost more than their file's."""
    icc, words = matching_profile(icc, grey=pixels.shape[2] == 1)
    if orientation >= 5:  # a quarter turn
        metadata = metadata.resized(*pixels.shape[:2])
    return replace(metadata, icc=icc, lost=metadata.lost + lost + words)


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the pixels are in a VP8L chunk; other chunks may stand before it."""
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] in (b"VP8 ", b"VP8L"):
            return data[at : at + 4] == b"VP8L"
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return False


def _expanded_mode(image: PIL.Image.Image, coloured: bool) -> str:
    """Mode that a palette or bilevel image is expanded to; a palette of greys becomes grey unless it is `coloured`."""
    if image.mode == "1":
        return "L"
    if image.mode == "P":
        colours = image.getpalette() or []
        grey = colours[0::3] == colours[1::3] == colours[2::3] and not coloured
        transparent = "transparency" in image.info
        return ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
    return "RGBA" if image.mode in ("PA", "RGBa") else "RGB"


def _decode_with_opencv(data: bytes) -> NDArray[Any]:
    """(H,W[,C]) in RGB order, any depth."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("it cannot be decoded")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return pixels


def _split(samples: NDArray[Any], grey: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Colours (H,W,1 or 3) and alpha (H,W) of what a library decoded."""
    if samples.ndim == 2:
        samples = samples[..., None]
    alpha = samples[..., -1] if samples.shape[2] in (2, 4) else None
    return samples[..., :1] if grey else samples[..., :3], alpha


def _turn(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Bring (H,W[,C]) upright by its EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)  # 5 is the transpose itself
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


def _read_tiff(data: bytes) -> Image:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) != 1:
            raise UnreadableImage(f"The TIFF holds {len(file.pages)} pages.", "Split it into single images.")
        page = file.pages.first
        _check_tiff(page)
        metadata, orientation = read_tiff_metadata(data)
        icc = metadata.icc
        lost: tuple[str, ...] = ()
        premultiplied = is_premultiplied(metadata)
        if page.compression in ZLIB_OR_NONE and page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
            samples = page.asarray()
            samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
            if page.photometric == WHITE_IS_ZERO:
                samples = samples.dtype.type(RANGES[samples.dtype]) - samples
            samples = _turn(samples, orientation)
        elif page.photometric in (CMYK, LAB):
            converted, icc, lost = convert_to_srgb(_decode_with_pillow(data), icc)
            samples = np.asarray(converted)
        elif page.dtype == np.uint8 and page.photometric != YCBCR and not premultiplied:
            image = _decode_with_pillow(data)
            samples = np.asarray(image.convert(_expanded_mode(image, True)) if image.mode == "P" else image)
        else:
            samples = _decode_with_opencv(data)  # which turns it, as Pillow does, and makes black zero
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    grey = page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    expected = {PALETTE: 3, CMYK: 3}.get(page.photometric, page.samplesperpixel)
    if channels != expected or channels not in ((1, 2) if grey else (3, 4)):
        raise UnreadableImage(
            f"The TIFF has {page.samplesperpixel} channels, of which {channels} can be decoded.",
            "Convert it to RGB or grey, with or without alpha.",
        )
    if samples.dtype == np.float32 and (why := range_error(samples)):
        raise UnreadableImage(why, "Scale the image to 0..1.")
    pixels, alpha = _split(samples, grey)
    return Image(pixels, alpha, _described(metadata, icc, lost, orientation, pixels), "tiff")


def _check_tiff(page: tifffile.TiffPage) -> None:
    """Refuse what would lose something or cannot be decoded."""
    _check_size(page.imagewidth, page.imagelength)
    photometric = page.photometric
    if DNG_VERSION in page.tags:
        raise UnreadableImage("The TIFF is a camera's raw file (DNG).", "Develop it to TIFF or PNG first.")
    if page.dtype not in RANGES or (photometric != PALETTE and page.bitspersample != 8 * np.dtype(page.dtype).itemsize):
        raise UnreadableImage(
            f"Pixels of type {page.dtype} in {page.bitspersample} bits are not supported.",
            "Convert it to 8 or 16 bit, or to float32 in 0..1.",
        )
    eight_bits_only = photometric in (CMYK, LAB) and page.dtype == np.uint8 and not page.extrasamples
    if page.planarconfig != 1 or not (
        photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR) or eight_bits_only
    ):
        raise UnreadableImage(
            f"TIFFs of kind {getattr(photometric, 'name', photometric)} in {page.bitspersample} bits, or stored in "
            "planes, are not supported.",
            "Convert it to RGB or grey.",
        )


def _decode_with_pillow(data: bytes) -> PIL.Image.Image:
    """An 8-bit TIFF of any compression, upright."""
    image = TiffImageFile(io.BytesIO(data))
    image.load()
    return image
