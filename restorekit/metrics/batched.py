"""PSNR and SSIM of whole batches as tensors: on a GPU, and with gradients for training. Float32.

Images in files are measured by `metrics.psnr` and `metrics.ssim` in float64; these agree within 1e-4 dB and 1e-5.
"""

from functools import lru_cache

import torch
from torch import Tensor

from restorekit.metrics import similarity
from restorekit.metrics.similarity import K1, K2, SIGMA, WINDOW


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """PSNR in dB of every image of a batch; identical ones give inf.

    Args:
        restored, sharp: (N,C,H,W) in 0..1.

    Returns:
        (N,)
    """
    rows = (restored.float() - sharp.float()).square().sum(dim=(1, 3))  # float32 holds a row's sum, not an image's
    return -10 * torch.log10(rows.double().sum(dim=1) / sharp[0].numel()).float()


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """SSIM of every image of a batch: `metrics.ssim` with the mean over the channels.

    On a CPU and without gradients it is `metrics.ssim` itself, which is the fastest there; elsewhere the window is a product
    with two banded matrices, many times faster than a depthwise filter and its gradient.

    Args:
        restored, sharp: (N,C,H,W) in 0..1, at least 11 px on a side.

    Returns:
        (N,)
    """
    if restored.device.type == "cpu" and not (torch.is_grad_enabled() and restored.requires_grad):
        pairs = zip(
            *(batch.detach().float().permute(0, 2, 3, 1).contiguous().numpy() for batch in (restored, sharp)),
            strict=True,
        )
        return torch.tensor([similarity.ssim(a, b) for a, b in pairs])
    with torch.autocast(restored.device.type, enabled=False):
        a, b = restored.float() - 0.5, sharp.float() - 0.5  # centred, float32 stays exact enough
        down = _window_matrix(a.shape[-2], a.device)
        across = _window_matrix(a.shape[-1], a.device).T
        # The variances are needed as their sum only.
        maps = down @ torch.cat([a, b, a * a + b * b, a * b], dim=1) @ across
        mean_a, mean_b, squares, product = maps.chunk(4, dim=1)
        both, each = 2 * mean_a * mean_b, mean_a**2 + mean_b**2
        shift = mean_a + mean_b + 0.5  # what centring took from both
        c1, c2 = K1**2, K2**2
        structure = (2 * product - both + c2) / (squares - each + c2)
        return (structure * (both + shift + c1) / (each + shift + c1)).flatten(1).mean(dim=1)


def ssim_global(restored: Tensor, sharp: Tensor) -> Tensor:
    """SSIM of every image of a batch with the statistics of whole channels: `metrics.similarity.ssim_global`.

    Args:
        restored, sharp: (N,C,H,W) in 0..1.

    Returns:
        (N,)
    """
    a, b = restored.float().flatten(2), sharp.float().flatten(2)
    mean_a, mean_b = a.mean(dim=2), b.mean(dim=2)
    covariance = ((a - mean_a[..., None]) * (b - mean_b[..., None])).mean(dim=2)
    variances = a.var(dim=2, correction=0) + b.var(dim=2, correction=0)
    c1, c2 = K1**2, K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * (2 * covariance + c2) / (variances + c2)).mean(dim=1)


@lru_cache(maxsize=32)
def _window_matrix(length: int, device: torch.device) -> Tensor:
    """SSIM's Gaussian window as a banded matrix (length - 10, length)."""
    taps = torch.exp(-((torch.arange(WINDOW, device=device) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    rows = length - WINDOW + 1
    matrix = torch.zeros(rows, length, device=device)
    for shift, tap in enumerate(taps / taps.sum()):
        matrix.diagonal(shift).copy_(tap.expand(rows))
    return matrix
