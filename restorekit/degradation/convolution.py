"""Blur with a PSF that is the same everywhere in the image."""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product, repeat
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.choices import ConvolutionBorder
from restorekit.imaging.dtypes import PSF, RANGES

CORES = os.cpu_count() or 1
LARGE = 1_000_000  # values; below, threads cost more than they bring
SSE3 = 3  # OpenCV's number of it
# Cells: OpenCV sums up kernels that are not larger, and their zeros cost nothing.
SUMMED = 129 if cv2.checkHardwareSupport(SSE3) else 49
SUMMED_TILE = (128, 768)  # pixels: larger ones leave a core's cache, at smaller ones threads wait for each other
FOURIER_TILE = (540, 4096)
PASS = 14  # a further kernel of SUMMED cells costs as much as so many weights, ...
FOURIER = 400  # ... and a Fourier transform as so many


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
    blurred = np.empty((sharp.shape[0] - 2 * radius, sharp.shape[1] - 2 * radius, *further), sharp.dtype)
    correlation = _Correlation.of(kernel)
    tops, lefts = (range(0, size, step) for size, step in zip(blurred.shape, correlation.tile, strict=False))
    tiles = list(product(tops, lefts))
    if sharp.size < LARGE:
        for tile in tiles:
            correlation.filter_tile(sharp, blurred, tile)
    else:
        with ThreadPoolExecutor(CORES) as pool:  # for this call only: a pool that is kept would not survive a fork
            list(pool.map(correlation.filter_tile, repeat(sharp), repeat(blurred), tiles))
    return blurred


@dataclass(frozen=True)
class _Part:
    """Neighbouring weights of a PSF that is turned by 180 degrees: OpenCV correlates, and a blur is a convolution."""

    weights: NDArray[np.float32]
    top: int
    left: int

    @classmethod
    def of(cls, turned: PSF, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> "_Part":
        """The weights at these places, and zeros between them."""
        top, left = int(rows.min()), int(columns.min())
        weights = np.zeros((np.ptp(rows) + 1, np.ptp(columns) + 1), np.float32)
        weights[rows - top, columns - left] = turned[rows, columns]
        return cls(weights, top, left)


@dataclass(frozen=True)
class _Correlation:
    """A PSF as OpenCV takes it: in parts that it sums up, or in one for a Fourier transform."""

    parts: tuple[_Part, ...]
    tile: tuple[int, int]
    """Height and width of what it computes at once."""

    @classmethod
    def of(cls, psf: PSF) -> "_Correlation":
        """Choose what takes less time. A line has few weights, however large its PSF."""
        turned = psf[::-1, ::-1]
        rows, columns = np.nonzero(turned)
        parts = tuple(_Part.of(turned, *places) for places in _split(rows, columns))
        if len(rows) + PASS * len(parts) > FOURIER:
            return cls((_Part.of(turned, rows, columns),), FOURIER_TILE)
        return cls(parts, SUMMED_TILE)

    def filter_tile(self, sharp: NDArray[Any], blurred: NDArray[Any], tile: tuple[int, int]) -> None:
        """Compute the tile of `blurred` (H,W) or (H,W,C) that begins at a row and column, in place.

        Args:
            sharp: its surroundings too, (H+K-1,W+K-1) or with channels.
            blurred: of the same type.
            tile: row and column.
        """
        result = blurred[tile[0] :, tile[1] :][: self.tile[0], : self.tile[1]]
        height, width = result.shape[:2]
        first = min(part.top for part in self.parts)
        last = max(part.top + len(part.weights) for part in self.parts) - 1
        rows = slice(tile[0] + first, tile[0] + height + last)
        columns = slice(tile[1], tile[1] + width + sharp.shape[1] - blurred.shape[1])
        values = sharp[rows, columns].astype(np.float32, copy=False)
        total = np.zeros(result.shape, np.float32)
        for part in self.parts:
            below, beside = part.weights.shape
            window = values[part.top - first :, part.left :][: height + below - 1, : width + beside - 1]
            filtered = cv2.filter2D(window, cv2.CV_32F, part.weights, anchor=(0, 0))
            total += np.asarray(filtered)[:height, :width].reshape(result.shape)
        if sharp.dtype != np.float32:  # to be cut off, which is rounding half up
            total += np.float32(0.5)
            np.clip(total, 0, RANGES[sharp.dtype], out=total)
        result[:] = total


def _split(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Divide the places of weights among boxes of at most `SUMMED` cells."""
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    if height * width <= SUMMED:
        yield rows, columns
        return
    places, side = (rows, height) if height > width else (columns, width)
    count = math.ceil(math.sqrt(height * width / SUMMED))  # strips, as many as a straight line needs
    strip = (places - places.min()) * count // side
    for number in np.unique(strip):
        yield from _split(rows[strip == number], columns[strip == number])
