"""DeblurGAN-v2's loss: pixels, features, and two relativistic least-squares critics, one for patches, one for the crop.

Kupyn et al. 2019 (arXiv:1908.03826), section 3.2: 0.5 squared error + 0.006 VGG-19 conv3_3 + 0.01 adversarial.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.adversarial import RELATIVISTIC_SQUARES, fooling
from restorekit.training.discriminators import PatchGAN
from restorekit.training.features import Features
from restorekit.training.objectives import Goal, Terms


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    mse: float = 0.5
    perceptual: float = 0.006
    """Features; only with VGG weights."""
    adversarial: float = 0.01


class Objective(Goal):
    """The loss and its critics."""

    def __init__(self, weights: Weights, features: Features | None = None) -> None:
        super().__init__()
        self.weights, self.features = weights, features
        self.critics: nn.ModuleList = nn.ModuleList([PatchGAN(3), PatchGAN(5)] if weights.adversarial else [])

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms = {"mse": self.weights.mse * F.mse_loss(restored, sharp)}
        if self.features is not None and self.weights.perceptual:
            terms["perceptual"] = self.weights.perceptual * self.features(restored, sharp)
        for name, critic in zip(("patch", "full"), self.critics, strict=False):
            terms[f"fool_{name}"] = self.weights.adversarial * fooling(RELATIVISTIC_SQUARES, critic, restored, sharp)
        return terms, restored

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Mean of both critics' losses."""
        losses = [RELATIVISTIC_SQUARES.critic(critic(restored), critic(sharp)) for critic in self.critics]
        return torch.stack(losses).mean()
