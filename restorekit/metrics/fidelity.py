"""PSNR and SSIM as the deblurring papers use them: RGB, no border cut, no downsampling."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.depth import RANGES
from restorekit.errors import UsageError

WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004
K1, K2 = 0.01, 0.03

Image = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


def _comparable(restored: Image, sharp: Image) -> float:
    """Check that two pictures can be compared; returns the data range of their type."""
    if restored.shape != sharp.shape or restored.dtype != sharp.dtype:
        raise UsageError(
            f"Cannot compare {restored.shape} {restored.dtype} with {sharp.shape} {sharp.dtype}.",
            "Both pictures need the same size, channels and depth; nothing is resized silently.",
        )
    if restored.dtype not in RANGES:
        raise UsageError(f"Cannot measure {restored.dtype}.", "Use uint8, uint16 or float32 in 0..1.")
    return RANGES[restored.dtype]


def psnr(restored: Image, sharp: Image) -> float:
    """Peak signal-to-noise ratio in dB: one mean squared error over all pixels and channels, then one logarithm.

    Args:
        restored, sharp: (H,W) or (H,W,C) of the same uint8, uint16 or float32 (in 0..1) type.

    Returns:
        dB; identical pictures give inf, never a capped number. A set's score is the mean of its pictures' scores.
    """
    peak = _comparable(restored, sharp)
    error = float(np.mean(np.square(restored.astype(np.float64) - sharp)))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)


def ssim(restored: Image, sharp: Image) -> float:
    """Structural similarity, mean over the channels.

    Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004: 11x11 Gaussian
    window with sigma 1.5, K1 = 0.01, K2 = 0.03, population variance, valid region only. scikit-image gives the same
    with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Args:
        restored, sharp: as for `psnr`, at least 11 px on a side.
    """
    peak = _comparable(restored, sharp)
    if min(sharp.shape[:2]) < WINDOW:
        raise UsageError(f"SSIM needs at least {WINDOW} px on a side, not {sharp.shape[1]}x{sharp.shape[0]}.")
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    window = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    edge = WINDOW // 2

    def mean(x: NDArray[Any]) -> NDArray[Any]:
        return cv2.sepFilter2D(x, cv2.CV_64F, window, window)[edge:-edge, edge:-edge]

    a, b = restored.astype(np.float64), sharp.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    structure = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(structure / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))))
