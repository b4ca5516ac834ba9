"""What happens to a sharp picture before it reaches the file: blur, noise, compression, rounding."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.psf import PSF
from restorekit.imaging.dtypes import from_unit, to_unit

CORES = os.cpu_count() or 1
LARGE = 1_000_000  # values; below, threads cost more than they bring
ConvolutionBorder = Literal["reflect", "valid"]
Float = NDArray[np.float32]


def convolve(sharp: NDArray[Any], kernel: PSF, border: ConvolutionBorder = "reflect") -> NDArray[Any]:
    """Blur a picture with one PSF.

    Args:
        sharp: (H,W) or (H,W,C) uint8, uint16, or float32 of any range.
        kernel: (K,K), K odd, sum 1.
        border: "reflect" mirrors the picture at its edges (without repeating the edge) and keeps the size; "valid"
            keeps only what no invented pixel has touched.

    Returns:
        The type of `sharp` (integers are rounded once, at the end) and its size or, for "valid", smaller by (K-1)/2 on
        each side.
    """
    radius = kernel.shape[0] // 2
    if border == "reflect":
        sharp = np.asarray(cv2.copyMakeBorder(sharp, radius, radius, radius, radius, cv2.BORDER_REFLECT_101))
    height, width = sharp.shape[0] - 2 * radius, sharp.shape[1] - 2 * radius
    # OpenCV correlates; a blur is a convolution, so the kernel is turned by 180 degrees. Its empty rows cost time too.
    turned = kernel[::-1, ::-1]
    used = np.flatnonzero(turned.any(axis=1))
    above, below = int(used[0]), int(used[-1]) + 1
    turned = np.ascontiguousarray(turned[above:below])
    integers = sharp.dtype != np.float32

    def work(piece: tuple[NDArray[Any], int, int]) -> NDArray[Any]:
        """Rows `first` to `last` of one blurred channel. OpenCV's Fourier path uses one core and likes single channels."""
        channel, first, last = piece
        part = np.ascontiguousarray(channel[first + above : last + below - 1])
        part = cv2.filter2D(to_unit(part) if integers else part, cv2.CV_32F, turned, anchor=(radius, 0))
        found = np.asarray(part, np.float32)[: last - first, radius : radius + width]
        return from_unit(found, sharp.dtype) if integers else found

    channels = [sharp] if sharp.ndim == 2 else [sharp[..., channel] for channel in range(sharp.shape[2])]
    cuts = np.linspace(0, height, (CORES if sharp.size > LARGE else 1) + 1).astype(int).tolist()
    pieces = [(channel, first, last) for channel in channels for first, last in pairwise(cuts)]
    if len(cuts) == 2:
        done = [work(piece) for piece in pieces]
    else:
        with ThreadPoolExecutor(CORES) as pool:  # for this call only: a pool that is kept would not survive a fork
            done = list(pool.map(work, pieces))
    bands = len(cuts) - 1
    planes = [np.concatenate(done[start : start + bands]) for start in range(0, len(done), bands)]
    return planes[0] if sharp.ndim == 2 else np.asarray(cv2.merge(planes)).reshape(height, width, len(planes))


def add_noise(picture: Float, sigma: float, rng: np.random.Generator) -> Float:
    """Add Gaussian noise.

    Args:
        picture: float32 in 0..1.
        sigma: standard deviation in grey levels of 255.
        rng: source of the noise.
    """
    if not sigma:
        return picture
    return picture + np.float32(sigma / 255) * rng.standard_normal(picture.shape, dtype=np.float32)


def jpeg_compress(picture: Float, quality: int) -> Float:
    """What JPEG of that quality (1..100) leaves of a picture, float32 in 0..1."""
    _, code = cv2.imencode(".jpg", from_unit(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return to_unit(np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED)))
