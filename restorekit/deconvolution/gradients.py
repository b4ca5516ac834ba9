"""Differences of neighbouring pixels on a periodic canvas: the D of every prior."""

import math

import torch
from torch import Tensor


def gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and to the lower neighbour, (...,H,W) each; the last pixel's neighbour is the first."""
    across, down = torch.empty_like(x), torch.empty_like(x)  # written in place: rolled copies cost as much again
    torch.sub(x[..., 1:], x[..., :-1], out=across[..., :-1])
    torch.sub(x[..., :1], x[..., -1:], out=across[..., -1:])
    torch.sub(x[..., 1:, :], x[..., :-1, :], out=down[..., :-1, :])
    torch.sub(x[..., :1, :], x[..., -1:, :], out=down[..., -1:, :])
    return across, down


def divergence(across: Tensor, down: Tensor) -> Tensor:
    """The adjoint of `gradient`: D' g of both differences (...,H,W)."""
    total = torch.empty_like(across)
    torch.sub(across[..., :-1], across[..., 1:], out=total[..., 1:])
    torch.sub(across[..., -1:], across[..., :1], out=total[..., :1])
    total[..., 1:, :] += down[..., :-1, :]
    total[..., :1, :] += down[..., -1:, :]
    return total.sub_(down)


def gradient_power(height: int, width: int, like: Tensor) -> Tensor:
    """D'D in the Fourier domain (height,width//2+1), of the type and on the device of `like`."""
    down = torch.arange(height, dtype=like.dtype, device=like.device) * (2 * math.pi / height)
    across = torch.arange(width // 2 + 1, dtype=like.dtype, device=like.device) * (2 * math.pi / width)
    return (2 - 2 * down.cos())[:, None] + (2 - 2 * across.cos())
