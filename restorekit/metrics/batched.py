"""PSNR and SSIM of whole batches as tensors: on a GPU, and with gradients for training. Float32.

Pictures in files are measured by `fidelity` and `similarity` in float64; these agree with them within 1e-4 dB and 1e-5.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.metrics.similarity import BAND, K1, K2, SIGMA, WINDOW

LOST = WINDOW - 1  # pixels that the valid region is smaller
BLOCK = 32  # outputs of one small matrix product across


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """PSNR in dB of every picture of a batch; identical ones give inf.

    Args:
        restored, sharp: (N,C,H,W) in 0..1.

    Returns:
        (N,)
    """
    error = (restored.float() - sharp.float()).square().flatten(1).mean(dim=1, dtype=torch.float64)
    return -10 * torch.log10(error).float()


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """SSIM of every picture of a batch, differentiable: `metrics.ssim` with the mean over the channels.

    The variances are needed as their sum only; values are centred, which keeps float32 exact enough.

    Args:
        restored, sharp: (N,C,H,W) in 0..1, at least 11 px on a side.

    Returns:
        (N,)
    """
    height, width = sharp.shape[-2:]
    # On a CPU bands stay in the cache; a GPU and training want few, large steps.
    rows = BAND if sharp.device.type == "cpu" and not restored.requires_grad else height
    total = restored.new_zeros(restored.shape[0], dtype=torch.float64)
    with torch.autocast(restored.device.type, enabled=False):
        for start in range(0, height - LOST, rows):
            stop = min(start + rows + LOST, height)
            band = _map(restored[:, :, start:stop].float(), sharp[:, :, start:stop].float())
            total = total + band.flatten(1).sum(dim=1, dtype=torch.float64)
    return (total / (sharp.shape[1] * (height - LOST) * (width - LOST))).float()


def _map(restored: Tensor, sharp: Tensor) -> Tensor:
    """The SSIM map (N,C,H-10,W-10)."""
    a, b = restored - 0.5, sharp - 0.5
    mean_a, mean_b, squares, product = _windowed(torch.cat([a, b, a * a + b * b, a * b], dim=1)).chunk(4, dim=1)
    both, each = 2 * mean_a * mean_b, mean_a**2 + mean_b**2
    shift = mean_a + mean_b + 0.5  # what centring took from both
    c1, c2 = K1**2, K2**2
    return (both + shift + c1) / (each + shift + c1) * ((2 * product - both + c2) / (squares - each + c2))


def _windowed(maps: Tensor) -> Tensor:
    """Gaussian window over the valid region, as products with small banded matrices: far faster than a depthwise filter."""
    height, width = maps.shape[-2:]
    down = _window_matrix(height, maps.device) @ maps
    if width <= 4 * BLOCK + LOST:
        return down @ _window_matrix(width, maps.device).T
    blocks = -(-(width - LOST) // BLOCK)
    padded = F.pad(down, (0, blocks * BLOCK + LOST - width)).unfold(3, BLOCK + LOST, BLOCK)
    return (padded @ _window_matrix(BLOCK + LOST, maps.device).T).flatten(3)[..., : width - LOST]


@lru_cache(maxsize=32)
def _window_matrix(length: int, device: torch.device) -> Tensor:
    """SSIM's Gaussian window as a banded matrix (length - 10, length)."""
    taps = torch.exp(-((torch.arange(WINDOW, device=device) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    rows = length - LOST
    matrix = torch.zeros(rows, length, device=device)
    for shift, tap in enumerate(taps / taps.sum()):
        matrix.diagonal(shift).copy_(tap.expand(rows))
    return matrix
