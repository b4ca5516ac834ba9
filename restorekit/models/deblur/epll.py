"""EPLL: a mixture of Gaussians that knows what patches of photographs look like; the sharpest where a PSF is known.

See `deconvolution.epll`. `tools/fit_patches.py` fits the mixture. The authors' code takes seven steps from a coupling of 50
on and tapers edges; here total variation begins, and four steps do.
"""

from dataclasses import dataclass
from typing import Annotated

import pydantic
import torch
from torch import Tensor, nn

from restorekit.deconvolution import Blur
from restorekit.deconvolution.epll import PIXELS, SIDE, Mixture, epll
from restorekit.models.config import Count
from restorekit.models.known_blur import Deconvolution, Noise
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

spec = Spec(
    name="epll",
    task="deblur",
    summary="mixture of Gaussians of patches, told the PSF",
    paper="Zoran & Weiss, ICCV 2011",
    parameters=416_200,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=500,
    half_precision=False,  # Fourier transforms
    blur="kernel",
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    components: Count = 200
    """Of the mixture."""
    rank: Annotated[int, pydantic.Field(ge=1, le=PIXELS)] = 20
    """Directions of each component whose variances are told apart; 64 brings 0.1 dB and takes three times as long."""
    stride: Annotated[int, pydantic.Field(ge=1, le=SIDE)] = 4
    """Pixels between patches."""
    noise: Noise = 0.0
    """Standard deviation in 0..1; 0 measures it."""


class EPLL(Deconvolution[Config]):
    """The method."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        rows, columns = torch.tril_indices(PIXELS, PIXELS)
        self.log_shares = nn.Parameter(torch.zeros(config.components))
        # Of every covariance the lower triangle of its Cholesky factor: rounded to half precision it is still one.
        self.factors = nn.Parameter(0.1 * (rows == columns).float().repeat(config.components, 1))

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Draw patches to what is likely."""
        rows, columns = torch.tril_indices(PIXELS, PIXELS)
        factors = self.factors.new_zeros(len(self.factors), PIXELS, PIXELS)
        factors[:, rows, columns] = self.factors
        mixture = Mixture.of(self.log_shares, factors @ factors.mT, self.config.rank)
        return epll(rgb, blur, self.config.noise or noise, mixture, stride=self.config.stride)


def build(config: Config) -> EPLL:
    """Make the method."""
    return EPLL(config)
