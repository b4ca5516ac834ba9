"""Sang et al.'s loss: squared error and a discriminator, with the generator's loss that does not saturate (eq. 4).

The paper does not print the adversarial weight: 1e-3 is ours. It prints logarithms to the base 2; ours are natural, so
that its weight for the same loss would be ln 2 = 0.693 times ours.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.discriminators import SangDiscriminator
from restorekit.training.losses import NonSaturating, center_crop
from restorekit.training.objectives.base import LossTerms, SingleDiscriminator


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    mse: float = 1.0
    adversarial: float = 1e-3


class Objective(SingleDiscriminator):
    """The loss and its discriminator."""

    def __init__(self, loss_weights: LossWeights) -> None:
        super().__init__(NonSaturating(), SangDiscriminator() if loss_weights.adversarial else None)
        self.loss_weights = loss_weights

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"mse": self.loss_weights.mse * F.mse_loss(restored, sharp)}
        if self.loss_weights.adversarial:
            terms["adversarial"] = self.loss_weights.adversarial * self.adversarial_loss(degraded, restored, sharp)
        return terms, restored

    def discriminator_input(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The centre of a batch."""
        return center_crop(batch, SangDiscriminator.SIDE)
