"""Classical methods that every table shows beside the networks."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from restorekit import deconvolution
from restorekit.evaluation.preparation import Degraded, Rgb
from restorekit.evaluation.protocol import Protocol
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize


def identity(degraded: Degraded) -> Rgb:
    """Return the input as it is."""
    return degraded.pixels


def unsharp_mask(degraded: Degraded) -> Rgb:
    """Sharpen with scikit-image's unsharp mask, radius 2, amount 1."""
    from skimage.filters import unsharp_mask

    return from_unit(unsharp_mask(to_unit(degraded.pixels), radius=2, amount=1, channel_axis=2).astype(np.float32))


def wiener(degraded: Degraded) -> Rgb:
    """Deconvolve with Wiener's filter on gradients, the noise estimated, and the known PSF; tapered edges."""
    image, kernel = _known(degraded)
    return _to_rgb(deconvolution.wiener(image, kernel, deconvolution.noise_level(image)))


def richardson_lucy(degraded: Degraded) -> Rgb:
    """Deconvolve with Richardson-Lucy, 30 iterations, and the known PSF; unknown edges."""
    return _to_rgb(deconvolution.richardson_lucy(*_known(degraded)))


def _known(degraded: Degraded) -> tuple[Tensor, deconvolution.Kernel]:
    """The image (1,3,h,w), and what blurred it."""
    assert degraded.psf is not None  # methods that need one are only asked where it is known
    image = torch.from_numpy(to_unit(degraded.pixels)).permute(2, 0, 1)[None].contiguous()
    return image, deconvolution.Kernel(degraded.psf)


def _to_rgb(image: Tensor) -> Rgb:
    return from_unit(image[0].permute(1, 2, 0).numpy())


def bicubic(degraded: Degraded) -> Rgb:
    """Enlarge by MATLAB's `imresize`, as published tables use it: 8 bit, repeated edges."""
    return resize(degraded.pixels, degraded.target_size, border="replicate")


def bilinear(degraded: Degraded) -> Rgb:
    """Enlarge by OpenCV's bilinear interpolation."""
    size = degraded.target_size[::-1]
    return np.asarray(cv2.resize(degraded.pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


@dataclass(frozen=True)
class Baseline:
    """A classical method. A value that pickles: its function belongs to a module."""

    name: str
    function: Callable[[Degraded], Rgb]
    needs_psf: bool = False


DEBLURRING = (
    Baseline("identity", identity),
    Baseline("unsharp-mask", unsharp_mask),
    Baseline("wiener", wiener, needs_psf=True),
    Baseline("richardson-lucy", richardson_lucy, needs_psf=True),
)
ENLARGING = (Baseline("bicubic", bicubic), Baseline("bilinear", bilinear))
ENLARGING_AS_PUBLISHED = (Baseline("bicubic-as-published", bilinear), Baseline("bicubic", bicubic))
"""The SR paper's "Bicubic" is bilinear: see the notes of the protocol sr-paper."""


def baselines_for(protocol: Protocol) -> tuple[Baseline, ...]:
    """The baselines that belong to a protocol's table."""
    if protocol.downscale is None:
        return DEBLURRING
    return ENLARGING_AS_PUBLISHED if protocol.downscale == "pillow" else ENLARGING
