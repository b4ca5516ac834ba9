"""The GGGAN paper's losses.

Shi et al. 2022: Loss = Loss_pre + 1e-3 Loss_GG, with Loss_pre = 1 - SSIM(pre-network's output, sharp). The paper prints no
weights inside Loss_GG; the terms are SPSR's, whose code it modifies, weighted for training without VGG features.

Two departures. SSIM is windowed: the formula as printed takes statistics over the whole picture and is nearly blind to
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
from restorekit.training.adversarial import RELATIVISTIC, center_crop, fooling
from restorekit.training.discriminators import VGG128
from restorekit.training.objectives import Goal, Terms


class HasBranches(Protocol):
    """A generator whose intermediate pictures can be looked at."""

    def branches(self, rgb: Tensor) -> Branches:
        """Restored picture, pre-network's picture and gradient map."""
        ...


@dataclass(frozen=True)
class Weights:
    """Weight of each term; a term of weight 0 is not computed."""

    pre: float = 1000.0
    """1 - SSIM of the pre-network's output."""
    pixel: float = 1.0
    """L1 of the restored picture."""
    gradient: float = 1.0
    """L1 of the restored picture's gradient map."""
    branch: float = 0.5
    """L1 of the gradient branch's output."""
    ssim: float = 0.2
    """1 - SSIM of the restored picture."""
    adversarial: float = 0.005
    """Relativistic average loss against the picture critic."""
    gradient_adversarial: float = 0.005
    """The same on gradient maps, against a second critic."""


class Objective(Goal):
    """Losses and critics for `gggan` and its relatives: generators with a `branches` method."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = weights
        self.critics: nn.ModuleDict = nn.ModuleDict()
        if weights.adversarial:
            self.critics["image"] = VGG128()
        if weights.gradient_adversarial:
            self.critics["gradient"] = VGG128()

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms of the generator's loss by name, and the restored batch."""
        outputs = cast(HasBranches, model).branches(degraded)
        w = self.weights
        image, sharp_edges = outputs.image.float(), gradient_map(sharp)
        terms: Terms = {}
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
        for name, weight in (("image", w.adversarial), ("gradient", w.gradient_adversarial)):
            if weight:
                fake, real = self._seen(name, image), self._seen(name, sharp)
                terms[f"fool_{name}"] = weight * fooling(RELATIVISTIC, self.critics[name], fake, real)
        return terms, image

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Sum of the critics' relativistic losses."""
        losses = [
            RELATIVISTIC.critic(critic(self._seen(name, restored)), critic(self._seen(name, sharp)))
            for name, critic in self.critics.items()
        ]
        return torch.stack(losses).sum()

    @staticmethod
    def _seen(name: str, batch: Tensor) -> Tensor:
        """What the critic of that name looks at: the picture or its edges, cut to the critic's size from the middle."""
        batch = center_crop(batch, VGG128.SIDE)
        return gradient_map(batch) if name == "gradient" else batch
