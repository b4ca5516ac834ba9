"""Classical methods that every table shows beside the networks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize

Rgb = NDArray[np.uint8]
NOISE = 0.01  # Wiener: noise power over signal power, the same at every frequency
ITERATIONS = 30  # Richardson-Lucy


@dataclass(frozen=True)
class Task:
    """What a method gets: never the truth."""

    picture: Rgb
    """(h,w,3), blurred or small."""
    size: tuple[int, int]
    """Height and width of what is wanted."""
    kernel: NDArray[np.float32] | None = None
    """The PSF, where it is known."""


Baseline = Callable[[Task], Rgb]


def identity(task: Task) -> Rgb:
    """The input as it is."""
    return task.picture


def unsharp(task: Task) -> Rgb:
    """scikit-image's unsharp mask, radius 2, amount 1."""
    from skimage.filters import unsharp_mask

    return from_unit(unsharp_mask(to_unit(task.picture), radius=2, amount=1, channel_axis=2).astype(np.float32))


def wiener(task: Task) -> Rgb:
    """scikit-image's Wiener filter, noise-to-signal ratio 0.01, with the known kernel; mirrored edges."""
    from skimage.restoration import wiener as filtered

    flat = np.ones((1, 1))  # the default, a Laplacian, loses 5 dB on 8-bit pictures
    return _deconvolved(task, lambda plane, kernel: filtered(plane, kernel, NOISE, reg=flat, clip=False))


def richardson_lucy(task: Task) -> Rgb:
    """scikit-image's Richardson-Lucy, 30 iterations, with the known kernel; mirrored edges."""
    from skimage.restoration import richardson_lucy as deconvolved

    return _deconvolved(
        task, lambda plane, kernel: deconvolved(plane, kernel, num_iter=ITERATIONS, filter_epsilon=1e-6)
    )


def _deconvolved(task: Task, method: Callable[[Any, Any], Any]) -> Rgb:
    assert task.kernel is not None  # methods that need one are only asked where it is known
    edge = 3 * task.kernel.shape[0]  # with less, what FFTs make of the ends reaches the picture within 30 iterations
    padded = np.pad(to_unit(task.picture), ((edge, edge), (edge, edge), (0, 0)), mode="reflect")
    planes = [method(padded[..., channel], task.kernel) for channel in range(3)]
    found = np.stack(planes, axis=2)[edge : edge + task.size[0], edge : edge + task.size[1]]
    return from_unit(np.nan_to_num(found).astype(np.float32))


def bicubic(task: Task) -> Rgb:
    """MATLAB's `imresize`, as published tables use it: 8 bit, repeated edges."""
    return resize(task.picture, task.size, border="replicate")


def bilinear(task: Task) -> Rgb:
    """OpenCV's bilinear enlargement."""
    return np.asarray(cv2.resize(task.picture, task.size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


DEBLUR: dict[str, Baseline] = {"identity": identity, "unsharp-mask": unsharp}
WITH_KERNEL: dict[str, Baseline] = {"wiener": wiener, "richardson-lucy": richardson_lucy}
SR: dict[str, Baseline] = {"bicubic": bicubic, "bilinear": bilinear}
SR_PAPER: dict[str, Baseline] = {"bicubic-as-published": bilinear, "bicubic": bicubic}
"""The SR paper's "Bicubic" is bilinear: see the protocol's notes."""
