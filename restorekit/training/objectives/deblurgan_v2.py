"""DeblurGAN-v2's loss: pixels, features, and two discriminators with RaLSGAN losses, one of patches, one of the crop.

Kupyn et al. 2019 (arXiv:1908.03826), section 3.2: 0.5 squared error + 0.006 VGG-19 conv3_3 + 0.01 times the mean
of the adversarial losses.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.discriminators import PatchGAN
from restorekit.training.losses import RaLSGAN, adversarial_loss
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.perceptual import Layer, VGGFeatures


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    mse: float = 0.5
    perceptual: float = 0.006
    """Features; only with VGG weights."""
    adversarial: float = 0.01
    """Shared by the discriminators."""


@dataclass(frozen=True)
class Options:
    """Which features are compared."""

    layer: Layer = "conv3_3"


class Objective(TrainingObjective):
    """The loss and its discriminators."""

    def __init__(self, loss_weights: LossWeights, options: Options, features: VGGFeatures | None = None) -> None:
        super().__init__()
        self.gan = RaLSGAN()
        self.loss_weights, self.features = loss_weights, features
        self.discriminators: nn.ModuleList = nn.ModuleList(
            [PatchGAN(3), PatchGAN(5)] if loss_weights.adversarial else []
        )

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"mse": self.loss_weights.mse * F.mse_loss(restored, sharp)}
        if self.features is not None and self.loss_weights.perceptual:
            terms["perceptual"] = self.loss_weights.perceptual * F.mse_loss(*self.features(restored, sharp))
        for name, discriminator in zip(("patch", "global"), self.discriminators, strict=False):
            loss = adversarial_loss(self.gan, discriminator, restored, sharp)
            terms[f"adversarial_{name}"] = self.loss_weights.adversarial / len(self.discriminators) * loss
        return terms, restored

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Mean of both discriminators' losses."""
        losses = [self.gan.discriminator_loss(discriminator, restored, sharp) for discriminator in self.discriminators]
        return torch.stack(losses).mean()
