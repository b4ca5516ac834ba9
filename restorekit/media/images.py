"""Read and write picture files: what comes in goes out.

Three libraries share the work, each where it is strongest. Pillow knows the containers (EXIF, ICC, resolution) and reports
truncated files; OpenCV handles 16-bit PNG and writes PNG several times faster; tifffile knows every kind of TIFF.
"""

import io
import os
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from restorekit.depth import from_unit, to_unit
from restorekit.errors import UnreadablePicture, UnwritableOutput
from restorekit.media.picture import Format, Metadata, Picture

JPEG_QUALITY = 95
PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIGNATURE_LENGTH = 12
ORIENTATION = 274
TEXT_TAGS = (270, 271, 272, 305, 306, 315, 33432)  # description, make, model, software, date, artist, copyright
SUFFIXES: dict[str, Format] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
}


def sniff(head: bytes) -> Format | None:
    """Format of a file from its first `SIGNATURE_LENGTH` bytes; None if it is no picture that restorekit reads."""
    if head.startswith(PNG):
        return "png"
    if head.startswith(JPEG):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(TIFFS):
        return "tiff"
    if head.startswith(BMP):
        return "bmp"
    return None


# --- reading -----------------------------------------------------------------------------------------------------------


def read(path: Path) -> Picture:
    """Read one picture, upright, in its own depth.

    Args:
        path: PNG, JPEG, WebP, TIFF or BMP; the content decides, not the name.

    Raises:
        UnreadablePicture: absent, empty, cut off, no picture, too large, or of a kind that would lose something.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadablePicture(
            f"The file cannot be read ({error.strerror}).", "Check its permissions.", path
        ) from None
    if not data:
        raise UnreadablePicture("The file is empty.", "Copy it again from its source.", path)
    found = sniff(data[:SIGNATURE_LENGTH])
    if found is None:
        raise UnreadablePicture(
            "The content is no PNG, JPEG, WebP, TIFF or BMP.", "Remove the file or give it its right name.", path
        )
    try:
        picture = _read_tiff(data) if found == "tiff" else _read_with_pillow(data, found)
    except UnreadablePicture as error:
        raise UnreadablePicture(error.reason, error.cure, path) from None
    except Image.DecompressionBombError:
        raise UnreadablePicture(
            "The header claims more pixels than any camera takes; the file is damaged or malicious.",
            f"Pictures up to {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels are read; cut larger ones up.",
            path,
        ) from None
    except MemoryError:
        raise UnreadablePicture("The picture does not fit into memory.", "Cut it into parts.", path) from None
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, tifffile.TiffFileError, struct.error) as error:
        raise UnreadablePicture(
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
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.width * image.height / 1e6
    except Exception:  # whatever is wrong with the file, reading it will tell; here it only has no size
        return 0.0


def read_rgb8(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H,W,3) uint8 RGB for training and measuring; alpha is dropped, deeper pictures are rounded."""
    picture = read(path)
    rgb = picture.rgb()
    if rgb.dtype != np.uint8:
        return from_unit(to_unit(rgb))
    return np.array(rgb)  # a copy: what Pillow decodes is read-only, and grey is only a view


def _read_with_pillow(data: bytes, found: Format) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large is fine; absurd raises an error
        image: Image.Image = Image.open(io.BytesIO(data))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # an MPO is a JPEG with previews behind it
        raise UnreadablePicture(
            f"The file is an animation of {frames} frames; only one could be restored.",
            "Split it into single pictures.",
        )
    deep = found == "png" and data[24] == 16
    if deep:
        Image.open(io.BytesIO(data)).verify()  # OpenCV returns half a picture where Pillow reports the damage
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


def _expanded_mode(image: Image.Image) -> str:
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


