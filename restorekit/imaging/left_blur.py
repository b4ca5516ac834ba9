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
SIDE = 11  # pixels of the blur that the metric tries


def blur_is_left(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Compare a result with its input.

    Args:
        before: (H,W,3) RGB of any depth.
        after: (sH,sW,3).
    """
    return _blur(before) > BLURRED and _blur(after) > RESTORED


def _blur(rgb: NDArray[Any]) -> float:
    """How little of an image's variation another blur takes away: what is blurred already loses little.

    The metric of Crete et al., "The blur effect", SPIE 6492, 2007, as scikit-image has it in three times the time, its
    import apart; but 0 for an image of a single colour.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return max(_kept(grey, (SIDE, 1), (1, 0)), _kept(grey, (1, SIDE), (0, 1)))


def _kept(grey: NDArray[np.float32], blur: tuple[int, int], step: tuple[int, int]) -> float:
    """The share of the steps from pixel to pixel that a blur along them leaves."""
    blurred = cv2.blur(grey, blur, borderType=cv2.BORDER_REFLECT)
    before, after = (np.abs(cv2.Sobel(image, cv2.CV_32F, *step)[2:-1, 2:-1]) for image in (grey, blurred))
    whole = before.sum(dtype=np.float64)
    return float(1 - np.maximum(before - after, 0).sum(dtype=np.float64) / whole) if whole else 0.0
