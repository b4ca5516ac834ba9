"""What gradient-guided systems share: SPSR, and GGGAN after it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Branches(NamedTuple):
    """What training looks at; nothing is clamped."""

    image: Tensor
    """Restored picture (N,3,H,W)."""
    pre: Tensor | None
    """The pre-network's picture (N,3,H,W); None without pre-network."""
    gradient: Tensor | None
    """Predicted gradient map of the sharp picture (N,3,H,W); None without gradient branch."""


def gradient_map(rgb: Tensor) -> Tensor:
    """Gradient magnitude of every channel, (N,C,H,W) to (N,C,H,W), as SPSR's official code defines it.

    Central differences x[+1] - x[-1] with zeros outside the picture, then sqrt(h^2 + v^2 + 1e-6).
    """
    padded = F.pad(rgb.float(), (1, 1, 1, 1))
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.sqrt(across.square() + down.square() + 1e-6).to(rgb.dtype)
