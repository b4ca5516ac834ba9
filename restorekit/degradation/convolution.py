"""Blur with a PSF that is the same everywhere in the image."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.choices import ConvolutionBorder
from restorekit.imaging.dtypes import PSF, from_unit, to_unit

CORES = os.cpu_count() or 1
LARGE = 1_000_000  # values; below, threads cost more than they bring


def convolve(sharp: NDArray[Any], kernel: PSF, border: ConvolutionBorder = "reflect") -> NDArray[Any]:
    """Blur an image with one PSF.

    Args:
        sharp: (H,W) or (H,W,C) uint8, uint16, or float32 of any range.
        kernel: (K,K), K odd, sum 1.
        border: "reflect" mirrors the image at its edges (without repeating the edge) and keeps the size; "valid"
            keeps only what no invented pixel has touched.

    Returns:
        The type of `sharp` (integers are rounded once, at the end) and its size or, for "valid", smaller by (K-1)/2 on
        each side.
    """
    radius, further = kernel.shape[0] // 2, sharp.shape[2:]
    if border == "reflect":
        sharp = np.asarray(cv2.copyMakeBorder(sharp, radius, radius, radius, radius, cv2.BORDER_REFLECT_101))
    height, width = sharp.shape[0] - 2 * radius, sharp.shape[1] - 2 * radius
    channels = [sharp] if sharp.ndim == 2 else [sharp[..., channel] for channel in range(sharp.shape[2])]
    cuts = np.linspace(0, height, (CORES if sharp.size > LARGE else 1) + 1).astype(int).tolist()
    bands = [(channel, first, last) for channel in channels for first, last in pairwise(cuts)]
    correlation = _Correlation.of(kernel)
    if len(bands) == len(channels):
        blurred = [correlation.filter_rows(*band) for band in bands]
    else:
        with ThreadPoolExecutor(CORES) as pool:  # for this call only: a pool that is kept would not survive a fork
            blurred = list(pool.map(correlation.filter_rows, *zip(*bands, strict=True)))
    per_channel = len(cuts) - 1
    planes = [np.concatenate(blurred[start : start + per_channel]) for start in range(0, len(blurred), per_channel)]
    return np.asarray(cv2.merge(planes)).reshape(height, width, *further)  # OpenCV drops a single channel's axis


@dataclass(frozen=True)
class _Correlation:
    """A PSF as OpenCV takes it."""

    kernel: NDArray[np.float32]
    """(rows,K): turned by 180 degrees, because OpenCV correlates and a blur is a convolution. Empty rows above and below
    are left out, they cost time too."""
    above: int
    """Empty rows above."""

    @classmethod
    def of(cls, psf: PSF) -> "_Correlation":
        turned = psf[::-1, ::-1]
        used = np.flatnonzero(turned.any(axis=1))
        above, below = int(used[0]), int(used[-1]) + 1
        return cls(np.ascontiguousarray(turned[above:below]), above)

    def filter_rows(self, channel: NDArray[Any], first: int, last: int) -> NDArray[Any]:
        """Rows `first` to `last` (not included) of the result, in the type of the channel (H+K-1,W+K-1).

        OpenCV's Fourier path uses one core and likes single channels.
        """
        rows, side = self.kernel.shape
        used = np.ascontiguousarray(channel[first + self.above : last + self.above + rows - 1])
        integers = channel.dtype != np.float32
        filtered = cv2.filter2D(to_unit(used) if integers else used, cv2.CV_32F, self.kernel, anchor=(side // 2, 0))
        blurred = np.asarray(filtered, np.float32)[: last - first, side // 2 : channel.shape[1] - side // 2]
        return from_unit(blurred, channel.dtype) if integers else blurred
