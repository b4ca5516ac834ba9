"""Receptive fields of parts that several systems share, as radii: how many pixels to each side a result depends on."""

import numpy as np

from restorekit.imaging.resize import ResizeKernel, phases
from restorekit.models.upsampling import stages


def through_unet(levels: int, after: int) -> int:
    """Radius of the receptive field, in input pixels, of a `ResidualUNet` with a network of radius `after` behind it."""
    farthest = 0
    for at in range(2 ** (levels - 1)):
        low, high = at - after - 1, at + after + 1  # the last convolution
        for _ in range(levels - 1):  # two convolutions, and from each pixel to the coarser one it came from
            low, high = (low - 2) // 2, (high + 2) // 2
        for _ in range(levels - 1):  # two convolutions, and from each pixel to the four that were pooled
            low, high = 2 * (low - 2), 2 * (high + 2) + 1
        farthest = max(farthest, at - low + 2, high + 2 - at)
    return farthest


def through_enlargement(scale: int, radius: int, kernel: ResizeKernel = "cubic") -> int:
    """How far a network on the enlarged grid sees in the small picture.

    Args:
        scale: of the enlargement in front of it.
        radius: of its receptive field in enlarged pixels.
        kernel: of the enlargement.

    Returns:
        Input pixels.
    """
    weights = phases(kernel, scale)
    middle = weights.shape[1] // 2
    farthest = 0
    for at in range(-radius, scale + radius):
        used = np.flatnonzero(weights[at % scale]) - middle + at // scale
        farthest = max(farthest, -int(used[0]), int(used[-1]))
    return farthest


def through_stages(scale: int, after: int) -> int:
    """Radius, in pixels of the small grid, of sub-pixel stages with a network of radius `after` behind them."""
    for stage in reversed(stages(scale)):
        after = -(-after // stage) + 1  # the stage's own convolution
    return after
