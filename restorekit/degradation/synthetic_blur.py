"""Blur of whole images for paired sets: what may happen, what was drawn, and how it is applied."""

import base64
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation import psf
from restorekit.degradation.choices import BlurKind, ConvolutionBorder, Light
from restorekit.degradation.convolution import convolve
from restorekit.degradation.noise import add_noise
from restorekit.degradation.ranges import Range, check_range
from restorekit.degradation.rotation import blur_by_rotation
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import PSF, from_unit, to_unit

GAMMA = 2.2  # stored value = light ** (1 / 2.2)
ALGORITHM = 1
"""Raised when the same settings and seed give other pixels than before."""


@dataclass(frozen=True)
class BlurSettings:
    """How images are blurred. The defaults are the GGGAN paper's: 50-80 px, -40..40 degrees, one PSF for each pair."""

    kind: BlurKind = "linear"
    """linear: a straight path; trajectory: a shaking hand; rotational: the camera rolls; mixed: linear or rotational, each
    for every second image."""
    length: Range = (50.0, 80.0)
    """Pixels travelled (linear, trajectory)."""
    angle: Range = (-40.0, 40.0)
    """Direction in degrees, counter-clockwise from the x axis (linear)."""
    sweep: Range = (1.0, 6.0)
    """Angle that the camera rolls through in degrees (rotational)."""
    border: ConvolutionBorder = "reflect"
    """reflect mirrors the image at its edges and keeps the size; valid crops both images to what no invented pixel has
    touched (a roll always mirrors)."""
    light: Light = "auto"
    """srgb blurs the stored values, as the papers do with PSFs; linear undoes the gamma first. auto: linear light for
    rotational blur, stored values for PSFs."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the blurred image, in grey levels of 255."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("kind", BlurKind), ("border", ConvolutionBorder), ("light", Light)):
            if getattr(self, name) not in get_args(choices):
                raise UsageError(f"`{name}` cannot be '{getattr(self, name)}'.", f"Use {', '.join(get_args(choices))}.")
        check_range("length", self.length, 0, psf.MAX_LENGTH)
        check_range("angle", self.angle)
        check_range("sweep", self.sweep)
        check_range("noise", (self.noise, self.noise), 0)


@dataclass(frozen=True)
class DrawnBlur:
    """The blur of one image: all that was random, but for the noise."""

    kind: Literal["linear", "trajectory", "rotational"]
    light: Literal["srgb", "linear"]
    """Whether stored values or linear light is blurred."""
    length: float | None = None
    angle: float | None = None
    sweep: float | None = None
    kernel: PSF | None = None
    """None for rotational blur, which is no convolution."""

    @classmethod
    def draw(cls, settings: BlurSettings, rng: np.random.Generator) -> "DrawnBlur":
        """Draw the blur of one image."""
        kind = settings.kind
        if kind == "mixed":
            kind = "linear" if rng.random() < 0.5 else "rotational"
        light = settings.light
        if light == "auto":
            light = "linear" if kind == "rotational" else "srgb"
        if kind == "rotational":
            return cls(kind, light, sweep=rng.uniform(*settings.sweep))
        length = rng.uniform(*settings.length)
        if kind == "linear":
            angle = rng.uniform(*settings.angle)
            return cls(kind, light, length, angle, kernel=psf.linear(length, angle))
        return cls(kind, light, length, kernel=psf.trajectory(rng, length, anxiety=psf.draw_anxiety(rng)))

    def apply(
        self, sharp: NDArray[Any], border: ConvolutionBorder, noise: float, rng: np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Blur one image.

        Args:
            sharp: (H,W,C) uint8 or uint16.
            border, noise: see `BlurSettings`.
            rng: source of the noise.

        Returns:
            The blurred image in the type of `sharp`, and the part of `sharp` that it shows.

        Raises:
            UsageError: the border is "valid" and the image is smaller than the PSF.
        """
        light = sharp
        if self.light == "linear":
            light = to_unit(sharp) ** np.float32(GAMMA)
        elif noise or self.kernel is None:
            light = to_unit(sharp)
        if self.kernel is not None:
            shown = _cut_edges(sharp, self.kernel) if border == "valid" else sharp
            blurred = convolve(light, self.kernel, border)
        else:
            assert self.sweep is not None  # `draw` sets one of the two
            shown, blurred = sharp, blur_by_rotation(light, self.sweep)
        if blurred.dtype == np.float32:
            if self.light == "linear":
                blurred = np.clip(blurred, 0, 1) ** np.float32(1 / GAMMA)
            blurred = from_unit(add_noise(blurred, noise, rng), sharp.dtype)
        return blurred, shown

    def to_record(self) -> dict[str, Any]:
        """What was drawn, ready for JSON; `kernel` as base64 of its float32 values, row by row."""
        drawn: dict[str, Any] = {"kind": self.kind, "light": self.light}
        for name in ("length", "angle", "sweep"):
            if (value := getattr(self, name)) is not None:
                drawn[name] = value
        if self.kernel is not None:
            drawn |= {
                "kernel_side": self.kernel.shape[0],
                "kernel": base64.b64encode(self.kernel.tobytes()).decode(),
            }
        return drawn


def _cut_edges(sharp: NDArray[Any], kernel: PSF) -> NDArray[Any]:
    """The part of an image that no invented pixel reaches through the PSF."""
    height, width = sharp.shape[:2]
    side = kernel.shape[0]
    if side > min(height, width):
        raise UsageError(
            f"The image is {width}x{height}, its PSF {side} px: nothing is valid.", "Use the border 'reflect'."
        )
    edge = side // 2
    return sharp[edge : height - edge, edge : width - edge]
