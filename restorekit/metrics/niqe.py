"""NIQE: how far an image's statistics are from those of natural images; needs no sharp one. Lower is better.

Mittal, Soundararajan, Bovik. Making a "Completely Blind" Image Quality Analyzer. IEEE Signal Processing Letters 20(3), 2013.
The model of natural scenes is our own, fitted on public photographs: scores must not be compared with those of the authors'
model.
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
from restorekit.imaging.colour import FULL_RANGE
from restorekit.imaging.dtypes import RANGES, Pixels
from restorekit.imaging.resize import resize

BLOCK = 96  # px at the first scale, half of it at the second
MIN_SIDE = 2 * BLOCK  # px: the covariance needs several blocks
WINDOW, SIGMA = 7, 7 / 6
SHARPEST = 0.75  # blocks for fitting have at least this share of the image's largest local deviation
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # neighbours whose products are looked at
BUNDLED = Path(__file__).parent / "niqe-model.npz"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NaturalScenes:
    """What natural images look like: mean and covariance of their blocks' 36 features."""

    mean: Floats
    """(36,)"""
    covariance: Floats
    """(36,36)"""


@cache
def load_bundled() -> NaturalScenes:
    """The natural scenes that come with the package."""
    with np.load(BUNDLED, allow_pickle=False) as arrays:
        return NaturalScenes(arrays["mean"], arrays["covariance"])


def niqe(image: Pixels, natural: NaturalScenes | None = None) -> float:
    """The distance of one image from natural scenes.

    Args:
        image: (H,W) or (H,W,3) uint8, uint16, or float32 in 0..1; at least 192 px on a side. It is cut to multiples of
            96 px from the top left.
        natural: what it is compared with; the bundled model by default.

    Raises:
        UsageError: the image is too small.
    """
    natural = natural or load_bundled()
    features, _ = _features(image)
    difference = features.mean(axis=0) - natural.mean
    covariance = (np.cov(features, rowvar=False) + natural.covariance) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(covariance) @ difference))


def fit(images: Iterable[Pixels]) -> NaturalScenes:
    """Natural scenes from pristine photographs: the features of their sharp blocks."""
    sharp_blocks = []
    for image in images:
        features, sharpness = _features(image)
        sharp_blocks.append(features[sharpness > SHARPEST * sharpness.max()])
    blocks = np.concatenate(sharp_blocks)
    return NaturalScenes(blocks.mean(axis=0), np.cov(blocks, rowvar=False))


def _features(image: Pixels) -> tuple[Floats, Floats]:
    """36 features of every block (N,36), and its mean local deviation (N,)."""
    height, width = (side // BLOCK for side in image.shape[:2])
    if min(image.shape[:2]) < MIN_SIDE:
        raise UsageError(f"NIQE needs at least {MIN_SIDE} px on a side, not {image.shape[1]}x{image.shape[0]}.")
    values = image[: height * BLOCK, : width * BLOCK].astype(np.float64) * (255 / RANGES[image.dtype])
    luma = values @ FULL_RANGE / 1000 if values.ndim == 3 else values
    scales, sharpness = [], np.zeros(0)
    for scale, side in enumerate((BLOCK, BLOCK // 2)):
        if scale:
            luma = resize(luma, (height * side, width * side))
        normalised, deviation = _normalise(luma)
        scales.append(np.array([_block_features(block) for block in _blocks(normalised, side)]))
        if not scale:
            sharpness = np.array([block.mean() for block in _blocks(deviation, side)])
    return np.concatenate(scales, axis=1), sharpness


def _normalise(luma: Floats) -> tuple[Floats, Floats]:
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


def _block_features(normalised: Floats) -> list[float]:
    """Shape and width of the values' distribution; shape, mean and both widths of each neighbour product's."""
    shape, left, right = _fit_asymmetric_gaussian(normalised)
    features = [shape, (left + right) / 2]
    table = _shape_table()
    for shift in SHIFTS:
        shape, left, right = _fit_asymmetric_gaussian(normalised * np.roll(normalised, shift, axis=(0, 1)))
        ratio = table.mean_over_width[np.searchsorted(table.shapes, shape)]
        features += [shape, (right - left) * ratio, left, right]
    return features


def _fit_asymmetric_gaussian(values: Floats) -> tuple[float, float, float]:
    """Asymmetric generalised Gaussian by matching moments: shape, and widths to the left and right."""
    below, above = values[values < 0], values[values > 0]
    left = np.sqrt(np.mean(below**2)) if below.size else 1e-6
    right = np.sqrt(np.mean(above**2)) if above.size else 1e-6
    skew = left / right
    moment = np.abs(values).mean() ** 2 / max(float(np.mean(values**2)), 1e-12)
    wanted = moment * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    table = _shape_table()
    index = int(np.argmin(np.abs(table.magnitude_over_variance - wanted)))
    width = table.width_over_deviation[index]
    return float(table.shapes[index]), float(left * width), float(right * width)


@dataclass(frozen=True)
class _ShapeTable:
    """Facts of the generalised Gaussian for a fine grid of shapes."""

    shapes: Floats
    magnitude_over_variance: Floats
    """Squared mean magnitude over variance."""
    mean_over_width: Floats
    width_over_deviation: Floats


@cache
def _shape_table() -> _ShapeTable:
    from scipy.special import gamma

    shapes: Any = np.arange(0.2, 10, 0.001)
    one, two, three = (gamma(n / shapes) for n in (1, 2, 3))
    return _ShapeTable(shapes, two**2 / (one * three), two / one, np.sqrt(one / three))
