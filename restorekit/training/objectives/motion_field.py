"""Labels of motion: sharp crops are moved by random fields, and a network tells the field by cross-entropy.

Gong et al. 2017 with the fields of their generator, donggong1/motion-flow-syn: a translation that grows or shrinks across
the image, a part that spreads from a centre, and one that turns about it, rounded to whole pixels. (Their code calls what
spreads a rotation, and what turns a zoom.) Fields are drawn here, not with the samples: whatever a batch was blurred by
before, its sharp crops count.

Ours: every pixel is the mean of points along its line, as wide as MATLAB's raster of it; vectors beyond the labels are cut;
crops lose half the longest motion at their edges.
"""

import math
from dataclasses import dataclass
from typing import Annotated, cast

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.blind_deconvolution import BlindDeconvolution
from restorekit.models.config import Count
from restorekit.training.objectives.base import LossTerms, TrainingObjective

MOST_RIGHT, MOST_DOWN = 38, 36
"""The largest labels: u from 0, v from below 0."""
MARGIN = MOST_RIGHT // 2
STEP = 1.5  # px between points of a line at most

Size = Annotated[float, pydantic.Field(ge=0)]


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    u: float = 1.0
    v: float = 1.0


@dataclass(frozen=True)
class Options:
    """How far fields move, at most, and where they are compared."""

    translation: Size = 27.0
    """Pixels to the right and down."""
    acceleration: Size = 0.3
    """Share by which it differs from one edge to the other."""
    spread: Annotated[float, pydantic.Field(ge=0, lt=90)] = 2.571
    """Degrees whose tangent, times the distance from the centre, is the motion away from it."""
    turn: Size = 5e-3
    """Times the distance to the power of 1.5 is the motion around the centre."""
    centre: Size = 15.0
    """Pixels between the centre and the middle of the crop, in both directions."""
    sharp_share: Annotated[float, pydantic.Field(ge=0, le=1)] = 1 / 51
    """How often nothing moves: once for fifty fields."""
    every: Count = 1
    """Of how many rows and columns one is compared: neighbours have nearly the same motion."""


class Objective(TrainingObjective):
    """Cross-entropy of u plus that of v."""

    def __init__(self, loss_weights: LossWeights, options: Options) -> None:
        super().__init__()
        self.loss_weights, self.options = loss_weights, options

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name; nothing is restored, so the sharp batch is handed back."""
        with torch.no_grad(), torch.autocast(sharp.device.type, enabled=False):
            fields = draw_fields(self.options, len(sharp), sharp.shape[2], sharp.shape[3], sharp.device)
            inner = slice(MARGIN, -MARGIN)
            fields = fields[..., inner, inner]
            moved = blur_along(sharp, fields, MARGIN).mul_(255).round_().div_(255)
        every = slice(None, None, self.options.every)
        scores = cast(BlindDeconvolution[object], model).predict(moved)[..., every, every].float()
        u, v = (fields[:, axis, every, every].long() for axis in (0, 1))
        across, down = scores[:, : MOST_RIGHT + 1], scores[:, MOST_RIGHT + 1 :]
        terms: LossTerms = {}
        if self.loss_weights.u:
            terms["u"] = self.loss_weights.u * F.cross_entropy(across, u)
        if self.loss_weights.v:
            terms["v"] = self.loss_weights.v * F.cross_entropy(down, v + MOST_DOWN)
        return terms, sharp


def draw_fields(options: Options, count: int, height: int, width: int, device: torch.device) -> Tensor:
    """Draw motion fields (N,2,H,W): whole pixels to the right, 0 to 38, and down, -36 to 36; torch's generator decides."""

    def draw(most: float) -> Tensor:
        return (most * (2 * torch.rand(count, 1, 1) - 1)).to(device)

    x = torch.arange(width, device=device, dtype=torch.float32)
    y = torch.arange(height, device=device, dtype=torch.float32)[:, None]
    right, down = (
        draw(options.translation) * (1 + draw(options.acceleration) * (at / len(at.flatten()) - 0.5)) for at in (x, y)
    )
    x, y = x - width / 2 - draw(options.centre), y - height / 2 - draw(options.centre)
    radius = torch.hypot(x, y)
    spread, turn = torch.tan(torch.deg2rad(draw(options.spread))), draw(options.turn) * radius.sqrt()
    u, v = right + spread * x - turn * y, down + spread * y + turn * x
    moving = torch.rand(count, 1, 1).to(device) >= options.sharp_share
    field = torch.stack([u, v], dim=1).round_() * moving[:, None]
    backwards = (field[:, :1] < 0) | ((field[:, :1] == 0) & (field[:, 1:] < 0))
    field = torch.where(backwards, -field, field)
    return torch.stack([field[:, 0].clamp(max=MOST_RIGHT), field[:, 1].clamp(-MOST_DOWN, MOST_DOWN)], dim=1)


def blur_along(sharp: Tensor, fields: Tensor, margin: int) -> Tensor:
    """Every pixel becomes the mean along a line centred on it; beyond the edge the edge goes on.

    Args:
        sharp: (N,C,H,W).
        fields: (N,2,h,w), pixels to the right and down, of what is inside the margin.
        margin: H = h + 2 margin, and the same of W.

    Returns:
        (N,C,h,w).
    """
    length = torch.hypot(fields[:, 0], fields[:, 1])
    # L equal cells have the variance (L^2 - 1) / 12; n points along S have S^2 (1 - 1/n^2) / 12, and interpolation adds 1/6.
    reach = (length.square() - 3).clamp(min=0).sqrt()
    points = max(2, math.ceil(float(reach.max()) / STEP) + 1)
    reach = reach / math.sqrt(1 - 1 / points**2)
    direction = fields / length.clamp(min=1)[:, None]
    height, width = sharp.shape[-2:]
    y, x = torch.meshgrid(
        *(torch.arange(side, device=sharp.device) + margin for side in fields.shape[-2:]), indexing="ij"
    )
    total = torch.zeros(*sharp.shape[:2], *fields.shape[-2:], device=sharp.device)
    for at in ((torch.arange(points) + 0.5) / points - 0.5).tolist():
        place = [start + at * reach * step for start, step in zip((x, y), direction.unbind(1), strict=True)]
        grid = torch.stack([2 * place[0] / (width - 1) - 1, 2 * place[1] / (height - 1) - 1], dim=-1)
        total += F.grid_sample(sharp, grid, padding_mode="border", align_corners=True)
    return total / points
