"""How large results get."""

import math
from dataclasses import dataclass

import numpy as np

from restorekit.errors import UsageError
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine
from restorekit.media.image import Image


@dataclass(frozen=True)
class Size:
    """A factor, or a size in pixels; by default what the network gives."""

    factor: float | None = None
    pixels: tuple[int, int] | None = None
    """Height and width."""

    def __post_init__(self) -> None:
        if (self.factor is not None and not 0 < self.factor <= 64) or (self.pixels and min(self.pixels) < 1):
            raise UsageError("A result cannot have that size.", "Give a factor above 0, or WIDTHxHEIGHT in pixels.")

    def of(self, height: int, width: int, scale: int) -> tuple[int, int]:
        """Height and width of a picture's result from a network of that scale; a factor rounds half up."""
        if self.pixels:
            return self.pixels
        factor = self.factor or scale
        return max(1, math.floor(height * factor + 0.5)), max(1, math.floor(width * factor + 0.5))


def restored(picture: Image, restorer: Engine, size: Size = Size()) -> Image:
    """Restore a picture and bring it to its size.

    A network that enlarges runs as often as it takes to reach the size; one antialiased bicubic resize does the rest.

    Args:
        picture: any depth; alpha is resized along.
        restorer: the network.
        size: of the result.
    """
    height, width = size.of(*picture.size, restorer.spec.scale)
    rgb = restorer(picture.rgb())
    while restorer.spec.scale > 1 and (rgb.shape[0] < height or rgb.shape[1] < width):
        rgb = restorer(rgb)
    if rgb.shape[:2] != (height, width):
        resized = resize(rgb, (height, width))
        rgb = resized if rgb.dtype != np.float32 else np.clip(resized, 0, 1).astype(np.float32)
    return picture.with_rgb(rgb)
