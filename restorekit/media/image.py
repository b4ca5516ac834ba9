"""An image in memory: pixels, and all that must survive the restoration."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import RANGES
from restorekit.imaging.resize import resize
from restorekit.media.metadata import Metadata
from restorekit.media.sniff import Format

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
OVERSHOOT = 0.01  # floating-point values this far outside 0..1 are rounding or sharpening, not another range


@dataclass(frozen=True)
class Image:
    """One still image, upright.

    Raises:
        UsageError: pixels or alpha of another shape or type.
    """

    pixels: Pixels
    """(H,W,C): C is 3 for RGB, 1 for grey. uint8, uint16, or float32 in 0..1."""
    alpha: Pixels | None = None
    """(H,W) of the same type, or None."""
    metadata: Metadata = Metadata()
    format: Format = "png"
    lossless: bool = True
    """Whether the source's compression kept every value (a WebP may be either)."""

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or dtype not in RANGES:
            raise UsageError(f"Pixels of {shape} {dtype} are no image.", "See Image.from_array for other arrays.")
        if self.alpha is not None and (self.alpha.shape != shape[:2] or self.alpha.dtype != dtype):
            raise UsageError(f"Alpha of {self.alpha.shape} {self.alpha.dtype} does not fit pixels of {shape} {dtype}.")

    @classmethod
    def from_array(cls, array: NDArray[Any]) -> "Image":
        """Take an array as scikit-image, Pillow and matplotlib give it.

        Args:
            array: (H,W) or (H,W,1) grey, (H,W,3) RGB or (H,W,4) RGB and alpha; uint8, uint16, bool, or floating point in
                0..1. bool becomes uint8, floating point float32; the other types are kept.

        Raises:
            UsageError: another shape, type or range.
        """
        pixels = np.asarray(array)
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
            raise UsageError(
                f"An array of shape {np.shape(array)} is no image.", "Give (H,W), (H,W,1), (H,W,3) or (H,W,4)."
            )
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * np.uint8(255)
        elif pixels.dtype.kind == "f":
            if why := range_error(pixels):
                raise UsageError(why, "Scale the array to 0..1, or convert it to uint8 or uint16.")
            pixels = pixels.astype(np.float32, copy=False)
        elif pixels.dtype not in RANGES:
            raise UsageError(
                f"Pixels of type {pixels.dtype} have no known range.",
                "Convert the array to uint8, uint16, or floating point in 0..1.",
            )
        if pixels.shape[2] == 4:
            return cls(pixels[..., :3], pixels[..., 3])
        return cls(pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def rgb(self) -> NDArray[Any]:
        """(H,W,3) in the image's own type; grey is repeated."""
        return np.broadcast_to(self.pixels, (*self.size, 3))

    def to_array(self) -> NDArray[Any]:
        """Colours and alpha in one array: (H,W) grey, else (H,W,C) with 2, 3 or 4 channels, alpha last."""
        if self.alpha is not None:
            return np.dstack([self.pixels, self.alpha])
        return self.pixels[..., 0] if self.pixels.shape[2] == 1 else self.pixels

    def with_rgb(self, rgb: NDArray[Any]) -> "Image":
        """The same image with restored colours (H,W,3) of its own type and any size.

        Grey stays grey: the channels' mean. Alpha is resized bicubically where the size is another.
        """
        alpha, metadata = self.alpha, self.metadata
        height, width = rgb.shape[:2]
        if (height, width) != self.size:
            metadata = metadata.resized(height, width)
            if alpha is not None:
                alpha = resize(alpha, (height, width))
                if alpha.dtype == np.float64:
                    alpha = np.clip(alpha, 0, 1).astype(np.float32)
        if self.pixels.shape[2] == 1:
            rgb = to_grey(rgb)
        return replace(self, pixels=rgb, alpha=alpha, metadata=metadata)


def to_grey(rgb: NDArray[Any]) -> NDArray[Any]:
    """(H,W,3) as (H,W,1) of the same type: the channels' mean, rounded half up."""
    mean = rgb.mean(axis=2, keepdims=True, dtype=np.float64)
    if rgb.dtype != np.float32:
        mean = np.floor(mean + 0.5)
    grey: NDArray[Any] = mean.astype(rgb.dtype)
    return grey


def range_error(values: NDArray[Any]) -> str:
    """Why floating-point pixels cannot be taken as values in 0..1; empty if they can."""
    low, high = values.min(), values.max()
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:  # false for NaN
        return ""
    if not np.isfinite(low + high):
        return "Floating-point values are not all finite; 0 to 1 is expected."
    return f"Floating-point values reach from {low:g} to {high:g}; 0 to 1 is expected."
