"""Receptive fields as radii: how many pixels to each side a result depends on.

A system's radius is found by following pixels of the result back to the input, layer by layer (`Window`). Where layers
change the size, pixels of one cell of the grid see differently far. Tiles begin and end on the grid, so what counts is how
far the first and the last pixel of a cell see.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from restorekit.imaging.resize import ResizeKernel, phases
from restorekit.models.upsampling import STAGES, SubPixelScale


@dataclass(frozen=True)
class Window:
    """First and last pixel, along one axis, that a pixel of the result depends on.

    Every method takes one layer from its output to its input.
    """

    pixel: int
    """The pixel of the result."""
    first: int
    last: int

    @classmethod
    def of(cls, pixel: int) -> "Window":
        """Where to begin: the pixel sees itself."""
        return cls(pixel, pixel, pixel)

    @property
    def radius(self) -> int:
        """Distance of the farthest pixel."""
        return max(self.pixel - self.first, self.last - self.pixel)

    def conv(self, radius: int, stride: int = 1) -> "Window":
        """Convolutions of this radius (of all together), padded to keep the size."""
        return Window(self.pixel, self.first * stride - radius, self.last * stride + radius)

    def pool(self, factor: int) -> "Window":
        """Pooling or pixel-unshuffle, or a convolution of just this kernel and stride."""
        return Window(self.pixel, self.first * factor, self.last * factor + factor - 1)

    def shuffle(self, factor: int) -> "Window":
        """Pixel shuffle, nearest-neighbour upsampling, or a transposed convolution of just this kernel and stride."""
        return Window(self.pixel, self.first // factor, self.last // factor)

    def bilinear(self, factor: int = 2) -> "Window":
        """Bilinear upsampling by an even factor with half-pixel centres."""
        half = factor // 2
        return Window(self.pixel, (self.first - half) // factor, (self.last + half) // factor)

    def transposed3(self) -> "Window":
        """Transposed 3x3 convolution of stride 2 that doubles the size."""
        return Window(self.pixel, self.first // 2, (self.last + 1) // 2)


def of_cell(window: Callable[[int], Window], multiple: int) -> int:
    """Radius of the receptive field, counted from the first and the last pixel of a cell of the grid.

    Args:
        window: what a pixel of the result sees.
        multiple: pixels of a cell.
    """
    return max(window(pixel).radius for pixel in (0, multiple - 1))


def through_unet(levels: int, after: int) -> int:
    """Radius of the receptive field, in input pixels, of a `ResidualUNet` with a network of radius `after` behind it."""
    return max(_unet(Window.of(pixel).conv(after), levels).radius for pixel in range(2 ** (levels - 1)))


def _unet(window: Window, levels: int) -> Window:
    window = window.conv(1)
    for _ in range(levels - 1):
        window = window.conv(2).shuffle(2)
    for _ in range(levels - 1):
        window = window.conv(2).pool(2)
    return window.conv(2)


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
