"""The SR paper's loss: L1 and the Wasserstein distance (its eqs. 8, 9 and 11), with its ablations.

L1 is the mean over pixels and channels of images in -1..1. The paper asks for a K-Lipschitz critic and does not say how;
ours clips its weights, as the WGAN paper did, because a penalty on every sample's slope is not defined behind the
paper's batch normalisation. The weight `gradient_penalty` chooses the slope instead and puts layer normalisation into
the critic.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from restorekit.training.discriminators import SRGANEMDiscriminator
from restorekit.training.losses import GAN_LOSSES, GANName, center_crop, gradient_penalty
from restorekit.training.objectives.base import LossTerms, SingleDiscriminator


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    l1: float = 1.0
    mse: float = 0.0
    """Squared error: the paper's ablation (Table 5)."""
    adversarial: float = 1e-3
    gradient_penalty: float = 0.0
    """10 is usual."""


@dataclass(frozen=True)
class Options:
    """The GAN loss and its discriminator."""

    gan: GANName = "wgan"
    """saturating is the Jensen-Shannon divergence that the paper argues against (eq. 3); non-saturating what GANs with
    that name are usually trained with."""
    clip: PositiveFloat = 0.01
    """Largest absolute weight of the critic's convolutions and linear layer, where there is no gradient penalty."""
    side: PositiveInt = 128
    """Side of the discriminator's input in pixels, a multiple of 64. The paper's recipe shows it the whole crop; less takes
    less memory."""


class Objective(SingleDiscriminator):
    """The loss and its discriminator."""

    def __init__(self, loss_weights: LossWeights, options: Options) -> None:
        discriminator = None
        if loss_weights.adversarial:
            discriminator = SRGANEMDiscriminator(options.side, layer_norm=bool(loss_weights.gradient_penalty))
        super().__init__(GAN_LOSSES[options.gan], discriminator)
        self.loss_weights, self.options = loss_weights, options

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms: LossTerms = {}
        if self.loss_weights.l1:
            terms["l1"] = self.loss_weights.l1 * 2 * F.l1_loss(restored, sharp)  # 2: from 0..1 to -1..1
        if self.loss_weights.mse:
            terms["mse"] = self.loss_weights.mse * 4 * F.mse_loss(restored, sharp)
        if self.loss_weights.adversarial:
            terms["adversarial"] = self.loss_weights.adversarial * self.adversarial_loss(degraded, restored, sharp)
        return terms, restored

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The GAN loss, and the gradient penalty if it has a weight."""
        loss = super().discriminator_loss(degraded, restored, sharp)
        if self.loss_weights.gradient_penalty:
            restored, sharp = (self.discriminator_input(degraded, batch) for batch in (restored, sharp))
            loss = loss + self.loss_weights.gradient_penalty * gradient_penalty(self.discriminators, restored, sharp)
        return loss

    def constrain(self) -> None:
        """Clip the critic's weights, but not its normalisations."""
        if self.loss_weights.gradient_penalty or self.options.gan != "wgan":
            return
        for layer in self.discriminators.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                for parameter in layer.parameters():
                    parameter.data.clamp_(-self.options.clip, self.options.clip)

    def discriminator_input(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """The centre of a batch in -1..1."""
        return center_crop(batch, self.options.side) * 2 - 1
