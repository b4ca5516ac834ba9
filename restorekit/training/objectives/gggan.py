"""The GGGAN paper's losses.

Shi et al. 2022: Loss = Loss_pre + 1e-3 Loss_GG, with Loss_pre = 1 - SSIM(pre-network's output, sharp). The paper prints no
weights inside Loss_GG; the terms are SPSR's, whose code it modifies, weighted for training without VGG features.

Two departures. SSIM is windowed: the formula as printed takes statistics over the whole image and is nearly blind to
blur. And the whole loss is multiplied by 1e3 (`pre` is 1000, Loss_GG has weight 1): Adam's steps do not depend on a common
factor, but gradients a thousand times smaller would sink towards its epsilon.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.metrics.batched import ssim
from restorekit.models.gradient_guidance import Branches, gradient_map
from restorekit.training.discriminators import VGG128
from restorekit.training.losses import RaGAN, adversarial_loss, center_crop
from restorekit.training.objectives.base import LossTerms, TrainingObjective


class HasBranches(Protocol):
    """A generator whose intermediate images can be looked at."""

    def branches(self, rgb: Tensor) -> Branches:
        """Restored image, pre-network's image and gradient map."""
        ...


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; a term of weight 0 is not computed."""

    pre: float = 1000.0
    """1 - SSIM of the pre-network's output."""
    pixel: float = 1.0
    """L1 of the restored image."""
    gradient: float = 1.0
    """L1 of the restored image's gradient map."""
    branch: float = 0.5
    """L1 of the gradient branch's output."""
    ssim: float = 0.2
    """1 - SSIM of the restored image."""
    adversarial: float = 0.005
    """RaGAN loss against the discriminator of images."""
    gradient_adversarial: float = 0.005
    """RaGAN loss against a second discriminator, of gradient maps."""


class Objective(TrainingObjective):
    """Losses and discriminators for `gggan` and its relatives: generators with a `branches` method."""

    def __init__(self, loss_weights: LossWeights) -> None:
        super().__init__()
        self.gan = RaGAN()
        self.loss_weights = loss_weights
        self.discriminators: nn.ModuleDict = nn.ModuleDict()
        if loss_weights.adversarial:
            self.discriminators["image"] = VGG128()
        if loss_weights.gradient_adversarial:
            self.discriminators["gradient"] = VGG128()

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms of the generator's loss by name, and the restored batch."""
        outputs = cast(HasBranches, model).branches(degraded)
        w = self.loss_weights
        image, sharp_edges = outputs.image.float(), gradient_map(sharp)
        terms: LossTerms = {}
        if w.pre and outputs.pre is not None:
            terms["pre"] = w.pre * (1 - ssim(outputs.pre, sharp).mean())
        if w.pixel:
            terms["pixel"] = w.pixel * F.l1_loss(image, sharp)
        if w.gradient:
            terms["gradient"] = w.gradient * F.l1_loss(gradient_map(image), sharp_edges)
        if w.branch and outputs.gradient is not None:
            terms["branch"] = w.branch * F.l1_loss(outputs.gradient.float(), sharp_edges)
        if w.ssim:
            terms["ssim"] = w.ssim * (1 - ssim(image, sharp).mean())
        if w.adversarial:
            terms["adversarial"] = w.adversarial * self._adversarial_loss("image", image, sharp)
        if w.gradient_adversarial:
            terms["gradient_adversarial"] = w.gradient_adversarial * self._adversarial_loss("gradient", image, sharp)
        return terms, image

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Sum of the discriminators' RaGAN losses."""
        losses = [
            self.gan.discriminator_loss(
                discriminator, _discriminator_input(name, restored), _discriminator_input(name, sharp)
            )
            for name, discriminator in self.discriminators.items()
        ]
        return torch.stack(losses).sum()

    def _adversarial_loss(self, name: str, restored: Tensor, sharp: Tensor) -> Tensor:
        return adversarial_loss(
            self.gan, self.discriminators[name], _discriminator_input(name, restored), _discriminator_input(name, sharp)
        )


def _discriminator_input(name: str, batch: Tensor) -> Tensor:
    """What the discriminator of that name looks at: the central pixels or their gradients."""
    batch = center_crop(batch, VGG128.SIDE)
    return gradient_map(batch) if name == "gradient" else batch
