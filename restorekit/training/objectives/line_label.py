"""Labels of lines: sharp crops are blurred by one straight line each, and a network tells which, by cross-entropy.

Sun et al. 2015, section 3: 73 lines. As for motion fields (see `motion_field`) the sharp crops count alone, and the blur is
drawn here.
"""

from dataclasses import dataclass
from typing import Annotated, cast

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.blind_deconvolution import BlindDeconvolution
from restorekit.models.config import Count
from restorekit.models.deblur.sun import LABELS, TURNS, all_motions
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.objectives.motion_field import blur_along

MARGIN = 12  # px: half the longest line


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    label: float = 1.0


@dataclass(frozen=True)
class Options:
    """How crops are blurred."""

    noise: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.01
    """Largest standard deviation, in 0..1, that noise is drawn with."""
    lines: Count = 1
    """By how many each crop is blurred: crops are slower to cut than to blur on a GPU."""


class Objective(TrainingObjective):
    """Cross-entropy over the patches of a crop, all of which have its label."""

    def __init__(self, loss_weights: LossWeights, options: Options) -> None:
        super().__init__()
        self.loss_weights, self.options = loss_weights, options

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """The weighted term; nothing is restored, so the sharp batch is handed back."""
        crops = sharp.repeat_interleave(self.options.lines, dim=0)
        labels = torch.randint(LABELS, (len(crops),)).to(sharp.device)
        with torch.no_grad(), torch.autocast(sharp.device.type, enabled=False):
            lines = label_motions().to(sharp)[labels]
            height, width = (side - 2 * MARGIN for side in sharp.shape[-2:])
            moved = blur_along(crops, lines[:, :, None, None].expand(-1, -1, height, width), MARGIN)
            level = self.options.noise * torch.rand(len(crops), 1, 1, 1).to(sharp)
            moved = (moved + level * torch.randn_like(moved)).clamp(0, 1)
        scores = cast(BlindDeconvolution[object], model).predict(moved).float()
        targets = labels[:, None, None].expand(-1, *scores.shape[2:])
        return {"label": self.loss_weights.label * F.cross_entropy(scores, targets)}, sharp


def label_motions() -> Tensor:
    """(73,2): pixels right and down of the labels that the network tells without turning the image."""
    motions = all_motions()
    return torch.cat([motions[:1], motions[1 :: len(TURNS)]])
