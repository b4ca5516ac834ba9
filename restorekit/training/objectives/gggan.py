"""The GGGAN paper's losses.

Shi et al. 2022: Loss = Loss_pre + 1e-3 Loss_GG, with Loss_pre = 1 - SSIM(pre-network's output, sharp) by its eq. 1. The
paper prints no weights inside Loss_GG; the terms are SPSR's, whose code it modifies. The defaults below are for training
without VGG features; the recipes of `gggan`, `spsr-deblur` and `spsr` have SPSR's weights for training with them.

Two departures. SSIM is windowed: the formula as printed takes statistics over the whole image and is nearly blind to
blur (the option `ssim` = "global" is that formula). And the whole loss is multiplied by 1e3 (`pre` is 1000, Loss_GG has
weight 1): Adam's steps do not depend on a common factor, but gradients a thousand times smaller would sink towards its
epsilon.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.metrics.batched import ssim, ssim_global
from restorekit.models.gradient_guidance import Branches, gradient_map
from restorekit.training.discriminators import VGG128
from restorekit.training.losses import GAN_LOSSES, GANName, adversarial_loss, center_crop
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.perceptual import Layer, VGGFeatures


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
    perceptual: float = 0.0
    """L1 of the restored image's features; only with VGG weights."""
    gradient: float = 1.0
    """Distance of the restored image's gradient map."""
    branch: float = 0.5
    """L1 of the gradient branch's output."""
    ssim: float = 0.2
    """1 - SSIM of the restored image."""
    adversarial: float = 0.005
    """GAN loss against the discriminator of images."""
    gradient_adversarial: float = 0.0
    """GAN loss against a second discriminator, of gradient maps: SPSR's, 0.005. The GGGAN paper has one discriminator."""


@dataclass(frozen=True)
class Options:
    """Forms of the terms."""

    gan: GANName = "ragan"
    """non-saturating is the plain discriminator of the paper's ablation."""
    ssim: Literal["window", "global"] = "window"
    """Form of the term `pre`: global is the formula as printed."""
    gradient_distance: Literal["l1", "mse"] = "l1"
    """Of the term `gradient`; mse in SPSR's code."""
    layer: Layer = "vgg19.conv5_4"
    """Of the perceptual term."""


class Objective(TrainingObjective):
    """Losses and discriminators for `gggan` and its relatives: generators with a `branches` method."""

    def __init__(self, loss_weights: LossWeights, options: Options, features: VGGFeatures | None = None) -> None:
        super().__init__()
        self.gan = GAN_LOSSES[options.gan]
        self.loss_weights, self.options, self.features = loss_weights, options, features
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
            similarity = ssim if self.options.ssim == "window" else ssim_global
            terms["pre"] = w.pre * (1 - similarity(outputs.pre, sharp).mean())
        if w.pixel:
            terms["pixel"] = w.pixel * F.l1_loss(image, sharp)
        if w.perceptual and self.features is not None:
            terms["perceptual"] = w.perceptual * F.l1_loss(*self.features(image, sharp))
        if w.gradient:
            distance = F.l1_loss if self.options.gradient_distance == "l1" else F.mse_loss
            terms["gradient"] = w.gradient * distance(gradient_map(image), sharp_edges)
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
        """Sum of the discriminators' losses."""
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
