"""NIQE: how far a picture's statistics are from those of natural pictures; needs no sharp one. Lower is better.

Mittal, Soundararajan, Bovik. Making a "Completely Blind" Image Quality Analyzer. IEEE Signal Processing Letters 20(3), 2013.
The model of natural scenes is our own, fitted by `benchmarks/fit_niqe.py` on public photographs: scores must not be compared
with those of the authors' model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.colour import FULL
from restorekit.imaging.dtypes import RANGES
from restorekit.imaging.resize import resize
from restorekit.metrics.fidelity import Image

BLOCK = 96  # px at the first scale, half of it at the second
WINDOW, SIGMA = 7, 7 / 6
SHARPEST = 0.75  # blocks for fitting have at least this share of the picture's largest local deviation
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # neighbours whose products are looked at
SHIPPED = Path(__file__).parent / "niqe-model.npz"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """Natural scenes: what their blocks' 36 features are like."""

    mean: Floats
    """(36,)"""
    covariance: Floats
    """(36,36)"""


@cache
def shipped() -> Model:
    """The model that comes with the package."""
    with np.load(SHIPPED, allow_pickle=False) as found:
        return Model(found["mean"], found["covariance"])


def niqe(picture: Image, model: Model | None = None) -> float:
    """The distance of one picture from natural scenes.

    Args:
        picture: (H,W) or (H,W,3) uint8, uint16, or float32 in 0..1; at least 192 px on a side. It is cut to multiples of
            96 px from the top left.
        model: natural scenes; the shipped ones by default.

    Raises:
        UsageError: the picture is too small.
    """
    natural = model or shipped()
    features, _ = _features(picture)
    apart = features.mean(axis=0) - natural.mean
    spread = (np.cov(features, rowvar=False) + natural.covariance) / 2
    return float(np.sqrt(apart @ np.linalg.pinv(spread) @ apart))


def fit(pictures: Iterable[Image]) -> Model:
    """Natural scenes from pristine photographs: the features of their sharp blocks."""
    chosen = []
    for picture in pictures:
        features, sharpness = _features(picture)
        chosen.append(features[sharpness > SHARPEST * sharpness.max()])
    blocks = np.concatenate(chosen)
    return Model(blocks.mean(axis=0), np.cov(blocks, rowvar=False))


def _features(picture: Image) -> tuple[Floats, Floats]:
    """36 features of every block (N,36), and its mean local deviation (N,)."""
    height, width = (side // BLOCK for side in picture.shape[:2])
    if min(height, width) < 2:
        raise UsageError(f"NIQE needs at least {2 * BLOCK} px on a side, not {picture.shape[1]}x{picture.shape[0]}.")
    values = picture[: height * BLOCK, : width * BLOCK].astype(np.float64) * (255 / RANGES[picture.dtype])
    luma = values @ FULL / 1000 if values.ndim == 3 else values
    scales, sharpness = [], np.zeros(0)
    for scale, side in enumerate((BLOCK, BLOCK // 2)):
        if scale:
            luma = resize(luma, (height * side, width * side))
        normal, deviation = _normalised(luma)
        scales.append(np.array([_block(one) for one in _blocks(normal, side)]))
        if not scale:
            sharpness = np.array([one.mean() for one in _blocks(deviation, side)])
    return np.concatenate(scales, axis=1), sharpness


def _normalised(luma: Floats) -> tuple[Floats, Floats]:
    """Local mean taken away, divided by the local deviation (plus 1 grey level), and that deviation."""
    window = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)

    def mean(x: Floats) -> Floats:
        return np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, window, window, borderType=cv2.BORDER_REPLICATE))

    centre = mean(luma)
    deviation = np.sqrt(np.abs(mean(luma * luma) - centre**2))
    return (luma - centre) / (deviation + 1), deviation


def _blocks(plane: Floats, side: int) -> list[Floats]:
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return list(plane.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side))


def _block(normal: Floats) -> list[float]:
    """Shape and width of the values' distribution; shape, mean and both widths of each neighbour product's."""
    shape, left, right = _asymmetric(normal)
    found = [shape, (left + right) / 2]
    for shift in SHIFTS:
        shape, left, right = _asymmetric(normal * np.roll(normal, shift, axis=(0, 1)))
        ratio = _RATIOS[1][np.searchsorted(_SHAPES, shape)]
        found += [shape, (right - left) * ratio, left, right]
    return found


def _asymmetric(values: Floats) -> tuple[float, float, float]:
    """Asymmetric generalised Gaussian by matching moments: shape, and widths to the left and right."""
    below, above = values[values < 0], values[values > 0]
    left = np.sqrt(np.mean(below**2)) if below.size else 1e-6
    right = np.sqrt(np.mean(above**2)) if above.size else 1e-6
    skew = left / right
    moment = np.abs(values).mean() ** 2 / max(float(np.mean(values**2)), 1e-12)
    wanted = moment * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    place = int(np.argmin(np.abs(_RATIOS[0] - wanted)))
    width = _RATIOS[2][place]
    return float(_SHAPES[place]), float(left * width), float(right * width)


def _tables() -> tuple[Floats, tuple[Floats, Floats, Floats]]:
    """Shapes, and for each: squared mean magnitude over variance; mean over width; width over deviation."""
    from scipy.special import gamma

    shapes: Any = np.arange(0.2, 10, 0.001)
    one, two, three = (gamma(n / shapes) for n in (1, 2, 3))
    return shapes, (two**2 / (one * three), two / one, np.sqrt(one / three))


_SHAPES, _RATIOS = _tables()
