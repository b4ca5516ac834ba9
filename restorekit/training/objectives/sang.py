"""Sang et al.'s loss: squared error and a critic. The paper does not print the critic's weight: 1e-3 is ours."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.adversarial import JS, center_crop
from restorekit.training.discriminators import SangDiscriminator
from restorekit.training.objectives import Terms
from restorekit.training.objectives._single import Duel


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    mse: float = 1.0
    adversarial: float = 1e-3


class Objective(Duel):
    """The loss and its critic."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(JS, SangDiscriminator() if weights.adversarial else None)
        self.weights = weights

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"mse": self.weights.mse * F.mse_loss(restored, sharp)}
        if self.weights.adversarial:
            terms["fool"] = self.weights.adversarial * self.fool(degraded, restored, sharp)
        return terms, restored

    def seen(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The middle of a batch."""
        return center_crop(batch, SangDiscriminator.SIDE)
