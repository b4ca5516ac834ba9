"""Which numbers of an image are compared: its channels, or one of the two kinds of luma.

For the same error full-range luma reads 1.322 dB lower than studio-range Y, so a score without its colour means nothing.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import RANGES

Colour = Literal["rgb", "y", "y-float", "luma", "luma-float"]
"""What of an image is compared, see `convert`."""

# BT.601 in whole numbers: with them, and one division, halves are exact and round up as they should.
STUDIO_RANGE = np.array(
    [65481.0, 128553.0, 24966.0]
)  # over 255000, 0..255 to 0..219 (then + 16), as MATLAB's rgb2ycbcr
FULL_RANGE = np.array([299.0, 587.0, 114.0])  # over 1000, 0..255 to 0..255, as JPEG


def convert(image: NDArray[Any], colour: Colour) -> NDArray[Any]:
    """The values of an image that a metric compares.

    Args:
        image: (H,W), (H,W,1) or (H,W,3) uint8, uint16, or float32 in 0..1; RGB order.
        colour: "rgb" leaves all channels as they are; "y" is 16..235 luma rounded to integers, as MATLAB does with uint8;
            "y-float" the same unrounded, as scikit-image does; "luma" is 0..255 luma rounded, as OpenCV and Pillow do;
            "luma-float" the same unrounded and unclipped, as MeTriX MuX does.
            An image of one channel is taken as it is, without the 16..235 map: the reference scripts of the
            super-resolution tables do so (0.094 dB on Set14's average).

    Returns:
        The image itself for "rgb", else (H,W): uint8, or float64 in 0..255 for the two of float.

    Raises:
        UsageError: another shape or type.
    """
    if image.dtype not in RANGES or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise UsageError(f"Cannot measure {image.shape} {image.dtype}.", "Use uint8, uint16 or float32 in 0..1.")
    if colour == "rgb":
        return image
    values = image.astype(np.float64) * (255 / RANGES[image.dtype])
    if image.ndim == 2 or image.shape[2] == 1:
        values = values.reshape(image.shape[:2])
    else:
        values = values @ FULL_RANGE / 1000 if colour.startswith("luma") else values @ STUDIO_RANGE / 255000 + 16
    return values if colour.endswith("-float") else np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)
