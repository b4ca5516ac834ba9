"""Differentiable losses that several objectives share. Pictures are (N,C,H,W) in 0..1."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.metrics.fidelity import K1, K2, SIGMA, WINDOW


@lru_cache(maxsize=8)
def _window_matrix(length: int, device: torch.device) -> Tensor:
    """SSIM's Gaussian window as a banded matrix (length - 10, length).

    One matrix product filters a whole axis; on crops that is many times faster than an 11-tap depthwise convolution.
    """
    taps = torch.exp(-((torch.arange(WINDOW, device=device) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    rows = length - WINDOW + 1
    matrix = torch.zeros(rows, length, device=device)
    for shift, tap in enumerate(taps / taps.sum()):
        matrix.diagonal(shift).copy_(tap.expand(rows))
    return matrix


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean SSIM of a batch: the same definition as `metrics.ssim`, differentiable, in float32."""
    with torch.autocast(restored.device.type, enabled=False):
        a, b = restored.float(), sharp.float()
        down = _window_matrix(a.shape[-2], a.device)
        across = _window_matrix(a.shape[-1], a.device).T
        maps = torch.cat([a, b, a * a, b * b, a * b])
        mean_a, mean_b, square_a, square_b, product = (down @ maps @ across).chunk(5)
        c1, c2 = K1**2, K2**2
        structure = (2 * mean_a * mean_b + c1) * (2 * (product - mean_a * mean_b) + c2)
        spread = square_a - mean_a**2 + square_b - mean_b**2 + c2
        return (structure / ((mean_a**2 + mean_b**2 + c1) * spread)).mean()


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
