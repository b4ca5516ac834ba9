"""What happens to a sharp picture before it reaches the file: blur, noise, compression, rounding."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.blur.kernels import Kernel
from restorekit.depth import from_unit, to_unit

CORES = os.cpu_count() or 1
LARGE = 1_000_000  # values; below, threads cost more than they bring
Border = Literal["reflect", "valid"]
Float = NDArray[np.float32]


def convolve(sharp: NDArray[Any], kernel: Kernel, border: Border = "reflect") -> NDArray[Any]:
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
    # OpenCV correlates; a blur is a convolution, so the kernel is turned by 180 degrees.
    turned = np.ascontiguousarray(kernel[::-1, ::-1])
    if border == "reflect":
        sharp = np.asarray(cv2.copyMakeBorder(sharp, radius, radius, radius, radius, cv2.BORDER_REFLECT_101))
    integers = sharp.dtype != np.float32

    def band(rows: slice) -> NDArray[Any]:
        """Rows of the result. OpenCV's Fourier path uses one core, so the picture is cut up for all of them."""
        part = sharp[rows.start : rows.stop + 2 * radius]
        part = cv2.filter2D(to_unit(part) if integers else part, cv2.CV_32F, turned)
        part = part[radius : radius + rows.stop - rows.start, radius : part.shape[1] - radius]
        found = np.asarray(part, np.float32)
        return from_unit(found, sharp.dtype) if integers else found

    height = sharp.shape[0] - 2 * radius
    cuts = np.linspace(0, height, (CORES if sharp.size > LARGE else 1) + 1).astype(int)
    bands = [slice(int(first), int(last)) for first, last in pairwise(cuts)]
    if len(bands) == 1:
        return band(bands[0])
    with ThreadPoolExecutor(CORES) as pool:  # for this call only: a pool that is kept would not survive a fork
        return np.concatenate(list(pool.map(band, bands)))


def noisy(picture: Float, sigma: float, rng: np.random.Generator) -> Float:
    """Add Gaussian noise.

    Args:
        picture: float32 in 0..1.
        sigma: standard deviation in grey levels of 255.
        rng: source of the noise.
    """
    if not sigma:
        return picture
    return picture + np.float32(sigma / 255) * rng.standard_normal(picture.shape, dtype=np.float32)


def compressed(picture: Float, quality: int) -> Float:
    """What JPEG of that quality (1..100) leaves of a picture, float32 in 0..1."""
    _, code = cv2.imencode(".jpg", from_unit(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return to_unit(np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED)))
