"""Structural similarity and its variants, in float64.

Tools differ by up to 0.1 under the same name (a mirrored border, a hidden downsampling, another covariance), so every
variant has a name of its own and a protocol says which one it means.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.colour import Colour
from restorekit.imaging.dtypes import Pixels
from restorekit.metrics.fidelity import to_comparable

WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004: side of the Gaussian window in pixels, and its deviation
K1, K2 = 0.01, 0.03  # share of the data range that keeps the quotients finite
SKIMAGE_WINDOW = 7  # side of scikit-image's uniform window
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
MS_SSIM_MIN_SIDE = WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)  # 176 px: the coarsest scale still holds one window
BAND = 32  # rows filtered together: everything they need stays in the cache

METRIX_LOW_PASS = np.array(
    [0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830, 0.852698679008890]
)
"""First half of the low-pass filter of the biorthogonal 9/7 wavelet, up to its middle."""
METRIX_MIN_SIDE = (WINDOW - 1) * 2 ** (
    len(SCALE_WEIGHTS) - 1
) + 1  # 161 px: every second pixel, the first and last included

SSIMVariant = Literal["wang", "skimage", "global", "metrix-multiscale"]


def _terms(a: NDArray[Any], b: NDArray[Any], peak: float) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure of two images (H,W[,C]) over the valid region and all channels.

    The variances are needed as their sum only, so four filtered maps are enough.
    """
    height, width = a.shape[:2]
    if min(height, width) < WINDOW:
        raise UsageError(f"SSIM needs at least {WINDOW} px on a side, not {width}x{height}.")
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    window = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    edge = WINDOW // 2

    def mean(x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, window, window))[edge:-edge, edge:-edge]

    def band(start: int) -> tuple[float, float, int]:
        x, y = (values[start : start + BAND + 2 * edge].astype(np.float64) for values in (a, b))
        mean_x, mean_y, squares, product = mean(x), mean(y), mean(x * x + y * y), mean(x * y)
        both, each = 2 * mean_x * mean_y, mean_x**2 + mean_y**2
        structure = (2 * product - both + c2) / (squares - each + c2)
        return float(np.sum(structure * ((both + c1) / (each + c1)))), float(np.sum(structure)), structure.size

    starts = range(0, height - 2 * edge, BAND)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV and NumPy let go of the interpreter
        sums = np.sum(list(pool.map(band, starts)), axis=0)
    return float(sums[0] / sums[2]), float(sums[1] / sums[2])


