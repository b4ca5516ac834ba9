"""Whether a blurred image's result is blurred still, told from the two alone."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BLURRED = 0.5
"""Of the metric, which is 0 to 1. One of 421 sharp images lies above it (BSDS500, Kvasir-SEG, GoPro), and of blurred ones of
BSDS500 90 % with motion of 15 to 25 px, 77 % with 10 to 15 px, 46 % with less."""
RESTORED = 0.45
"""A result below it is no longer blurred: what `dmphn` makes of four blurred images of GoPro has 0.39 to 0.45."""


def blur_is_left(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Compare a result with its input.

    Args:
        before: (H,W,3) RGB of any depth.
        after: (sH,sW,3).
    """
    return _blur(before) > BLURRED and _blur(after) > RESTORED


def _blur(rgb: NDArray[Any]) -> float:
    """How little of an image's variation another blur takes away: what is blurred already loses little.

    The metric of Crete et al., "The blur effect", SPIE 6492, 2007, as scikit-image has it. Not a number for a single pixel.
    """
    from skimage.measure import blur_effect  # a quarter of a second that only those wait for who ask

    with np.errstate(invalid="ignore"):
        return float(blur_effect(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)))
