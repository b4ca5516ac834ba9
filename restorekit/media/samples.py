"""What decoders of all formats share: how samples become the upright pixels of an `Image`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from restorekit.errors import UnreadableImage
from restorekit.media.metadata import Metadata
from restorekit.media.profiles import matching_profile


@contextmanager
def decoding() -> Iterator[None]:
    """Whatever a decoder raises, as what is wrong with the file: anything from zlib.error to RecursionError."""
    try:
        yield
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("The image does not fit into memory.", "Cut it into parts.") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UnreadableImage(
            f"The file is damaged or cut off ({reason}).", "Copy it again from its source."
        ) from error


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse what would take too much memory, before any is taken.

    Raises:
        UnreadableImage: more pixels than `max_pixels`.
    """
    if width * height > max_pixels:
        raise UnreadableImage(
            f"The header claims {width}x{height} pixels; the file is damaged, malicious or too large.",
            f"At most {max_pixels} pixels are read; raise `max_pixels` to {width * height} if the image is so large.",
        )


def split_alpha(samples: NDArray[Any], grey: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Colours (H,W,1 or 3) and alpha (H,W) of what a library decoded."""
    if samples.ndim == 2:
        samples = samples[..., None]
    alpha = samples[..., -1] if samples.shape[2] in (2, 4) else None
    return samples[..., :1] if grey else samples[..., :3], alpha


def turn(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Bring (H,W[,C]) upright by its EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)  # 5 is the transpose itself
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


def decode_with_opencv(data: bytes) -> NDArray[Any]:
    """(H,W[,C]) in RGB order, any depth."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("it cannot be decoded")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return pixels


def expanded_mode(image: PIL.Image.Image, coloured: bool) -> str:
    """Mode that a palette or bilevel image is expanded to; a palette of greys becomes grey unless it is `coloured`."""
    if image.mode == "1":
        return "L"
    if image.mode == "P":
        colours = image.getpalette() or []
        grey = colours[0::3] == colours[1::3] == colours[2::3] and not coloured
        transparent = "transparency" in image.info
        return ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
    return "RGBA" if image.mode in ("PA", "RGBa") else "RGB"


def described(
    metadata: Metadata, icc: bytes, lost: tuple[str, ...], orientation: int, pixels: NDArray[Any]
) -> Metadata:
    """The metadata of upright pixels (H,W,1 or 3), which may have another profile and have lost more than their file's."""
    icc, words = matching_profile(icc, grey=pixels.shape[2] == 1)
    if orientation >= 5:  # a quarter turn
        metadata = metadata.resized(*pixels.shape[:2])
    return replace(metadata, icc=icc, lost=metadata.lost + lost + words)
