"""Sang et al.'s loss: squared error and a critic. The paper does not print the critic's weight: 1e-3 is ours."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.critics import SangCritic
from restorekit.training.adversarial import JS, fooling, middle
from restorekit.training.objectives import Goal, Terms


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    mse: float = 1.0
    adversarial: float = 1e-3


class Objective(Goal):
    """The loss and its critic."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = weights
        self.critics = SangCritic() if weights.adversarial else nn.Module()

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"mse": self.weights.mse * F.mse_loss(restored, sharp)}
        if self.weights.adversarial:
            fake, real = (middle(batch, SangCritic.SIDE) for batch in (restored, sharp))
            terms["fool"] = self.weights.adversarial * fooling(JS, self.critics, fake, real)
        return terms, restored

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Cross entropy of sharp against restored."""
        fake, real = (self.critics(middle(batch, SangCritic.SIDE)) for batch in (restored, sharp))
        return JS.critic(fake, real)
