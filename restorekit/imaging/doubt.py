"""Whether a result looks like a failure, told from its input alone.

Four signs, with limits chosen so that few good results show one. `tools/measure_doubt.py` measures how many do, and how
many spoilt ones: results of damaged weights, of deconvolution with a wrong PSF, of noise taken for detail. What is not
among the signs: whether the result, blurred again, gives the input. A linear filter gone wrong passes that test, and a
sharp image in a light noise fails it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import RANGES

MOST_SHIFT = 0.02
"""Of a channel's mean, in parts of the range: restoring moves light, it makes none."""
MOST_CLIPPED = 0.08
"""Share of pixels that were inside the range and are black or white now."""
MOST_GRAIN = 2.5
"""How many times stronger the grain may become: the median of the absolute Laplacian, which edges hardly change."""
MOST_BEYOND = 0.15
"""Share of pixels that may lie beyond all their input's neighbours: sharpening steepens edges, halos overshoot."""
BEYOND = 0.02
"""Of the range: how far is beyond."""
NEIGHBOURS = 9
"""Side of the neighbourhood in pixels."""
LEAST_GRAIN = 2e-3
"""Of the range: below that it is rounding."""
ROWS = 32  # that are looked at together
MOST_SAMPLES = 1 << 16
"""Of the grain, spread over the image: a median needs no more."""


def find_doubt(before: NDArray[Any], after: NDArray[Any], blur: int = 0) -> str:
    """Compare a result with its input.

    Args:
        before: (H,W,3) RGB of any depth.
        after: (sH,sW,3) of the same depth; compared at the input's size.
        blur: side in pixels of the blur that the result's system was told; 0 if it was told none. What was spread so far
            comes back from as far, and the grain is as strong as the blur had made it weak.

    Returns:
        What looks wrong, in words; empty if nothing does.
    """
    if after.shape != before.shape:
        after = cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_AREA)
    top = RANGES[before.dtype]
    grey_before, grey_after = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (before, after))
    signs = []
    means = zip(cv2.mean(before), cv2.mean(after), strict=True)
    shift = max(abs(now - was) for was, now in means) / top
    if shift > MOST_SHIFT:
        signs.append(f"its colours have moved by {100 * shift:.0f} % of the range")
    clipped = _clipped(after) - _clipped(before)
    if clipped > MOST_CLIPPED:
        signs.append(f"{100 * clipped:.0f} % of its values have become black or white")
    was, now = (max(_grain(grey), LEAST_GRAIN * top) for grey in (grey_before, grey_after))
    grain = now / was
    if grain > MOST_GRAIN and not blur:
        signs.append(f"its grain is {grain:.1f} times stronger")
    beyond = _beyond(grey_before, grey_after, BEYOND * top, max(NEIGHBOURS, 2 * blur - 1))
    if beyond > MOST_BEYOND:
        signs.append(f"{100 * beyond:.0f} % of it is brighter or darker than all that was around")
    return ", ".join(signs)


def _clipped(rgb: NDArray[Any]) -> float:
    top = rgb.dtype.type(RANGES[rgb.dtype])  # of the same type: comparing otherwise would convert all pixels
    # In parts, of which what NumPy makes stays in the cache.
    parts = (rgb[start : start + ROWS] for start in range(0, len(rgb), ROWS))
    return sum(np.count_nonzero((part <= 0) | (part >= top)) for part in parts) / rgb.size


def _grain(grey: NDArray[Any]) -> float:
    depth = cv2.CV_16S if grey.dtype == np.uint8 else cv2.CV_32F  # exact in either; the median of floats takes longer
    laplacian = cv2.Laplacian(grey, depth).ravel()
    samples = np.abs(laplacian[:: 1 + laplacian.size // MOST_SAMPLES])
    middle = samples.size // 2
    samples.partition(middle)  # what `np.median` does besides takes as long again
    below = samples[middle] if samples.size % 2 else samples[:middle].max()
    return float((below + samples[middle]) / 2)


def _beyond(before: NDArray[Any], after: NDArray[Any], far: float, neighbours: int) -> float:
    square = np.ones((neighbours, neighbours), np.uint8)
    above = cv2.subtract(after, cv2.dilate(before, square))  # where integers would fall below 0 they stay there
    below = cv2.subtract(cv2.erode(before, square), after)
    return float(np.count_nonzero(cv2.max(above, below) > before.dtype.type(far)) / before.size)
