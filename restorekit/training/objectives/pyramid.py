"""Squared error at every scale of a coarse-to-fine network: SRN (the survey's eq. 20), Noroozi (eq. 21).

DeepDeblur (eq. 23) adds a critic of the finest scale.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.adversarial import JS, center_crop
from restorekit.training.discriminators import NahDiscriminator
from restorekit.training.objectives import Terms
from restorekit.training.objectives._single import Duel


class Pyramidal(Protocol):
    """A generator with results at several scales."""

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored pictures, the coarsest first."""
        ...

    def reduce(self, rgb: Tensor, factor: int) -> Tensor:
        """Downscale a picture as the network does with its input."""
        ...


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    mse: float = 1.0
    """Of every scale."""
    adversarial: float = 0.0


class Objective(Duel):
    """The loss, and DeepDeblur's critic if it has a weight."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(JS, NahDiscriminator() if weights.adversarial else None)
        self.weights = weights

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
            terms["fool"] = self.weights.adversarial * self.fool(degraded, restored[-1], sharp)
        return terms, restored[-1]

    def seen(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The middle of a batch."""
        return center_crop(batch, NahDiscriminator.SIDE)
