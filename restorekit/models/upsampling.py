"""What super-resolution systems share: exact enlargement inside a network, luma, sub-pixel stages."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.imaging.resize import ResizeBorder, ResizeKernel, phases
from restorekit.models.layers import at_least_float, conv3, leaky, without_autocast

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601 with range 16..235, as MATLAB's rgb2ycbcr
LUMA_OFFSET = 16 / 255
LUMA_SPAN = 219 / 255  # luma of white minus luma of black

SubPixelScale = Literal[2, 3, 4, 8]
STAGES: Mapping[SubPixelScale, tuple[int, ...]] = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""Sub-pixel stages that make up a scale."""


@lru_cache(maxsize=32)
def _weights(kernel: ResizeKernel, scale: int, device: torch.device) -> Tensor:
    return torch.from_numpy(phases(kernel, scale)).float().to(device)


def _along_rows(x: Tensor, weights: Tensor, border: ResizeBorder) -> Tensor:
    """Enlarge the height of (N,1,H,W)."""
    scale, taps = weights.shape
    radius, height = taps // 2, x.shape[2]
    at = torch.arange(-radius, height + radius, device=x.device)
    if border == "symmetric":
        at = at % (2 * height)
        at = torch.where(at < height, at, 2 * height - 1 - at)
    rows = x.index_select(2, at.clamp(0, height - 1))
    kernel = weights.view(scale, 1, taps, 1)
    if border == "cut":
        inside = ((at >= 0) & (at < height)).to(x.dtype).view(1, 1, -1, 1)
        raised = F.conv2d(rows * inside, kernel) / F.conv2d(inside, kernel)
    else:
        raised = F.conv2d(rows, kernel)  # (N,scale,H,W)
    return raised.transpose(1, 2).reshape(x.shape[0], 1, height * scale, x.shape[3])


def enlarge(x: Tensor, scale: int, kernel: ResizeKernel = "cubic", border: ResizeBorder = "symmetric") -> Tensor:
    """Enlarge a batch (N,C,H,W) by a whole number in float32, to (N,C,scale*H,scale*W). See `imaging.resize`."""
    number, channels, height, width = x.shape
    with without_autocast(x):
        planes = at_least_float(x).reshape(number * channels, 1, height, width)
        weights = _weights(kernel, scale, x.device).to(planes.dtype)
        planes = _along_rows(planes, weights, border)
        planes = _along_rows(planes.transpose(2, 3), weights, border).transpose(2, 3)
        return planes.reshape(number, channels, height * scale, width * scale)


def luma(rgb: Tensor) -> Tensor:
    """Y of BT.601, (N,3,H,W) in 0..1 to (N,1,H,W) in 16/255..235/255."""
    weights = torch.tensor(LUMA, device=rgb.device, dtype=rgb.dtype).view(1, 3, 1, 1)
    return (rgb * weights).sum(dim=1, keepdim=True) + LUMA_OFFSET


def restore_luma(rgb: Tensor, scale: int, network: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Let a network see luma alone; chroma is enlarged bicubically, as the papers do.

    Merging another Y into YCbCr and going back to RGB adds (Y' - Y) * 255/219 to each of R, G and B, so neither the chroma
    planes nor the inverse matrix are needed.

    Args:
        rgb: (N,3,H,W) in 0..1.
        scale: output pixels for one input pixel.
        network: takes the small luma (N,1,H,W) and the bicubically enlarged one (N,1,sH,sW), returns the restored one.

    Returns:
        (N,3,sH,sW), not yet clipped.
    """
    enlarged = enlarge(rgb, scale)
    above = luma(enlarged)
    restored = network(luma(rgb), above).to(above.dtype)
    return enlarged + (restored - above) / LUMA_SPAN


class Enlarge(nn.Module):
    """Nearest-neighbour enlargement, 3x3 convolution, leaky ReLU."""

    def __init__(self, channels: int, factor: int = 2) -> None:
        super().__init__()
        self.factor, self.conv, self.act = factor, conv3(channels, channels), leaky()

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to (N,C,factor*H,factor*W)."""
        return cast(Tensor, self.act(self.conv(F.interpolate(x, scale_factor=self.factor, mode="nearest"))))


class SubPixel(nn.Sequential):
    """3x3 convolution to `scale`^2 times the maps, pixel shuffle, activation: (N,C,H,W) to (N,C,scale*H,scale*W).

    Shi et al., arXiv:1609.05158. Low-resolution pixel i covers the output pixels scale*i ... scale*i + scale - 1.
    """

    def __init__(self, channels: int, scale: int, activation: nn.Module) -> None:
        super().__init__(conv3(channels, channels * scale**2), nn.PixelShuffle(scale), activation)
