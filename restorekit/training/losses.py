"""Differentiable losses that several objectives share. Pictures are (N,C,H,W) in 0..1."""

import torch
import torch.nn.functional as F
from torch import Tensor


def relativistic(winners: Tensor, losers: Tensor) -> Tensor:
    """Relativistic average loss: `winners` should score above the average of `losers`, and the other way round.

    Jolicoeur-Martineau, The relativistic discriminator, ICLR 2019 (arXiv:1807.00734). The critic calls it with
    (real, fake), the generator with (fake, real).

    Args:
        winners, losers: raw critic scores (N,1).
    """
    above = F.binary_cross_entropy_with_logits(winners - losers.mean(), torch.ones_like(winners))
    below = F.binary_cross_entropy_with_logits(losers - winners.mean(), torch.zeros_like(losers))
    return (above + below) / 2
