"""What gradient-guided systems share: SPSR, and GGGAN after it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.errors import UsageError


class Branches(NamedTuple):
    """What training looks at; nothing is clamped."""

    image: Tensor
    """Restored image (N,3,H,W)."""
    pre: Tensor | None
    """The pre-network's image (N,3,H,W); None without pre-network."""
    gradient: Tensor | None
    """Predicted gradient map of the sharp image (N,3,H,W); None without gradient branch."""


def check_taps(taps: tuple[int, ...], depth: int, parts: str) -> None:
    """Refuse taps that an image branch does not have.

    Args:
        taps: parts after which the gradient branch listens, counted from 1.
        depth: parts of the image branch.
        parts: what they are called.

    Raises:
        UsageError: a tap is repeated, out of order or beyond the last part.
    """
    if list(taps) != sorted(set(taps)) or not set(taps) <= set(range(1, depth + 1)):
        shown = ",".join(map(str, taps))
        raise UsageError(f"taps={shown} do not fit {parts}={depth}.", f"Taps rise from 1 to {depth} at most.")


def gradient_map(rgb: Tensor) -> Tensor:
    """Gradient magnitude of every channel, (N,C,H,W) to (N,C,H,W), as SPSR's official code defines it.

    Central differences x[+1] - x[-1] with zeros outside the image, then sqrt(h^2 + v^2 + 1e-6).
    """
    padded = F.pad(rgb.float(), (1, 1, 1, 1))
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return torch.sqrt(across.square() + down.square() + 1e-6).to(rgb.dtype)
