"""Noise of the sensor."""

import numpy as np
from numpy.typing import NDArray


def add_noise(image: NDArray[np.float32], sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Add Gaussian noise, the same deviation for every channel.

    Args:
        image: float32 of any shape, in 0..1.
        sigma: standard deviation in grey levels of 255; 0 leaves the image as it is.
        rng: source of the noise.

    Returns:
        float32, not clipped.
    """
    if not sigma:
        return image
    return image + np.float32(sigma / 255) * rng.standard_normal(image.shape, dtype=np.float32)
