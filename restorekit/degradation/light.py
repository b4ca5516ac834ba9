"""Light, and the values that stand for it in a file. A sensor adds up light; files hold a curve of it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.choices import Light

Curve = Literal["stored", "gamma", "srgb"]
"""stored: values are taken for light, as papers that convolve do; gamma: light ** (1 / 2.2); srgb: IEC 61966-2-1."""

CURVES: tuple[Curve, ...] = ("stored", "gamma", "srgb")
GAMMA = 2.2
BRIGHT = 0.95
"""Light above it may be more than a sensor can store."""


def draw_curve(light: Light, has_psf: bool, rng: np.random.Generator) -> Curve:
    """The curve of one image, whose blur is or is not that of a PSF."""
    if light == "auto":
        return "stored" if has_psf else "gamma"
    return CURVES[rng.integers(len(CURVES))] if light == "random" else light


def to_light(stored: NDArray[np.float32], curve: Curve) -> NDArray[np.float32]:
    """Values 0..1 of a file as light 0..1; float32 of any shape."""
    if curve == "gamma":
        return np.power(stored, np.float32(GAMMA))
    if curve == "srgb":
        power = ((stored + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
        return np.where(stored <= np.float32(0.04045), stored / np.float32(12.92), power)
    return stored


def from_light(light: NDArray[np.float32], curve: Curve) -> NDArray[np.float32]:
    """Light as values 0..1 of a file; what is brighter than 1 is clipped, as a sensor does."""
    light = np.clip(light, 0, 1)
    if curve == "gamma":
        return np.power(light, np.float32(1 / GAMMA))
    if curve == "srgb":
        power = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
        return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), power)
    return light


def raise_highlights(light: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Multiply pixels (H,W,C) of light above `BRIGHT` by a factor, before a blur: lamps are brighter than what was stored.

    Blurred and clipped afterwards, they leave streaks (Lai et al. 2016, saturated images). The brightest channel decides
    for all, so that colours stay.
    """
    if factor == 1:
        return light
    return np.where(light.max(axis=-1, keepdims=True) > BRIGHT, light * np.float32(factor), light)
