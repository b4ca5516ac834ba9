"""Classical methods that every table shows beside the networks."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit import deconvolution
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize

Rgb = NDArray[np.uint8]


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
    assert task.kernel is not None  # methods that need one are only asked where it is known
    return from_unit(deconvolution.wiener(to_unit(task.picture), task.kernel))


def richardson_lucy(task: Task) -> Rgb:
    """scikit-image's Richardson-Lucy, 30 iterations, with the known kernel; mirrored edges."""
    assert task.kernel is not None
    return from_unit(deconvolution.richardson_lucy(to_unit(task.picture), task.kernel))


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
