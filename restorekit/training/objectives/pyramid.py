"""Squared error at every scale of a coarse-to-fine network: SRN (the survey's eq. 20), Noroozi (eq. 21).

DeepDeblur (eq. 23) adds a discriminator of the finest scale.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.discriminators import NahDiscriminator
from restorekit.training.losses import NonSaturating, center_crop
from restorekit.training.objectives.base import LossTerms, SingleDiscriminator


class Pyramidal(Protocol):
    """A generator with results at several scales."""

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored images, the coarsest first."""
        ...

    def reduce(self, rgb: Tensor, factor: int) -> Tensor:
        """Downscale an image as the network does with its input."""
        ...


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    mse: float = 1.0
    """Of every scale."""
    adversarial: float = 0.0


class Objective(SingleDiscriminator):
    """The loss, and DeepDeblur's discriminator if it has a weight."""

    def __init__(self, loss_weights: LossWeights) -> None:
        super().__init__(NonSaturating(), NahDiscriminator() if loss_weights.adversarial else None)
        self.loss_weights = loss_weights

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch. Crops must divide by the network's grid."""
        network = cast(Pyramidal, model)
        restored = [image.float() for image in network.pyramid(degraded)]
        terms: LossTerms = {}
        for image in restored:
            factor = sharp.shape[-1] // image.shape[-1]
            target = network.reduce(sharp, factor) if factor > 1 else sharp
            terms[f"mse{factor}"] = self.loss_weights.mse * self.scale_share(len(restored)) * F.mse_loss(image, target)
        if self.loss_weights.adversarial:
            terms["adversarial"] = self.loss_weights.adversarial * self.adversarial_loss(degraded, restored[-1], sharp)
        return terms, restored[-1]

    def scale_share(self, scales: int) -> float:
        """How much the squared error of one scale counts."""
        return 1.0

    def discriminator_input(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The centre of a batch."""
        return center_crop(batch, NahDiscriminator.SIDE)
