"""DeblurGAN's loss: features, or without VGG weights pixels, and a Wasserstein critic with gradient penalty.

Kupyn et al. 2018 (arXiv:1711.07064), eqs. 3 to 5: 100 times the squared distance of VGG-19's conv3_3, lambda 10, five
steps of the critic for one of the generator. The critic sees the candidate alone, as in the authors' code, though the paper
speaks of a conditional GAN. The penalty is on the mean score of an image's patches, which is what the loss plays for; the
authors' code sums the patches and takes the norm at every pixel.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from restorekit.training.discriminators import PatchGAN
from restorekit.training.losses import WGAN, gradient_penalty
from restorekit.training.objectives.base import LossTerms, SingleDiscriminator
from restorekit.training.perceptual import Layer, VGGFeatures


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    perceptual: float = 100.0
    """Features; only with VGG weights."""
    pixel: float = 100.0
    """L1, in place of the features."""
    adversarial: float = 1.0
    gradient_penalty: float = 10.0


@dataclass(frozen=True)
class Options:
    """How often each network takes a step, and which features are compared."""

    discriminator_steps: PositiveInt = 5
    """Steps of the critic in a row."""
    generator_steps: PositiveInt = 1
    """Steps of the generator between those of the critic."""
    layer: Layer = "conv3_3"
    """Of the perceptual term."""


class Objective(SingleDiscriminator):
    """The loss and its critic."""

    def __init__(self, loss_weights: LossWeights, options: Options, features: VGGFeatures | None = None) -> None:
        super().__init__(WGAN(), PatchGAN() if loss_weights.adversarial else None)
        self.loss_weights, self.options, self.features = loss_weights, options, features

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms: LossTerms = {}
        if self.features is not None and self.loss_weights.perceptual:
            terms["perceptual"] = self.loss_weights.perceptual * F.mse_loss(*self.features(restored, sharp))
        elif self.loss_weights.pixel:
            terms["pixel"] = self.loss_weights.pixel * F.l1_loss(restored, sharp)
        if self.loss_weights.adversarial:
            terms["adversarial"] = self.loss_weights.adversarial * self.adversarial_loss(degraded, restored, sharp)
        return terms, restored

    def discriminator_steps(self, step: int) -> int:
        """The option's number after every `generator_steps` steps of the generator."""
        return self.options.discriminator_steps if (step + 1) % self.options.generator_steps == 0 else 0

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The WGAN loss and the penalty on the critic's slope."""
        loss = super().discriminator_loss(degraded, restored, sharp)
        return loss + self.loss_weights.gradient_penalty * gradient_penalty(self.discriminators, restored, sharp)
