"""Write picture files: what came in goes out.

OpenCV writes PNG several times faster than Pillow, which knows the containers (EXIF, ICC, resolution); tifffile writes TIFF.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import tifffile
from numpy.typing import NDArray

from restorekit.media.image import Image
from restorekit.runtime.atomic import write_atomically

JPEG_QUALITY = 95


def write_image(picture: Image, path: Path) -> None:
    """Write a picture, whole or not at all: beside its place first, then renamed.

    Args:
        picture: written in its own format and depth; JPEG and lossy WebP with quality 95.
        path: the file to make or replace; missing folders are made.

    Raises:
        UnwritableOutput: no permission, no space, no such place. Nothing is left behind.
    """
    write_atomically(path, encode_image(picture))


def encode_image(picture: Image) -> bytes:
    """The bytes of the picture's file."""
    writers = {"png": _png, "tiff": _tiff}
    return writers.get(picture.format, _with_pillow)(picture)


def _samples(picture: Image) -> NDArray[Any]:
    """(H,W) or (H,W,2..4), colours first."""
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[..., None]]
    samples = np.concatenate(parts, axis=2)
    return samples[..., 0] if samples.shape[2] == 1 else samples


def _png(picture: Image) -> bytes:
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


def _with_pillow(picture: Image) -> bytes:
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
    PIL.Image.fromarray(_samples(picture)).save(target, picture.format.upper(), **options)
    return target.getvalue()


def _tiff(picture: Image) -> bytes:
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
