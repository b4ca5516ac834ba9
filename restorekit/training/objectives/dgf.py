"""DGF's loss: features, L1, and a discriminator that sees the blurred image beside the candidate.

Ramakrishnan et al. 2017 (arXiv:1709.03481): perceptual + K1 conditional adversarial + K2 L1. K1 and K2 are ours.
The features are those of VGG-16's last layer (the survey's eq. 27), which we take as its last convolution.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.discriminators import PatchGAN
from restorekit.training.losses import NonSaturating
from restorekit.training.objectives.base import LossTerms, SingleDiscriminator
from restorekit.training.perceptual import Layer, VGGFeatures


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    perceptual: float = 1.0
    """Features; only with VGG weights."""
    l1: float = 10.0
    adversarial: float = 0.1


@dataclass(frozen=True)
class Options:
    """Which features are compared."""

    layer: Layer = "vgg16.conv5_3"


class Objective(SingleDiscriminator):
    """The loss and its discriminator."""

    def __init__(self, loss_weights: LossWeights, options: Options, features: VGGFeatures | None = None) -> None:
        super().__init__(NonSaturating(), PatchGAN(inputs=6) if loss_weights.adversarial else None)
        self.loss_weights, self.features = loss_weights, features

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"l1": self.loss_weights.l1 * F.l1_loss(restored, sharp)}
        if self.features is not None and self.loss_weights.perceptual:
            terms["perceptual"] = self.loss_weights.perceptual * F.mse_loss(*self.features(restored, sharp))
        if self.loss_weights.adversarial:
            terms["adversarial"] = self.loss_weights.adversarial * self.adversarial_loss(degraded, restored, sharp)
        return terms, restored

    def discriminator_input(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The blurred image beside the candidate."""
        return torch.cat([degraded, batch], dim=1)
