"""DGF's loss: features, L1, and a critic that sees the blurred picture beside the candidate.

Ramakrishnan et al. 2017 (arXiv:1709.03481): perceptual + K1 conditional adversarial + K2 L1. K1 and K2 are ours.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.adversarial import JS
from restorekit.training.discriminators import PatchGAN
from restorekit.training.features import Features
from restorekit.training.objectives import Terms
from restorekit.training.objectives._single import Duel


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    perceptual: float = 1.0
    """Features; only with VGG weights."""
    l1: float = 10.0
    adversarial: float = 0.1


class Objective(Duel):
    """The loss and its critic."""

    def __init__(self, weights: Weights, features: Features | None = None) -> None:
        super().__init__(JS, PatchGAN(inputs=6) if weights.adversarial else None)
        self.weights, self.features = weights, features

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"l1": self.weights.l1 * F.l1_loss(restored, sharp)}
        if self.features is not None and self.weights.perceptual:
            terms["perceptual"] = self.weights.perceptual * self.features(restored, sharp)
        if self.weights.adversarial:
            terms["fool"] = self.weights.adversarial * self.fool(degraded, restored, sharp)
        return terms, restored

    def seen(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The blurred picture beside the candidate."""
        return torch.cat([degraded, batch], dim=1)
