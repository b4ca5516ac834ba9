"""Wiener's filter with a prior on gradients: one quotient, for a first look.

See `deconvolution.wiener`. Nothing is learned.
"""

from dataclasses import dataclass

from torch import Tensor

from restorekit.deconvolution import Blur, wiener
from restorekit.models.known_blur import Deconvolution, Noise
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

spec = Spec(
    name="wiener",
    task="deblur",
    summary="Wiener's filter on gradients, told the PSF",
    paper="Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=150,
    half_precision=False,  # Fourier transforms
    blur="kernel",
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    noise: Noise = 0.0
    """Standard deviation in 0..1; 0 measures it."""


class Wiener(Deconvolution[Config]):
    """The method."""

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Filter."""
        return wiener(rgb, blur, self.config.noise or noise)


def build(config: Config) -> Wiener:
    """Make the method."""
    return Wiener(config)
