"""PSFs of hands: sharp crops are blurred by random ones, and every stage of a network is told how far from them it is.

Schuler et al. 2016: the path of a PSF is a Gaussian process in both directions, with Matern's covariance of smoothness 3/2.
Crops lose half a PSF at their edges, so that nothing from beyond them counts.
"""

import math
from dataclasses import dataclass
from typing import Annotated, cast

import pydantic
import torch
from torch import Tensor, nn

from restorekit.deconvolution.fourier import fast_size, transform, transform_back
from restorekit.models.blind_deconvolution import BlindDeconvolution
from restorekit.training.objectives.base import LossTerms, TrainingObjective

POINTS = 128  # of a path
SCALE = 0.3  # of the covariance, as a share of the exposure
SPREAD = 0.25  # standard deviation of a path, as a share of the PSF's side


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    kernel: float = 1.0


@dataclass(frozen=True)
class Options:
    """What crops are blurred by."""

    side: Annotated[int, pydantic.Field(ge=3, le=255)] = 17
    """Pixels of the network's PSFs."""
    noise: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.01
    """Standard deviation of the noise that is added."""
    sharp_share: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.05
    """How often nothing is blurred."""


class Objective(TrainingObjective):
    """The squared difference of PSFs, as a share of the true one's square, in the mean of all stages."""

    def __init__(self, loss_weights: LossWeights, options: Options) -> None:
        super().__init__()
        self.loss_weights, self.options = loss_weights, options

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """The term by its name; nothing is restored, so the sharp batch is handed back."""
        with torch.no_grad(), torch.autocast(sharp.device.type, enabled=False):
            kernels = draw_kernels(self.options, len(sharp)).to(sharp.device)
            blurred = convolve_each(sharp, kernels)
            blurred = (blurred + self.options.noise * torch.randn_like(blurred)).clamp_(0, 1)
        found = cast(BlindDeconvolution[object], model).predict(blurred).float()
        error = (found - kernels[:, None]).square().sum(dim=(2, 3)) / kernels.square().sum(dim=(1, 2))[:, None]
        return {"kernel": self.loss_weights.kernel * error.mean()}, sharp


def draw_kernels(options: Options, count: int) -> Tensor:
    """Draw PSFs (N,K,K), centred by their centre of gravity; torch's generator decides."""
    side = options.side
    apart = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    apart = math.sqrt(3) * (apart[:, None] - apart).abs() / SCALE
    covariance = (1 + apart) * torch.exp(-apart) + 1e-6 * torch.eye(POINTS, dtype=torch.float64)
    normal = torch.randn(count, 2, POINTS, dtype=torch.float64)
    path = SPREAD * side * normal @ torch.linalg.cholesky(covariance).T
    path = path - path.mean(dim=2, keepdim=True)
    path *= (torch.rand(count, 1, 1) >= options.sharp_share).double()
    place = path.clamp(-(side // 2), side // 2 - 1e-3) + side // 2
    base = place.floor().long()
    rest = place - base
    kernels = torch.zeros(count, (side + 1) ** 2, dtype=torch.float64)
    for right in (0, 1):
        for down in (0, 1):
            share = (1 - right - rest[:, 0]).abs() * (1 - down - rest[:, 1]).abs()
            kernels.scatter_add_(1, (base[:, 1] + down) * (side + 1) + base[:, 0] + right, share / POINTS)
    return kernels.view(count, side + 1, side + 1)[:, :side, :side].float()


def convolve_each(sharp: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image (N,C,H,W) with its own PSF (N,K,K); what its edges reach is cut off."""
    side = kernels.shape[-1]
    size = fast_size(sharp.shape[-2], sharp.shape[-1])
    full = transform_back(transform(sharp, size) * transform(kernels, size)[:, None], size)
    return full[..., side - 1 : sharp.shape[-2], side - 1 : sharp.shape[-1]]