def ssim(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """Structural similarity, mean over the channels.

    Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004: 11x11 Gaussian
    window with sigma 1.5, K1 = 0.01, K2 = 0.03, population variance, valid region only, no downsampling. scikit-image gives
    the same with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Args:
        restored, sharp, colour, border: see `to_comparable`; at least 11 px on a side are left.
    """
    return _terms(*to_comparable(restored, sharp, colour, border))[0]


def ssim_skimage(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """SSIM with scikit-image's defaults: 7x7 uniform window, sample covariance, 3 px lost on each side.

    Args:
        restored, sharp, colour, border: see `to_comparable`; at least 7 px on a side are left.
    """
    from skimage.metrics import structural_similarity

    a, b, peak = to_comparable(restored, sharp, colour, border)
    if min(a.shape[:2]) < SKIMAGE_WINDOW:
        raise UsageError(
            f"scikit-image's SSIM needs at least {SKIMAGE_WINDOW} px on a side, not {a.shape[1]}x{a.shape[0]}."
        )
    values = (a.astype(np.float64), b.astype(np.float64))
    score: Any = structural_similarity(
        *values, win_size=SKIMAGE_WINDOW, data_range=peak, channel_axis=2 if a.ndim == 3 else None
    )
    return float(score)


def ssim_global(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """The SSIM formula with the statistics of whole channels instead of a window, mean over the channels.

    Formula (10) of the GGGAN paper (Shi et al. 2022) read literally. It hardly sees blur (0.98 where `ssim` says 0.8).

    Args:
        restored, sharp, colour, border: see `to_comparable`.
    """
    a, b, peak = to_comparable(restored, sharp, colour, border)
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    x, y = (values.astype(np.float64).reshape(values.shape[0] * values.shape[1], -1) for values in (a, b))
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    covariance = (x * y).mean(axis=0) - mean_x * mean_y
    structure = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(structure / ((mean_x**2 + mean_y**2 + c1) * (x.var(axis=0) + y.var(axis=0) + c2))))


def ms_ssim(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """Multi-scale SSIM, mean over the channels.

    Wang, Simoncelli, Bovik, Multi-scale structural similarity for image quality assessment, Asilomar 2003: five scales,
    contrast-structure at the first four, full SSIM at the last. Between scales an odd last row or column is dropped and
    2x2 pixels are averaged; negative contrast-structure counts as 0.

    Args:
        restored, sharp, colour, border: see `to_comparable`; at least 176 px on a side are left.
    """
    a, b, peak = to_comparable(restored, sharp, colour, border)
    if min(a.shape[:2]) < MS_SSIM_MIN_SIDE:
        raise UsageError(f"MS-SSIM needs at least {MS_SSIM_MIN_SIDE} px on a side, not {a.shape[1]}x{a.shape[0]}.")
    x, y = (values.astype(np.float64).reshape(*values.shape[:2], -1) for values in (a, b))
    channels = []
    for channel in range(x.shape[2]):
        pair, score = (x[..., channel], y[..., channel]), 1.0
        for scale, weight in enumerate(SCALE_WEIGHTS):
            full, structure = _terms(*pair, peak)
            last = scale == len(SCALE_WEIGHTS) - 1
            score *= max(0.0, full if last else structure) ** weight
            pair = (_halve(pair[0]), _halve(pair[1]))
        channels.append(score)
    return float(np.mean(channels))


def ms_ssim_metrix(restored: Pixels, sharp: Pixels, *, colour: Colour = "rgb", border: int = 0) -> float:
    """Multi-scale SSIM as the MeTriX MuX package 1.1 (Gaubatz, Rouse 2007) computes it; mean over the channels.

    The script of Koehler's set calls it. Against `ms_ssim`: the 9/7 wavelet's low-pass filter and every second pixel between
    the scales, and the means of contrast and of structure apart, whose product is not the mean of the products. A negative
    mean structure, where the package's power is complex, counts as 0.

    Args:
        restored, sharp, colour, border: see `to_comparable`; at least 161 px on a side are left.
    """
    a, b, peak = to_comparable(restored, sharp, colour, border)
    if min(a.shape[:2]) < METRIX_MIN_SIDE:
        raise UsageError(f"MS-SSIM needs at least {METRIX_MIN_SIDE} px on a side, not {a.shape[1]}x{a.shape[0]}.")
    x, y = (values.astype(np.float64).reshape(*values.shape[:2], -1) for values in (a, b))
    half = METRIX_LOW_PASS / (2 * METRIX_LOW_PASS.sum() - METRIX_LOW_PASS[-1])
    taps = np.concatenate([half, half[-2::-1]])
    channels = []
    for channel in range(x.shape[2]):
        pair, score, luminance = (x[..., channel], y[..., channel]), 1.0, 1.0
        for scale, weight in enumerate(SCALE_WEIGHTS):
            if scale:
                pair = (_low_pass(pair[0], taps), _low_pass(pair[1], taps))
            luminance, contrast, structure = _components(*pair, peak)
            score *= contrast**weight * max(0.0, structure) ** weight
        channels.append(score * luminance ** SCALE_WEIGHTS[-1])
    return float(np.mean(channels))


def _low_pass(x: NDArray[Any], taps: NDArray[Any]) -> NDArray[Any]:
    """Every second pixel of the filtered plane, mirrored with its edge."""
    return np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_REFLECT))[::2, ::2]


def _components(a: NDArray[Any], b: NDArray[Any], peak: float) -> tuple[float, float, float]:
    """Means of SSIM's luminance, contrast and structure of two planes (H,W) over the valid region."""
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    window = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    edge = WINDOW // 2

    def mean(x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, window, window))[edge:-edge, edge:-edge]

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = (np.maximum(0, square) for square in (mean(a * a) - mean_a**2, mean(b * b) - mean_b**2))
    both = np.sqrt(var_a * var_b)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast = (2 * both + c2) / (var_a + var_b + c2)
    structure = (mean(a * b) - mean_a * mean_b + c2 / 2) / (both + c2 / 2)
    return float(luminance.mean()), float(contrast.mean()), float(structure.mean())


def _halve(x: NDArray[Any]) -> NDArray[Any]:
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return np.asarray(x[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)))
