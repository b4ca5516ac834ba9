"""Pixel types and their ranges. The type alone decides; nothing is ever guessed from the values."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""(H,W) or (H,W,C); float32 in 0..1."""

PSF = NDArray[np.float32]
"""Point-spread function: (K,K), K odd, sum 1."""

BLOCK = 1 << 16  # values that are converted together
RANGES = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


def to_unit(image: NDArray[Any]) -> NDArray[np.float32]:
    """uint8, uint16 or float32 pixels as float32 in 0..1."""
    return image.astype(np.float32) / np.float32(RANGES[image.dtype])


def from_unit(values: NDArray[np.float32], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Float32 values as pixels of that type: clipped to 0..1, scaled, rounded half up."""
    kind = np.dtype(dtype)
    if kind == np.float32:
        return np.clip(values, 0, 1)
    top = np.float32(RANGES[kind])
    pixels = np.empty(values.shape, kind)
    rows = max(1, BLOCK * len(values) // max(1, values.size))
    for start in range(0, len(values), rows):  # each block stays in the cache for all these passes
        scaled = values[start : start + rows] * top
        scaled += np.float32(0.5)
        np.clip(scaled, 0, top, out=scaled)
        pixels[start : start + rows] = scaled  # cuts off, which is rounding half up after the addition
    return pixels
