"""The SR paper's loss: L1 and the earth mover's distance (its eqs. 8, 9 and 11), with its ablations.

L1 is the mean over pixels and channels of pictures in -1..1. The paper asks for a K-Lipschitz critic and does not say
how; ours clips its weights, as the Wasserstein paper did, because a penalty on every sample's slope is not defined
behind the paper's batch normalisation. `penalty` chooses the slope instead and puts layer normalisation into the
critic.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.training.adversarial import EM, JS, center_crop, gradient_penalty
from restorekit.training.discriminators import SRGANEMCritic
from restorekit.training.objectives import Terms
from restorekit.training.objectives._single import Duel


@dataclass(frozen=True)
class Weights:
    """Weight of each term, and settings of the critic."""

    l1: float = 1.0
    mse: float = 0.0
    """Squared error: the paper's ablation (Table 5)."""
    adversarial: float = 1e-3
    js: float = 0
    """1 plays for the Jensen-Shannon instead of the earth mover's distance."""
    clip: float = 0.01
    """Largest absolute weight of the critic's convolutions and linear layer, if there is no penalty."""
    penalty: float = 0.0
    """Weight of the gradient penalty; 10 is usual."""
    side: float = 128
    """Side of the critic's input in pixels, a multiple of 64; 384 is the paper's crop."""


class Objective(Duel):
    """The loss and its critic."""

    def __init__(self, weights: Weights) -> None:
        critic = SRGANEMCritic(int(weights.side), bool(weights.penalty)) if weights.adversarial else None
        super().__init__(JS if weights.js else EM, critic)
        self.weights = weights

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms: Terms = {}
        if self.weights.l1:
            terms["l1"] = self.weights.l1 * 2 * F.l1_loss(restored, sharp)  # 2: from 0..1 to -1..1
        if self.weights.mse:
            terms["mse"] = self.weights.mse * 4 * F.mse_loss(restored, sharp)
        if self.weights.adversarial:
            terms["fool"] = self.weights.adversarial * self.fool(degraded, restored, sharp)
        return terms, restored

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The game's loss, and the penalty if there is one."""
        loss = super().critic(degraded, restored, sharp)
        if self.weights.penalty:
            fake, real = self.seen(degraded, restored), self.seen(degraded, sharp)
            loss = loss + self.weights.penalty * gradient_penalty(self.critics, fake, real)
        return loss

    def constrain(self) -> None:
        """Clip the critic's weights, but not its normalisations."""
        if self.weights.penalty or self.weights.js:
            return
        for layer in self.critics.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                for parameter in layer.parameters():
                    parameter.data.clamp_(-self.weights.clip, self.weights.clip)

    def seen(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The middle of a batch in -1..1."""
        return center_crop(batch, int(self.weights.side)) * 2 - 1
