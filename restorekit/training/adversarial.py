"""Adversarial games: what the generator and the critic each want of the critic's raw scores."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.errors import UsageError
from restorekit.training.losses import relativistic

Score = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """Two losses of (scores of restored pictures, scores of sharp ones)."""

    generator: Score
    critic: Score
    sees_sharp: bool = False
    """Whether the generator's loss needs the sharp pictures' scores too."""


def _cross_entropy(scores: Tensor, real: bool) -> Tensor:
    target = torch.ones_like(scores) if real else torch.zeros_like(scores)
    return F.binary_cross_entropy_with_logits(scores, target)


def _relativistic_squares(winners: Tensor, losers: Tensor) -> Tensor:
    above = (winners - losers.mean() - 1).square().mean()
    return (above + (losers - winners.mean() + 1).square().mean()) / 2


JS = Game(
    generator=lambda fake, real: _cross_entropy(fake, True),
    critic=lambda fake, real: _cross_entropy(fake, False) + _cross_entropy(real, True),
)
"""Goodfellow et al. 2014 (arXiv:1406.2661) with the generator's loss that does not saturate."""

EM = Game(generator=lambda fake, real: -fake.mean(), critic=lambda fake, real: fake.mean() - real.mean())
"""Earth mover's distance, Arjovsky et al. 2017 (arXiv:1701.07875); the critic needs a Lipschitz constraint."""

RELATIVISTIC = Game(generator=relativistic, critic=lambda fake, real: relativistic(real, fake), sees_sharp=True)
"""Relativistic average, Jolicoeur-Martineau 2019 (arXiv:1807.00734)."""

RELATIVISTIC_SQUARES = Game(
    generator=_relativistic_squares, critic=lambda fake, real: _relativistic_squares(real, fake), sees_sharp=True
)
"""The same with least squares, as DeblurGAN-v2 has it."""


def center_crop(batch: Tensor, side: int) -> Tensor:
    """The middle side x side pixels of a batch, for critics with a fixed input.

    Raises:
        UsageError: the crops are smaller.
    """
    height, width = batch.shape[-2:]
    if min(height, width) < side:
        raise UsageError(
            f"The critic looks at {side} px, the crops have {height}.",
            f"Train with --crop {side} or more, or without critics: --weight adversarial=0.",
        )
    top, left = (height - side) // 2, (width - side) // 2
    return batch[..., top : top + side, left : left + side]


def fooling(game: Game, critic: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
    """The generator's loss. The critic's own weights take no gradient here; only the picture does.

    Args:
        game: who wants what.
        critic: raw scores of pictures.
        fake, real: what the critic looks at, restored and sharp.
    """
    critic.requires_grad_(False)
    loss = game.generator(critic(fake), critic(real) if game.sees_sharp else fake)
    critic.requires_grad_(True)
    return loss


def gradient_penalty(critic: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
    """How far the critic's slope between restored and sharp pictures is from 1 (Gulrajani et al., arXiv:1704.00028, eq. 3).

    One random mix a sample; in float32, because slopes are differences.
    """
    with torch.autocast(fake.device.type, enabled=False):
        share = torch.rand(len(fake), 1, 1, 1, device=fake.device)
        mixed = (share * fake.float() + (1 - share) * real.float()).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return F.mse_loss(slope.flatten(1).norm(dim=1), torch.ones(len(fake), device=fake.device))