def _read_tiff(data: bytes) -> Picture:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) != 1:
            raise UnreadablePicture(f"The TIFF holds {len(file.pages)} pages.", "Split it into single pictures.")
        page = file.pages.first
        if page.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)):
            raise UnreadablePicture(
                f"Pixels of type {page.dtype} are not supported.", "Convert it to 8 or 16 bit, or to float32 in 0..1."
            )
        if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 0):
            raise Image.DecompressionBombError
        photometric = page.photometric
        if photometric not in (0, 1, 2, 3, 6) or page.planarconfig != 1:
            raise UnreadablePicture(
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
        raise UnreadablePicture(
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


def _upright(pixels: NDArray[Any], alpha: NDArray[Any] | None, orientation: int, **rest: Any) -> Picture:
    """Apply an EXIF orientation (1..8)."""

    def turned(x: NDArray[Any]) -> NDArray[Any]:
        if orientation in (5, 6, 7, 8):
            x = x.swapaxes(0, 1)  # 5 is the transpose itself
        if orientation in (2, 3, 6, 7):
            x = x[:, ::-1]
        if orientation in (3, 4, 7, 8):
            x = x[::-1]
        return np.ascontiguousarray(x)

    return Picture(turned(pixels), None if alpha is None else turned(alpha), **rest)


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


# --- writing -----------------------------------------------------------------------------------------------------------


def write(picture: Picture, path: Path) -> None:
    """Write a picture, whole or not at all: beside its place first, then renamed.

    Args:
        picture: written in its own format and depth; JPEG and lossy WebP with quality 95.
        path: the file to make or replace; missing folders are made.

    Raises:
        UnwritableOutput: no permission, no space, no such place. Nothing is left behind.
    """
    replace_file(path, encode(picture))


def replace_file(path: Path, data: bytes) -> None:
    """Write bytes beside `path` and rename them into place.

    Raises:
        UnwritableOutput: see `write`.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written nothing was left either
            beside.unlink(missing_ok=True)
        raise UnwritableOutput(
            f"The result cannot be written ({error.strerror}).",
            "Make room or choose another place with --out; running again continues.",
            path,
        ) from None


def encode(picture: Picture) -> bytes:
    """The bytes of the picture's file."""
    writers = {"png": _png, "tiff": _tiff}
    return writers.get(picture.format, _with_pillow)(picture)


def _samples(picture: Picture) -> NDArray[Any]:
    """(H,W) or (H,W,2..4), colours first."""
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[..., None]]
    samples = np.concatenate(parts, axis=2)
    return samples[..., 0] if samples.shape[2] == 1 else samples


def _png(picture: Picture) -> bytes:
    samples = _samples(picture)
    if samples.ndim == 3 and samples.shape[2] == 2:  # grey with alpha
        if samples.dtype == np.uint8:
            return _with_pillow(picture)
        samples = samples[..., [0, 0, 0, 1]]  # no library writes 16-bit grey with alpha; the values are kept as RGB
    if samples.ndim == 3:
        samples = cv2.cvtColor(samples, cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    meta = picture.metadata
    blocks = {
        cv2.IMAGE_METADATA_EXIF: meta.exif,
        cv2.IMAGE_METADATA_ICCP: meta.icc,
        cv2.IMAGE_METADATA_XMP: meta.xmp,
    }
    kinds = [kind for kind, block in blocks.items() if block]
    values = [np.frombuffer(blocks[kind], np.uint8) for kind in kinds]
    # No explicit compression level: OpenCV's default is both the fastest and the smallest here.
    _, code = cv2.imencodeWithMetadata(".png", samples, kinds, values)
    data = code.tobytes()
    if (
        meta.resolution
    ):  # OpenCV has no option for it; the chunk belongs right behind the 33 bytes of signature and header
        per_metre = [round(dpi / 0.0254) for dpi in meta.resolution]
        chunk = b"pHYs" + struct.pack(">IIB", *per_metre, 1)
        data = data[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    return data


def _with_pillow(picture: Picture) -> bytes:
    meta = picture.metadata
    options: dict[str, Any] = {}
    if picture.format != "bmp":
        if meta.exif:
            options["exif"] = b"Exif\0\0" + meta.exif
        if meta.icc:
            options["icc_profile"] = meta.icc
        if meta.xmp:
            options["xmp"] = meta.xmp
    if meta.resolution and picture.format != "webp":
        options["dpi"] = meta.resolution
    if picture.format == "jpeg":
        options |= {"quality": JPEG_QUALITY, "subsampling": 0}
    if picture.format == "webp":
        options |= {"lossless": True, "exact": True} if picture.lossless else {"quality": JPEG_QUALITY}
    target = io.BytesIO()
    Image.fromarray(_samples(picture)).save(target, picture.format.upper(), **options)
    return target.getvalue()


def _tiff(picture: Picture) -> bytes:
    meta = picture.metadata
    extra: list[tuple[int, str, int, Any, bool]] = [(code, "s", 0, text, True) for code, text in meta.tags]
    for code, kind, block in ((34675, "B", meta.icc), (700, "B", meta.xmp)):
        if block:
            extra.append((code, kind, len(block), block, True))
    target = io.BytesIO()
    tifffile.imwrite(
        target,
        _samples(picture),
        photometric="rgb" if picture.pixels.shape[2] == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib",
        predictor=False,
        resolution=meta.resolution,
        resolutionunit="INCH" if meta.resolution else None,
        software=False,
        metadata=None,
        extratags=extra,
    )
    return target.getvalue()
