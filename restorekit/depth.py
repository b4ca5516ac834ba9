"""Pixel types and their ranges. The type alone decides; nothing is ever guessed from the values."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

RANGES = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


def to_unit(picture: NDArray[Any]) -> NDArray[np.float32]:
    """uint8, uint16 or float32 pixels as float32 in 0..1."""
    return picture.astype(np.float32) / np.float32(RANGES[picture.dtype])


def from_unit(values: NDArray[np.float32], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Float32 values as pixels of that type: clipped to 0..1, scaled, rounded half up."""
    clipped = np.clip(values, 0, 1)
    kind = np.dtype(dtype)
    return (
        clipped if kind == np.float32 else np.floor(clipped * np.float32(RANGES[kind]) + np.float32(0.5)).astype(kind)
    )
