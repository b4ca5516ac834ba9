"""MSE and PSNR, and what all full-reference metrics share: the check that two images can be compared."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.colour import Colour, convert
from restorekit.imaging.dtypes import RANGES, Pixels


def to_comparable(
    restored: Pixels, sharp: Pixels, colour: Colour = "rgb", border: int = 0
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Both images as a metric compares them, and the data range.

    Args:
        restored, sharp: (H,W) or (H,W,C) of the same uint8, uint16 or float32 (in 0..1) type.
        colour: see `imaging.colour.convert`.
        border: pixels cut from every side after the conversion.

    Returns:
        The restored and the sharp values, and the largest value that they can have.

    Raises:
        UsageError: different sizes, channels or types, or nothing is left inside the border.
    """
    if restored.shape != sharp.shape or restored.dtype != sharp.dtype:
        raise UsageError(
            f"Cannot compare {restored.shape} {restored.dtype} with {sharp.shape} {sharp.dtype}.",
            "Both images need the same size, channels and depth; nothing is resized silently.",
        )
    if min(sharp.shape[:2]) <= 2 * border:
        raise UsageError(f"Nothing of {sharp.shape[1]}x{sharp.shape[0]} px is left inside a border of {border} px.")
    inside = np.s_[border : sharp.shape[0] - border, border : sharp.shape[1] - border]
    peak = RANGES.get(sharp.dtype, 0.0) if colour == "rgb" else 255.0
    return convert(restored, colour)[inside], convert(sharp, colour)[inside], peak


def mse(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """Mean squared error over all pixels and channels, in squared units of the values compared.

    Args:
        restored, sharp, colour, border: see `to_comparable`.

    Raises:
        UsageError: see `to_comparable`.
    """
    a, b, _ = to_comparable(restored, sharp, colour, border)
    return _mean_squared_error(a, b)


def psnr(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB: one mean squared error over all pixels and channels, then one logarithm.

    Args:
        restored, sharp, colour, border: see `to_comparable`.

    Returns:
        dB; identical images give inf, never a capped number. A set's score is the mean of its images' scores.

    Raises:
        UsageError: see `to_comparable`.
    """
    a, b, peak = to_comparable(restored, sharp, colour, border)
    error = _mean_squared_error(a, b)
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def _mean_squared_error(a: NDArray[Any], b: NDArray[Any]) -> float:
    difference = np.subtract(a, b, dtype=np.float64)
    return float(np.mean(np.square(difference, out=difference)))
