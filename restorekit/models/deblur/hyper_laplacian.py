"""Hyper-Laplacian gradients, as published code has them: sharper edges than total variation's, tapered borders.

See `deconvolution.sparse.hyper_laplacian`. Nothing is learned.
"""

from dataclasses import dataclass
from typing import Annotated

import pydantic
from torch import Tensor

from restorekit.deconvolution import Blur, hyper_laplacian
from restorekit.deconvolution.sparse import ALPHA
from restorekit.models.known_blur import Deconvolution, Noise
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

spec = Spec(
    name="hyper-laplacian",
    task="deblur",
    summary="hyper-Laplacian prior, told the PSF",
    paper="Krishnan & Fergus, NIPS 2009",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=300,
    half_precision=False,  # Fourier transforms
    blur="kernel",
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    alpha: Annotated[float, pydantic.Field(ge=0.1, le=0.9)] = ALPHA
    """Exponent of the prior."""
    noise: Noise = 0.0
    """Standard deviation in 0..1; 0 measures it."""


class HyperLaplacian(Deconvolution[Config]):
    """The method."""

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Minimise the prior."""
        return hyper_laplacian(rgb, blur, self.config.noise or noise, alpha=self.config.alpha)


def build(config: Config) -> HyperLaplacian:
    """Make the method."""
    return HyperLaplacian(config)
