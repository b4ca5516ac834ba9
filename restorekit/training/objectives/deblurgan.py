"""DeblurGAN's loss: features, or without VGG weights pixels, and a Wasserstein critic with gradient penalty.

Kupyn et al. 2018 (arXiv:1711.07064), eqs. 3 to 5: 100 times the squared distance of VGG-19's conv3_3, lambda 10, five
steps of the critic for one of the generator.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.adversarial import EM, gradient_penalty
from restorekit.training.discriminators import PatchGAN
from restorekit.training.features import Features
from restorekit.training.objectives import Terms
from restorekit.training.objectives._single import Duel


@dataclass(frozen=True)
class Weights:
    """Weight of each term, and the rhythm of the game."""

    perceptual: float = 100.0
    """Features; only with VGG weights."""
    pixel: float = 100.0
    """L1, in place of the features."""
    adversarial: float = 1.0
    penalty: float = 10.0
    critic_steps: float = 5
    """Steps of the critic in its turn."""
    generator_steps: float = 1
    """Steps of the generator between the critic's turns."""


class Objective(Duel):
    """The loss and its critic."""

    def __init__(self, weights: Weights, features: Features | None = None) -> None:
        super().__init__(EM, PatchGAN() if weights.adversarial else None)
        self.weights, self.features = weights, features

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms: Terms = {}
        if self.features is not None and self.weights.perceptual:
            terms["perceptual"] = self.weights.perceptual * self.features(restored, sharp)
        elif self.weights.pixel:
            terms["pixel"] = self.weights.pixel * F.l1_loss(restored, sharp)
        if self.weights.adversarial:
            terms["fool"] = self.weights.adversarial * self.fool(degraded, restored, sharp)
        return terms, restored

    def turns(self, step: int) -> int:
        """`critic_steps` after every `generator_steps` steps of the generator."""
        return int(self.weights.critic_steps) if (step + 1) % int(self.weights.generator_steps) == 0 else 0

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Earth mover's distance and the penalty on the critic's slope."""
        distance = super().critic(degraded, restored, sharp)
        return distance + self.weights.penalty * gradient_penalty(self.critics, restored, sharp)
