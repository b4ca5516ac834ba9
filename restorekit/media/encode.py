"""Write image files: what came in goes out.

imagecodecs deflates PNGs in a tenth of the time of Pillow, which writes JPEG and WebP; OpenCV writes BMP, tifffile TIFF.
Metadata is put into the finished file by `media.metadata`, except where Pillow takes it along.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from restorekit.errors import UnwritableOutput
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.image import Image
from restorekit.media.metadata import (
    Metadata,
    add_to_bmp,
    add_to_jpeg,
    add_to_png,
    add_to_tiff,
    byte_order,
    fit,
    is_premultiplied,
    pillow_options,
    png_chunk,
)
from restorekit.media.sniff import PNG
from restorekit.runtime.atomic import write_atomically

JPEG_QUALITY = 95
LARGEST_SIDE = {"jpeg": 65500, "webp": 16383, "gif": 65535}
"""Pixels; the other formats hold more than memory does."""
MOST_IN_CHUNK = 1 << 30  # bytes; a PNG's chunk holds less than twice as many
_OTHER_FORMAT = "Convert the source to PNG, whose results are PNG files too: they hold any size, depth and alpha."


@dataclass(frozen=True)
class Encoded:
    """An image's file, not yet on the disk."""

    data: bytes
    lost: tuple[str, ...]
    """What is not in the file, in plain words: what reading the source lost, and what this format cannot hold."""


def write_image(image: Image, path: Path) -> tuple[str, ...]:
    """Write an image, whole or not at all: beside its place first, then renamed.

    Args:
        image: written in its own format and depth; JPEG and lossy WebP with quality 95.
        path: the file to make or replace; missing folders are made.

    Returns:
        What is not in the file; see `Encoded.lost`.

    Raises:
        UnwritableOutput: no permission, no space, no such place, or the format cannot hold the image. Nothing is left
            behind.
    """
    try:
        encoded = encode_image(image)
    except UnwritableOutput as error:
        error.path = path
        raise
    write_atomically(path, encoded.data)
    return encoded.lost


def encode_image(image: Image) -> Encoded:
    """Make an image's file in memory.

    Raises:
        UnwritableOutput: the format cannot hold the image: see `check_storable`.
    """
    check_storable(image.format, *image.size)
    metadata, unstorable = fit(image.metadata, image.format)
    try:
        samples, rounded = _storable_samples(image)
        data = _WRITERS[image.format](samples, image, metadata)
    except UnwritableOutput:
        raise
    except MemoryError as error:
        raise UnwritableOutput("The image does not fit into memory while it is encoded.", _OTHER_FORMAT) from error
    except Exception as error:  # encoders raise anything on what they do not expect
        raise UnwritableOutput(f"The image cannot be encoded as {image.format} ({error}).", _OTHER_FORMAT) from error
    return Encoded(data, (*image.metadata.lost, *unstorable, *rounded))


def check_storable(format: str, height: int, width: int) -> None:
    """Check that a format can hold an image of that size, which is worth knowing before it is computed.

    Raises:
        UnwritableOutput: JPEG holds at most 65500 pixels a side, WebP 16383, GIF 65535.
    """
    most = LARGEST_SIDE.get(format)
    if most is not None and max(height, width) > most:
        raise UnwritableOutput(
            f"The result has {width}x{height} pixels, {format.upper()} files hold at most {most} a side.", _OTHER_FORMAT
        )


def _storable_samples(image: Image) -> tuple[NDArray[Any], tuple[str, ...]]:
    """(H,W) or (H,W,2..4), alpha last, in a type that the format has; and what was rounded, in plain words."""
    if image.alpha is not None and image.format == "jpeg":
        raise UnwritableOutput("JPEG files hold no alpha.", _OTHER_FORMAT)
    samples = image.to_array()
    if samples.dtype == np.uint8 or image.format == "tiff":
        return samples, ()
    if image.format == "png" and samples.dtype == np.uint16:
        return samples, ()
    target = np.dtype(np.uint16 if image.format == "png" else np.uint8)
    words = f"{samples.dtype} rounded to {target}: {image.format.upper()} files hold no more"
    return from_unit(to_unit(samples), target), (words,)


