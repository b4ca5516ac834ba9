"""Receptive fields as radii: how many pixels around it a part of the result depends on.

Where layers change the size, the pixels of one cell of the grid (`Spec.size_multiple`) see differently far. Tiles consist of
whole cells, so the radius that counts is the distance from a cell to the farthest pixel that any of its pixels sees.
"""

from dataclasses import dataclass

import numpy as np

from restorekit.imaging.resize import ResizeKernel, phases
from restorekit.models.upsampling import STAGES, SubPixelScale


@dataclass(frozen=True)
class Window:
    """First and last pixel, along one axis, that a cell of the result depends on.

    Every method takes one layer from its output to its input.
    """

    cell: int
    """Side of the cell, whose first pixel is pixel 0."""
    first: int
    last: int

    @classmethod
    def of(cls, cell: int) -> "Window":
        """Where to begin: the cell sees itself."""
        return cls(cell, 0, cell - 1)

    @property
    def radius(self) -> int:
        """Distance of the farthest pixel from the cell."""
        return max(-self.first, self.last - (self.cell - 1))

    def conv(self, radius: int, stride: int = 1) -> "Window":
        """Convolutions of this radius (of all together), padded to keep the size."""
        return Window(self.cell, self.first * stride - radius, self.last * stride + radius)

    def pool(self, factor: int) -> "Window":
        """Pooling or pixel-unshuffle, or a convolution of just this kernel and stride."""
        return Window(self.cell, self.first * factor, self.last * factor + factor - 1)

    def shuffle(self, factor: int) -> "Window":
        """Pixel shuffle, nearest-neighbour upsampling, or a transposed convolution of just this kernel and stride."""
        return Window(self.cell, self.first // factor, self.last // factor)

    def bilinear(self, factor: int = 2) -> "Window":
        """Bilinear upsampling by an even factor with half-pixel centres."""
        half = factor // 2
        return Window(self.cell, (self.first - half) // factor, (self.last + half) // factor)

    def transposed3(self) -> "Window":
        """Transposed 3x3 convolution of stride 2 that doubles the size."""
        return Window(self.cell, self.first // 2, (self.last + 1) // 2)

    def transposed4(self) -> "Window":
        """Transposed 4x4 convolution of stride 2 that doubles the size."""
        return Window(self.cell, (self.first - 1) // 2, (self.last + 1) // 2)


def through_unet(levels: int, after: int) -> int:
    """Radius of the receptive field, in input pixels, of a `ResidualUNet` with a network of radius `after` behind it."""
    window = Window.of(2 ** (levels - 1)).conv(after + 1)
    for _ in range(levels - 1):
        window = window.conv(2).shuffle(2)
    for _ in range(levels - 1):
        window = window.conv(2).pool(2)
    return window.conv(2).radius


def through_upsampling(scale: int, radius: int, kernel: ResizeKernel = "cubic") -> int:
    """Radius, in pixels of the small image, of a network behind an `upsample`.

    Args:
        scale: of the upsampling.
        radius: of the network's receptive field, in pixels of the large image.
        kernel: of the upsampling.
    """
    weights = phases(kernel, scale)
    centre = weights.shape[1] // 2
    farthest = 0
    for pixel in range(-radius, scale + radius):
        used = np.flatnonzero(weights[pixel % scale]) - centre + pixel // scale
        farthest = max(farthest, -int(used[0]), int(used[-1]))
    return farthest


def through_stages(scale: SubPixelScale, after: int) -> int:
    """Radius, in pixels of the small image, of sub-pixel stages with a network of radius `after` behind them."""
    for stage in reversed(STAGES[scale]):
        after = -(-after // stage) + 1  # the stage's own convolution
    return after
