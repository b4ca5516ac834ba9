"""Patches that a network filters: sharp crops are blurred by a spline each, and their restored middles are compared.

Chakrabarti 2016 with the PSFs of the author's code, ayanc/ndeblur: a cubic spline through six points of a grid, whose cells
weigh 1 with a deviation of 0.5. The sharp crops count alone, and the blur is drawn here. Patches of a crop share its PSF;
their middles touch. Ours: paths that leave 41x41 lose what is outside, where the author draws another one.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, cast

import numpy as np
import pydantic
import torch
import torch.nn.functional as F
from scipy.interpolate import CubicSpline
from torch import Tensor, nn

from restorekit.models.blind_deconvolution import luma
from restorekit.models.config import Count
from restorekit.models.deblur.chakrabarti import FRAME, MIDDLE, PATCH, Chakrabarti
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.objectives.kernel_fit import convolve_each

SIDE = 41  # px of a PSF
POINTS, STEPS = 6, 2000  # that a spline goes through, and along it
DEVIATION = 0.5


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    mse: float = 1.0


@dataclass(frozen=True)
class Options:
    """What crops are blurred by."""

    grids: tuple[Count, ...] = (8, 16, 24)
    """Pixels of the sides of the grids that points lie in, each as likely; 1 blurs nothing."""
    noise: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.01
    """Standard deviation of the noise that is added."""
    psfs: Count = 1
    """That every crop is blurred by, one after the other: a GPU takes more patches than processors prepare."""


class Objective(TrainingObjective):
    """The mean squared difference of restored middles."""

    def __init__(self, loss_weights: LossWeights, options: Options) -> None:
        super().__init__()
        self.loss_weights, self.options = loss_weights, options

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """The term by its name; nothing whole is restored, so the sharp batch is handed back."""
        with torch.no_grad(), torch.autocast(sharp.device.type, enabled=False):
            grey = luma(sharp).repeat_interleave(self.options.psfs, 0)
            blurred = convolve_each(grey, draw_splines(self.options.grids, len(grey), grey.device))
            blurred = (blurred + self.options.noise * torch.randn_like(blurred)).clamp_(0, 1)
            margin = SIDE // 2 + FRAME
            patches, middles = cut(blurred, PATCH), cut(grey[..., margin:-margin, margin:-margin], MIDDLE)
        restored = cast(Chakrabarti, model).sharpen(patches)
        return {"mse": self.loss_weights.mse * F.mse_loss(restored, middles)}, sharp


def cut(images: Tensor, side: int) -> Tensor:
    """Squares (M,side,side) of images (N,1,H,W) that begin at every 33rd pixel."""
    return images[:, 0].unfold(1, side, MIDDLE).unfold(2, side, MIDDLE).reshape(-1, side, side)


def draw_splines(grids: tuple[int, ...], count: int, device: torch.device) -> Tensor:
    """Draw PSFs (N,41,41) that sum to 1, the centre of gravity in the middle pixel; torch's generator decides."""
    most = max(grids)
    grid = torch.tensor(grids, device=device)[torch.randint(len(grids), (count,), device=device)].view(-1, 1, 1)
    points = (grid * torch.rand(count, 2, POINTS, device=device)).floor()
    path = (points @ _splines(device)).round().clamp(min=0)
    path = path.minimum(grid - 1).long()
    cells = torch.zeros(count, most**2, device=device).scatter_(1, most * path[:, 0] + path[:, 1], 1)
    cells = (cells * (1 + DEVIATION * torch.randn_like(cells)).clamp(min=1e-3)).view(count, most, most)
    cells /= cells.sum(dim=(1, 2), keepdim=True)
    place = torch.arange(most, device=device, dtype=torch.float32)
    offset = torch.arange(SIDE, device=device)
    rows = (cells.sum(2) @ place).round().long()[:, None, None] + offset[:, None]
    columns = (cells.sum(1) @ place).round().long()[:, None, None] + offset
    around = F.pad(cells, (SIDE // 2,) * 4)
    kernels = around[torch.arange(count, device=device)[:, None, None], rows, columns]
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


@cache
def _splines(device: torch.device) -> Tensor:
    """(6,2000): the curve that goes through 1 at each point and 0 at the others."""
    curves = CubicSpline(np.linspace(0, 1, POINTS), np.eye(POINTS))(np.linspace(0, 1, STEPS))
    return torch.from_numpy(curves.T).float().to(device)
