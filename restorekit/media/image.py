"""A picture in memory: pixels, and all that must survive the restoration."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.resize import resize

Format = Literal["png", "jpeg", "webp", "tiff", "bmp"]
Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


@dataclass(frozen=True)
class Metadata:
    """What a file says besides its pixels."""

    exif: bytes = b""
    """EXIF block, a TIFF structure without prefix; its orientation is already applied and reset."""
    icc: bytes = b""
    """ICC colour profile. Pixels stay in its colour space."""
    xmp: bytes = b""
    resolution: tuple[float, float] | None = None
    """Pixels per inch across and down."""
    tags: tuple[tuple[int, str], ...] = ()
    """Texts of a TIFF's own header (description, maker, date, ...) by tag number."""


@dataclass(frozen=True)
class Image:
    """One still picture, upright."""

    pixels: Pixels
    """(H,W,C): C is 3 for RGB, 1 for grey. uint8, uint16, or float32 in 0..1."""
    alpha: Pixels | None = None
    """(H,W) of the same type, or None."""
    metadata: Metadata = Metadata()
    format: Format = "png"
    lossless: bool = True
    """Whether the source's compression kept every value (a WebP may be either)."""

    @classmethod
    def from_array(cls, array: NDArray[Any]) -> "Image":
        """An array (H,W), (H,W,1), (H,W,3) or (H,W,4), uint8, uint16, bool, or floating point in 0..1, as an image."""
        samples = array[..., None] if array.ndim == 2 else array
        if samples.ndim != 3 or samples.shape[2] not in (1, 3, 4):
            raise UsageError(f"An image is (H,W), (H,W,1), (H,W,3) or (H,W,4), not {array.shape}.")
        if samples.dtype.kind in "fb":
            samples = samples.astype(np.float32)
        return cls(samples[..., :3], samples[..., 3] if samples.shape[2] == 4 else None)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def rgb(self) -> NDArray[Any]:
        """(H,W,3) in the picture's own type; grey is repeated."""
        return np.broadcast_to(self.pixels, (*self.size, 3))

    def with_rgb(self, rgb: NDArray[Any]) -> "Image":
        """The same picture with restored colours (H,W,3) of its own type and any size.

        Grey stays grey: the channels' mean. Alpha is resized bicubically where the size is another.
        """
        alpha = self.alpha
        if alpha is not None and rgb.shape[:2] != self.size:
            alpha = resize(alpha, (rgb.shape[0], rgb.shape[1]))
            if alpha.dtype == np.float64:
                alpha = np.clip(alpha, 0, 1).astype(np.float32)
        if self.pixels.shape[2] == 1:
            mean = rgb.mean(axis=2, keepdims=True, dtype=np.float64)
            if rgb.dtype != np.float32:
                mean = np.floor(mean + 0.5)
            rgb = mean.astype(rgb.dtype)
        return replace(self, pixels=rgb, alpha=alpha)
