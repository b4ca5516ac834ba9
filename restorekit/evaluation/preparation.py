"""From an item's files to what methods restore and what their results are compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.downscale import Downscale
from restorekit.errors import UsageError
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.protocol import Protocol
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.image import Image

Rgb = NDArray[np.uint8]
"""(H,W,3)."""


@dataclass(frozen=True)
class Box:
    """A part of an image, three quarters as high as it is wide."""

    left: int
    top: int
    width: int
    """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""
        return max(1, round(self.width * 3 / 4))


@dataclass(frozen=True)
class Degraded:
    """What a method gets: never the truth."""

    pixels: Rgb
    """(h,w,3), blurred or small."""
    target_size: tuple[int, int]
    """Height and width of what is wanted."""
    psf: NDArray[np.float32] | None = None
    """(k,k) point spread function of the blur, where it is known."""


@dataclass(frozen=True)
class PreparedItem:
    """An item in memory, ready to be restored and compared."""

    sharp: Rgb
    """The truth; of several frames that may count as it, the middle one."""
    degraded: Degraded | None
    """None where there is no input: only what was restored elsewhere can be compared."""
    grey: bool
    """The sharp image is stored with one channel."""


def prepare_item(item: Item, protocol: Protocol, scale: int) -> PreparedItem:
    """Read an item's files, each once, and make its input as the protocol says.

    Args:
        item: one image of a data set.
        protocol: how inputs are made, and what is cut out.
        scale: enlargement of super-resolution.

    Raises:
        UnreadableImage: a file cannot be read.
        UsageError: the image is smaller than the centre that the protocol cuts out.
    """
    image = read_image(item.sharp[len(item.sharp) // 2])
    # By the file's channels, not by equal ones: Set14's man is grey in RGB, and published tables map it to 16..235.
    grey = image.pixels.shape[2] == 1
    sharp = _to_rgb8(image)
    if protocol.downscale is not None:
        # Published sets were made by a MATLAB that repeated the edges.
        small, sharp = Downscale(scale, protocol.downscale, border="replicate").make_pair(sharp)
        return PreparedItem(sharp, Degraded(small, sharp.shape[:2]), grey)
    sharp = crop_center(sharp, protocol.center_crop)
    if item.blurred is None:
        return PreparedItem(sharp, None, grey)
    blurred = crop_center(read_rgb8(item.blurred), protocol.center_crop)
    return PreparedItem(sharp, Degraded(blurred, blurred.shape[:2], item.psf), grey)


def sharp_frames(item: Item, prepared: PreparedItem, protocol: Protocol) -> Iterator[Rgb]:
    """All that a result is compared with, one at a time: a camera's trajectory may have hundreds of frames."""
    if protocol.reference == "best" and len(item.sharp) > 1:
        for path in item.sharp:
            yield crop_center(read_rgb8(path), protocol.center_crop)
    else:
        yield prepared.sharp


def crop_center(image: Rgb, side: int) -> Rgb:
    """The central square.

    Args:
        image: (H,W,3).
        side: pixels; 0 keeps the whole image.

    Raises:
        UsageError: the image is smaller.
    """
    if not side:
        return image
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise UsageError(f"An image of {width}x{height} px has no centre of {side} px.")
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _to_rgb8(image: Image) -> Rgb:
    rgb = image.rgb()
    return np.array(rgb) if rgb.dtype == np.uint8 else from_unit(to_unit(rgb))
