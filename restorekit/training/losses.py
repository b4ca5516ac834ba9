"""GAN losses of a discriminator's raw scores, and what goes with them. Images are (N,C,H,W) in 0..1."""

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.errors import UsageError


class GANLoss(Protocol):
    """What the generator and the discriminator minimise.

    The discriminator scores restored images before sharp ones: the running statistics of its normalisations depend on it.
    """

    def generator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Small where the restored images pass for sharp ones."""
        ...

    def discriminator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Small where the scores tell them apart."""
        ...


@dataclass(frozen=True)
class NonSaturating:
    """Goodfellow et al. 2014 (arXiv:1406.2661): cross-entropy, with the generator's loss that does not saturate."""

    def generator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Cross-entropy of calling restored images sharp."""
        return _cross_entropy(discriminator(restored), 1.0)

    def discriminator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Cross-entropy of telling both apart."""
        return _cross_entropy(discriminator(restored), 0.0) + _cross_entropy(discriminator(sharp), 1.0)


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """The same discriminator against the generator's loss that saturates: the minimax game, the Jensen-Shannon divergence.

    Its gradient vanishes where the discriminator is sure, the case that the SR paper (Zhang et al. 2019, eq. 3) argues with.
    """

    def generator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Mean of log(1 - D(restored))."""
        return -_cross_entropy(discriminator(restored), 0.0)


@dataclass(frozen=True)
class WGAN:
    """Wasserstein distance, Arjovsky et al. 2017 (arXiv:1701.07875); the critic needs a Lipschitz constraint."""

    def generator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Minus the mean score of restored images."""
        return cast(Tensor, -discriminator(restored).mean())

    def discriminator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Minus the critic's estimate of the distance."""
        return cast(Tensor, discriminator(restored).mean() - discriminator(sharp).mean())


@dataclass(frozen=True)
class RaGAN:
    """Relativistic average GAN, Jolicoeur-Martineau 2019 (arXiv:1807.00734): scores against the other kind's average."""

    def generator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Restored images should score above the average sharp one, sharp ones below the average restored one."""
        return relativistic_cross_entropy(discriminator(restored), discriminator(sharp))

    def discriminator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """The other way round."""
        restored_scores = discriminator(restored)
        return relativistic_cross_entropy(discriminator(sharp), restored_scores)


@dataclass(frozen=True)
class RaLSGAN:
    """RaGAN with least squares in place of cross-entropy, as DeblurGAN-v2 has it."""

    def generator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """Restored images should score 1 above the average sharp one, sharp ones 1 below the average restored one."""
        return relativistic_squares(discriminator(restored), discriminator(sharp))

    def discriminator_loss(self, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
        """The other way round."""
        restored_scores = discriminator(restored)
        return relativistic_squares(discriminator(sharp), restored_scores)


GANName = Literal["wgan", "non-saturating", "saturating", "ragan", "ralsgan"]

GAN_LOSSES: dict[GANName, GANLoss] = {
    "wgan": WGAN(),
    "non-saturating": NonSaturating(),
    "saturating": Saturating(),
    "ragan": RaGAN(),
    "ralsgan": RaLSGAN(),
}


def _cross_entropy(scores: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


def relativistic_cross_entropy(winners: Tensor, losers: Tensor) -> Tensor:
    """`winners` should score above the average of `losers`, and `losers` below that of `winners`.

    Args:
        winners, losers: raw scores (N,1).
    """
    above = _cross_entropy(winners - losers.mean(), 1.0)
    below = _cross_entropy(losers - winners.mean(), 0.0)
    return (above + below) / 2


def relativistic_squares(winners: Tensor, losers: Tensor) -> Tensor:
    """The same with a distance of 1 as the aim.

    Args:
        winners, losers: raw scores (N,1), or (N,1,h,w) of patches.
    """
    above = (winners - losers.mean() - 1).square().mean()
    below = (losers - winners.mean() + 1).square().mean()
    return (above + below) / 2


def adversarial_loss(gan: GANLoss, discriminator: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
    """The generator's loss. The discriminator's own weights take no gradient here; only the restored images do.

    Args:
        gan: which loss.
        discriminator: raw scores of images.
        restored, sharp: what the discriminator looks at.
    """
    discriminator.requires_grad_(False)
    loss = gan.generator_loss(discriminator, restored, sharp)
    discriminator.requires_grad_(True)
    return loss


def gradient_penalty(critic: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
    """How far the critic's slope between restored and sharp images is from 1 (Gulrajani et al., arXiv:1704.00028, eq. 3).

    At one random point between each pair of images; in float32, because slopes are differences.
    """
    with torch.autocast(restored.device.type, enabled=False):
        share = torch.rand(len(restored), 1, 1, 1, device=restored.device)
        between = (share * restored.float() + (1 - share) * sharp.float()).requires_grad_()
        scores = critic(between).flatten(1).mean(1)  # what the loss sees of an image, one score or the mean of patches
        (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        return F.mse_loss(slope.flatten(1).norm(dim=1), torch.ones(len(restored), device=restored.device))


def center_crop(batch: Tensor, side: int) -> Tensor:
    """The central side x side pixels of a batch, for discriminators with a fixed input.

    Raises:
        UsageError: the crops are smaller.
    """
    height, width = batch.shape[-2:]
    if min(height, width) < side:
        raise UsageError(
            f"The discriminator looks at {side} px, the crops have {height}.",
            f"Train with crops of {side} px or more, or without discriminators (loss weight adversarial=0).",
        )
    top, left = (height - side) // 2, (width - side) // 2
    return batch[..., top : top + side, left : left + side]