def _png(samples: NDArray[Any], _: Image, metadata: Metadata) -> bytes:
    height, width = samples.shape[:2]
    rows = samples.reshape(height, width, -1)
    # libdeflate takes half the time of OpenCV's zlib for files of the same size.
    pixels = memoryview(imagecodecs.deflate_encode(filtered_rows(rows), level=1))
    chunks = [pixels[start : start + MOST_IN_CHUNK] for start in range(0, len(pixels), MOST_IN_CHUNK)]
    head = add_to_png(png_head(height, width, rows.shape[2], rows.dtype), metadata)
    return b"".join([head, *(png_chunk(b"IDAT", bytes(chunk)) for chunk in chunks), png_chunk(b"IEND", b"")])


def png_head(height: int, width: int, channels: int, dtype: np.dtype[Any]) -> bytes:
    """What a PNG begins with: 1 channel is grey, 2 are grey and alpha, 3 RGB, 4 RGB and alpha."""
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return PNG + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * dtype.itemsize, colour, 0, 0, 0))


def filtered_rows(rows: NDArray[Any]) -> bytearray:
    """(H,W,C) as a PNG deflates them: filter 1, each byte less that of the pixel on the left, modulo 256."""
    samples = np.ascontiguousarray(rows, rows.dtype.newbyteorder(">")).view(np.uint8).reshape(len(rows), -1)
    pixel = rows.shape[2] * rows.dtype.itemsize
    data = bytearray(len(rows) * (1 + samples.shape[1]))
    filtered = np.frombuffer(data, np.uint8).reshape(len(rows), -1)
    filtered[:, 0] = 1
    filtered[:, 1 : 1 + pixel] = samples[:, :pixel]
    np.subtract(samples[:, pixel:], samples[:, :-pixel], out=filtered[:, 1 + pixel :])
    return data


def _bgr(samples: NDArray[Any]) -> NDArray[Any]:
    """Channels in OpenCV's order."""
    if samples.ndim == 2:
        return samples
    return cv2.cvtColor(samples, cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)


def _jpeg(samples: NDArray[Any], _: Image, metadata: Metadata) -> bytes:
    return add_to_jpeg(_with_pillow(samples, "JPEG", metadata, quality=JPEG_QUALITY, subsampling=0), metadata)


def _webp(samples: NDArray[Any], image: Image, metadata: Metadata) -> bytes:
    if image.lossless:
        return _with_pillow(samples, "WEBP", metadata, lossless=True, exact=True)
    return _with_pillow(samples, "WEBP", metadata, quality=JPEG_QUALITY)


def _bmp(samples: NDArray[Any], _: Image, metadata: Metadata) -> bytes:
    if samples.ndim == 3 and samples.shape[2] == 2:
        samples = samples[..., [0, 0, 0, 1]]
    # OpenCV's header says that there is alpha, Pillow's does not.
    return add_to_bmp(cv2.imencode(".bmp", _bgr(samples))[1].tobytes(), metadata)


def _with_pillow(samples: NDArray[Any], format: str, metadata: Metadata, **options: Any) -> bytes:
    target = io.BytesIO()
    PIL.Image.fromarray(samples).save(target, format, **options, **pillow_options(metadata))
    return target.getvalue()


def _tiff(samples: NDArray[Any], image: Image, metadata: Metadata) -> bytes:
    import tifffile  # 50 ms, for which no other format need wait

    alpha = "assocalpha" if is_premultiplied(metadata) else "unassalpha"
    target = io.BytesIO()
    tifffile.imwrite(
        target,
        samples,
        byteorder=byte_order(metadata),
        photometric="rgb" if image.pixels.shape[2] == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=None if image.alpha is None else [alpha],
        compression="zlib",
        predictor=False,
        software=False,
        metadata=None,
    )
    return add_to_tiff(target.getvalue(), metadata)


_WRITERS = {"png": _png, "jpeg": _jpeg, "webp": _webp, "tiff": _tiff, "bmp": _bmp}
