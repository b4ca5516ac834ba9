"""Read picture files: what comes in goes out.

Three libraries share the work, each where it is strongest. Pillow knows the containers (EXIF, ICC, resolution) and reports
truncated files; OpenCV handles 16-bit PNG; tifffile knows every kind of TIFF.
"""

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import tifffile
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from restorekit.errors import UnreadableImage
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.image import Format, Image, Metadata
from restorekit.media.sniff import SIGNATURE_LENGTH, sniff

ORIENTATION = 274
TEXT_TAGS = (270, 271, 272, 305, 306, 315, 33432)  # description, make, model, software, date, artist, copyright


def read_image(path: Path) -> Image:
    """Read one picture, upright, in its own depth.

    Args:
        path: PNG, JPEG, WebP, TIFF or BMP; the content decides, not the name.

    Raises:
        UnreadableImage: absent, empty, cut off, no picture, too large, or of a kind that would lose something.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"The file cannot be read ({error.strerror}).", "Check its permissions.", path) from None
    if not data:
        raise UnreadableImage("The file is empty.", "Copy it again from its source.", path)
    found = sniff(data[:SIGNATURE_LENGTH])
    if found is None:
        raise UnreadableImage(
            "The content is no PNG, JPEG, WebP, TIFF or BMP.", "Remove the file or give it its right name.", path
        )
    try:
        picture = _read_tiff(data) if found == "tiff" else _read_with_pillow(data, found)
    except UnreadableImage as error:
        raise UnreadableImage(error.reason, error.hint, path) from None
    except PIL.Image.DecompressionBombError:
        raise UnreadableImage(
            "The header claims more pixels than any camera takes; the file is damaged or malicious.",
            f"Pictures up to {2 * (PIL.Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels are read; cut larger ones up.",
            path,
        ) from None
    except MemoryError:
        raise UnreadableImage("The picture does not fit into memory.", "Cut it into parts.", path) from None
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, tifffile.TiffFileError, struct.error) as error:
        raise UnreadableImage(
            f"The file is damaged or cut off ({error}).", "Copy it again from its source.", path
        ) from None
    return picture


def megapixels(path: Path) -> float:
    """Size of a picture by its header alone; 0 for what cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(SIGNATURE_LENGTH)
        if sniff(head) == "tiff":
            with tifffile.TiffFile(path) as file:
                page = file.pages.first
                return float(page.imagewidth * page.imagelength / 1e6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(path) as image:
                return image.width * image.height / 1e6
    except Exception:  # whatever is wrong with the file, reading it will tell; here it only has no size
        return 0.0


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H,W,3) uint8 RGB for training and measuring; alpha is dropped, deeper pictures are rounded."""
    picture = read_image(path)
    rgb = picture.rgb()
    if rgb.dtype != np.uint8:
        return from_unit(to_unit(rgb))
    return np.array(rgb)  # a copy: what Pillow decodes is read-only, and grey is only a view


def _read_with_pillow(data: bytes, found: Format) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # large is fine; absurd raises an error
        image: PIL.Image.Image = PIL.Image.open(io.BytesIO(data))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # an MPO is a JPEG with previews behind it
        raise UnreadableImage(
            f"The file is an animation of {frames} frames; only one could be restored.",
            "Split it into single pictures.",
        )
    deep = found == "png" and data[24] == 16
    if deep:
        PIL.Image.open(io.BytesIO(data)).verify()  # OpenCV returns half a picture where Pillow reports the damage
        pixels, alpha = _split(_decode_with_opencv(data), grey=data[25] in (0, 4))
    else:
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert(_expanded_mode(image))
        elif "transparency" in image.info:
            image = image.convert("LA" if image.mode == "L" else "RGBA")
        pixels, alpha = _split(np.asarray(image), grey=image.mode in ("L", "LA"))
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    exif, orientation = _without_orientation(exif)
    resolution = image.info.get("dpi")
    return _upright(
        pixels,
        alpha,
        orientation,
        metadata=Metadata(
            exif=exif,
            icc=image.info.get("icc_profile") or b"",
            xmp=_bytes(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""),
            resolution=(float(resolution[0]), float(resolution[1])) if resolution else None,
        ),
        format=found,
        lossless=found in ("png", "bmp") or (found == "webp" and b"VP8L" in data[:64]),
    )


def _expanded_mode(image: PIL.Image.Image) -> str:
    """What a palette, bilevel or CMYK picture becomes."""
    if image.mode == "1":
        return "L"
    if image.mode == "P":
        colours = image.getpalette() or []
        grey = colours[0::3] == colours[1::3] == colours[2::3]
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


def _read_tiff(data: bytes) -> Image:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) != 1:
            raise UnreadableImage(f"The TIFF holds {len(file.pages)} pages.", "Split it into single pictures.")
        page = file.pages.first
        if page.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)):
            raise UnreadableImage(
                f"Pixels of type {page.dtype} are not supported.", "Convert it to 8 or 16 bit, or to float32 in 0..1."
            )
        if page.imagewidth * page.imagelength > 2 * (PIL.Image.MAX_IMAGE_PIXELS or 0):
            raise PIL.Image.DecompressionBombError
        photometric = page.photometric
        if photometric not in (0, 1, 2, 3, 6) or page.planarconfig != 1:
            raise UnreadableImage(
                f"TIFFs of kind {getattr(photometric, 'name', photometric)}, or stored in planes, are not supported.",
                "Convert it to RGB or grey.",
            )
        tags = {tag.code: tag.value for tag in page.tags.values()}
        own_code = photometric in (0, 1, 2) and page.compression in (1, 8, 32946)
        samples = page.asarray() if own_code else _decode_with_opencv(data)
        if photometric == 0:  # white is zero
            samples = (1 - samples) if samples.dtype == np.float32 else (np.iinfo(samples.dtype).max - samples)
        orientation = int(tags.get(ORIENTATION, 1)) if own_code else 1  # OpenCV applies it itself
        metadata = Metadata(
            icc=_bytes(tags.get(34675, b"")),
            xmp=_bytes(tags.get(700, b"")),
            resolution=_tiff_resolution(tags),
            tags=tuple((code, str(tags[code])) for code in TEXT_TAGS if code in tags),
        )
    if samples.dtype == np.float32 and not (samples.min() >= -0.01 and samples.max() <= 1.01):
        raise UnreadableImage(
            f"Floating-point values reach from {samples.min():g} to {samples.max():g}; 0 to 1 is expected.",
            "Scale the picture to 0..1.",
        )
    pixels, alpha = _split(samples, grey=photometric in (0, 1))
    return _upright(pixels, alpha, orientation, metadata=metadata, format="tiff", lossless=True)


def _tiff_resolution(tags: dict[int, Any]) -> tuple[float, float] | None:
    if 282 not in tags or 283 not in tags or tags.get(296, 2) == 1:
        return None
    factor = 2.54 if tags.get(296, 2) == 3 else 1.0  # per centimetre
    (x, under_x), (y, under_y) = tags[282], tags[283]
    return (x / under_x * factor, y / under_y * factor) if under_x and under_y else None


def _bytes(value: bytes | str | tuple[int, ...]) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _upright(pixels: NDArray[Any], alpha: NDArray[Any] | None, orientation: int, **rest: Any) -> Image:
    """Apply an EXIF orientation (1..8)."""

    def turned(x: NDArray[Any]) -> NDArray[Any]:
        if orientation in (5, 6, 7, 8):
            x = x.swapaxes(0, 1)  # 5 is the transpose itself
        if orientation in (2, 3, 6, 7):
            x = x[:, ::-1]
        if orientation in (3, 4, 7, 8):
            x = x[::-1]
        return np.ascontiguousarray(x)

    return Image(turned(pixels), None if alpha is None else turned(alpha), **rest)


def _without_orientation(exif: bytes) -> tuple[bytes, int]:
    """The same EXIF block with its orientation set to upright, and what it was.

    The one number is changed in place: rewriting the structure would move what maker notes point to.
    """
    if len(exif) < 10 or exif[:2] not in (b"II", b"MM"):
        return exif, 1
    order = "<" if exif[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", exif, 4)
    if start + 2 > len(exif):
        return exif, 1
    (entries,) = struct.unpack_from(order + "H", exif, start)
    for place in range(start + 2, min(start + 2 + 12 * entries, len(exif) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", exif, place)
        if tag == ORIENTATION:
            changed = bytearray(exif)
            struct.pack_into(order + "H", changed, place + 8, 1)
            return bytes(changed), value if 1 <= value <= 8 else 1
    return exif, 1
