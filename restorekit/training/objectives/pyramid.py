"""Squared error at every scale of a coarse-to-fine network: SRN (the survey's eq. 20), Noroozi (eq. 21).

DeepDeblur (eq. 23) adds a critic of the finest scale.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.critics import NahCritic
from restorekit.training.adversarial import JS, fooling, middle
from restorekit.training.objectives import Goal, Terms


class Pyramidal(Protocol):
    """A generator with results at several scales."""

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored pictures, the coarsest first."""
        ...

    def reduce(self, rgb: Tensor, factor: int) -> Tensor:
        """Shrink a picture as the network does with its input."""
        ...


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    mse: float = 1.0
    """Of every scale."""
    adversarial: float = 0.0


class Objective(Goal):
    """The loss, and DeepDeblur's critic if it has a weight."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = weights
        self.critics = NahCritic() if weights.adversarial else nn.Module()

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch. Crops must divide by the network's grid."""
        network = cast(Pyramidal, model)
        restored = [picture.float() for picture in network.pyramid(degraded)]
        terms: Terms = {}
        for picture in restored:
            factor = sharp.shape[-1] // picture.shape[-1]
            target = network.reduce(sharp, factor) if factor > 1 else sharp
            terms[f"mse{factor}"] = self.weights.mse * F.mse_loss(picture, target)
        if self.weights.adversarial:
            fake, real = (middle(batch, NahCritic.SIDE) for batch in (restored[-1], sharp))
            terms["fool"] = self.weights.adversarial * fooling(JS, self.critics, fake, real)
        return terms, restored[-1]

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Cross entropy of sharp against restored."""
        fake, real = (self.critics(middle(batch, NahCritic.SIDE)) for batch in (restored, sharp))
        return JS.critic(fake, real)
