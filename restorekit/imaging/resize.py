"""Resizing with exact definitions: what MATLAB's `imresize` does, and the resizers it is compared with.

Definitions differ between tools by up to 1.5 dB in super-resolution tables, so every one has its name here. A resizer is a
weight matrix an axis; this file makes the weights, for whole images (`resize`) and for networks (`phases`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import RANGES

ResizeKernel = Literal["cubic", "cubic-opencv", "linear", "lanczos", "nearest"]
ResizeBorder = Literal["symmetric", "replicate", "cut"]
BAND = 256  # output rows that are computed together
KERNELS: tuple[ResizeKernel, ...] = get_args(ResizeKernel)


def _cubic(x: NDArray[Any], a: float) -> NDArray[Any]:
    """Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 29(6), 1981, equation (4)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _cubic_matlab(x: NDArray[Any]) -> NDArray[Any]:
    return _cubic(x, -0.5)


def _cubic_opencv(x: NDArray[Any]) -> NDArray[Any]:
    return _cubic(x, -0.75)


def _linear(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(0.0, 1 - np.abs(x)))


def _lanczos3(x: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _nearest(x: NDArray[Any]) -> NDArray[Any]:
    return ((x >= -0.5) & (x < 0.5)).astype(float)


@dataclass(frozen=True)
class _Weighting:
    """How much a source pixel counts, by its distance from the output pixel's centre in source pixels."""

    weights: Callable[[NDArray[Any]], NDArray[Any]]
    support: float
    """Distance beyond which nothing counts."""


_WEIGHTINGS: dict[ResizeKernel, _Weighting] = {
    "cubic": _Weighting(_cubic_matlab, 2.0),  # MATLAB, Pillow, torch with antialiasing
    "cubic-opencv": _Weighting(_cubic_opencv, 2.0),  # OpenCV INTER_CUBIC, torch without antialiasing
    "linear": _Weighting(_linear, 1.0),
    "lanczos": _Weighting(_lanczos3, 3.0),
    "nearest": _Weighting(_nearest, 0.5),
}


def phases(kernel: ResizeKernel, scale: int) -> NDArray[np.float64]:
    """Weights that enlarge one axis by a whole number.

    Output pixel ``scale * i + p`` is the sum of ``weights[p, t] * input[i + t - radius]``.

    Args:
        kernel: the weight function.
        scale: output pixels for one input pixel.

    Returns:
        (scale, 2 radius + 1); every row sums to 1.
    """
    weighting = _WEIGHTINGS[kernel]
    radius = math.ceil(weighting.support)
    offset = (np.arange(scale) + 0.5) / scale - 0.5  # of an output pixel's centre from that of its input pixel
    weights = weighting.weights(offset[:, None] - np.arange(-radius, radius + 1))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _axis_weights(
    length: int, size: int, scale: float, kernel: ResizeKernel, antialias: bool, border: ResizeBorder
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Source pixels and their weights, (size, taps) each, for one axis."""
    weighting = _WEIGHTINGS[kernel]
    stretch = 1 / scale if antialias and scale < 1 else 1.0  # a wider kernel keeps what cannot be shown from aliasing
    width = 2 * weighting.support * stretch
    centre = (np.arange(size) + 0.5) / scale - 0.5
    first = np.floor(centre - width / 2)
    index = (first[:, None] + np.arange(math.ceil(width) + 2)).astype(np.intp)
    weights = weighting.weights((centre[:, None] - index) / stretch)
    if border == "cut":
        weights = np.where((index >= 0) & (index < length), weights, 0.0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    if border == "symmetric":
        folded = index % (2 * length)
        index = np.where(folded < length, folded, 2 * length - 1 - folded)
    used = (weights != 0).any(axis=0)
    return np.clip(index, 0, length - 1)[:, used], weights[:, used]


def resize(
    image: NDArray[Any],
    size: tuple[int, int],
    *,
    scale: float | None = None,
    kernel: ResizeKernel = "cubic",
    antialias: bool = True,
    border: ResizeBorder = "symmetric",
    round_each_axis: bool = True,
) -> NDArray[Any]:
    """Resize an image as MATLAB's `imresize` does, or as a variant that the arguments name. Rows first, then columns.

    Args:
        image: (H,W) or (H,W,C); uint8, uint16, or floating point of any range.
        size: height and width of the result.
        scale: output pixels for one input pixel. MATLAB uses a given factor as it is even where the size is rounded; by
            default each axis gets the ratio of its sizes.
        kernel: weight function; "cubic" has a = -0.5, "cubic-opencv" a = -0.75.
        antialias: widen the kernel when shrinking.
        border: "symmetric" mirrors with the edge repeated (MATLAB today), "replicate" repeats the edge (MATLAB until about
            2015), "cut" leaves out what lies outside and renormalises (Pillow).
        round_each_axis: integers are rounded half up and clipped after each axis as in MATLAB, not only at the end.

    Returns:
        The resized image in the same type; floating point is computed and returned in float64 and never clipped.

    Raises:
        UsageError: an empty image, or a type that is neither uint8, uint16 nor floating point.
    """
    integer = _is_integer(image.dtype)
    if 0 in image.shape or min(size) < 1 or not (integer or image.dtype.kind == "f"):
        raise UsageError(f"Cannot resize {image.shape} {image.dtype} to {size[1]}x{size[0]}.")
    resizer = RowResizer((image.shape[0], image.shape[1]), size, scale, kernel, antialias, border, round_each_axis)
    result = np.empty((*size, *image.shape[2:]), image.dtype if integer else np.float64)
    for start in range(0, size[0], BAND):  # the work in float64 is bounded by the band, not by the image
        stop = min(start + BAND, size[0])
        result[start:stop] = resizer.rows(image, 0, start, stop)
    return result


class RowResizer:
    """Resizes an image by rows. It takes the arguments of `resize`, and gives the same values.

    Args:
        shape: height and width of the image.
        size: height and width of the result.
        scale, kernel, antialias, border, round_each_axis: see `resize`.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        size: tuple[int, int],
        scale: float | None = None,
        kernel: ResizeKernel = "cubic",
        antialias: bool = True,
        border: ResizeBorder = "symmetric",
        round_each_axis: bool = True,
    ) -> None:
        (self._rows, self._row_weights), (self._columns, self._column_weights) = (
            _axis_weights(length, out, scale or out / length, kernel, antialias, border)
            for length, out in zip(shape, size, strict=True)
        )
        self._round_each_axis = round_each_axis

    def source_rows(self, start: int, stop: int) -> tuple[int, int]:
        """First row of the image, and the first behind, that the rows `start` to `stop - 1` of the result depend on."""
        needed = self._rows[start:stop]
        return int(needed.min()), int(needed.max()) + 1

    def rows(self, image: NDArray[Any], top: int, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop - 1` of the result.

        Args:
            image: rows of the image from `top` on, at least those that `source_rows` tells.
            top: place of its first row.
            start, stop: rows of the result.
        """
        integer = _is_integer(image.dtype)
        part = _weighted_sums(image, self._rows[start:stop] - top, self._row_weights[start:stop])
        if integer and self._round_each_axis:
            part = np.clip(np.floor(part + 0.5), 0, RANGES[image.dtype])
        part = _weighted_sums(part.swapaxes(0, 1), self._columns, self._column_weights).swapaxes(0, 1)
        return np.clip(np.floor(part + 0.5), 0, RANGES[image.dtype]).astype(image.dtype) if integer else part


def _is_integer(dtype: np.dtype[Any]) -> bool:
    return dtype in (np.uint8, np.uint16)


def _weighted_sums(image: NDArray[Any], index: NDArray[np.intp], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums along the first axis: output i is the sum of weights[i, t] * image[index[i, t]]."""
    total = np.zeros((len(index), *image.shape[1:]))
    for tap in range(index.shape[1]):
        total += weights[:, tap].reshape(-1, *[1] * (image.ndim - 1)) * image[index[:, tap]]
    return total
