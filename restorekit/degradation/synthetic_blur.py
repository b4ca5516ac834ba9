"""Blur of whole images for paired sets: what may happen, what was drawn, and how it is applied."""

import base64
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation import motion, psf
from restorekit.degradation.choices import BlurKind, ConvolutionBorder, Light
from restorekit.degradation.convolution import convolve
from restorekit.degradation.light import Curve, draw_curve, from_light, raise_highlights, to_light
from restorekit.degradation.noise import add_noise
from restorekit.degradation.ranges import Range, check_range, check_size
from restorekit.degradation.scene import Scene
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import PSF, from_unit, to_unit

ALGORITHM = 5
"""Raised when the same settings and seed give other pixels than before."""


@dataclass(frozen=True)
class BlurSettings:
    """How images are blurred. The defaults are the GGGAN paper's: 50-80 px, -40..40 degrees, one PSF for each pair."""

    kind: BlurKind = "linear"
    """linear: a straight path; trajectory: a shaking hand, the same everywhere; rotational: the camera rolls; mixed: linear
    or rotational, each for every second image; shake: the camera moves and rolls on a smooth path, so that the blur differs
    over the image; scene: the same, with objects that move in front (both images show them)."""
    length: Range = (50.0, 80.0)
    """Pixels travelled (all but rotational): by the image's middle and by each object of its own."""
    angle: Range = (-40.0, 40.0)
    """Direction in degrees, counter-clockwise from the x axis (linear)."""
    sweep: Range = (1.0, 6.0)
    """Angle that the camera and each object turns through in degrees (rotational, shake, scene)."""
    border: ConvolutionBorder = "reflect"
    """reflect mirrors the image at its edges and keeps the size; valid crops both images to what no invented pixel has
    touched."""
    light: Light = "auto"
    highlights: Range = (1.0, 1.0)
    """Factor for light above 0.95 before the blur, so that lamps leave streaks."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the blurred image, in grey levels of 255."""
    seed: int = 0
    resize: tuple[int, int] | None = None
    """Width and height that images get before they are blurred, e.g. a paper's 1349x1079; None leaves them as they are."""

    @property
    def halves(self) -> tuple[str, ...]:
        """Folders that the images go to."""
        return ("blur", "sharp")

    def __post_init__(self) -> None:
        for name, choices in (("kind", BlurKind), ("border", ConvolutionBorder), ("light", Light)):
            if getattr(self, name) not in get_args(choices):
                raise UsageError(f"`{name}` cannot be '{getattr(self, name)}'.", f"Use {', '.join(get_args(choices))}.")
        check_range("length", self.length, 0, psf.MAX_LENGTH)
        check_range("angle", self.angle)
        check_range("sweep", self.sweep, -360, 360)
        check_range("highlights", self.highlights, 1)
        check_range("noise", (self.noise, self.noise), 0)
        check_size(self.resize)


@dataclass(frozen=True)
class DrawnBlur:
    """The blur of one image: all that was random, but for the noise."""

    kind: Literal["linear", "trajectory", "rotational", "shake", "scene"]
    light: Curve
    """What is blurred."""
    highlights: float
    """Factor for light above 0.95."""
    blur: PSF | Scene
    """What is the same everywhere, or what moves."""
    edge: int = 0
    """Pixels that both images lose on each side."""
    length: float | None = None
    angle: float | None = None
    sweep: float | None = None

    @classmethod
    def draw(cls, settings: BlurSettings, height: int, width: int, rng: np.random.Generator) -> "DrawnBlur":
        """Draw the blur of an image.

        Args:
            settings: what may happen.
            height, width: the image's.
            rng: decides what happens.

        Raises:
            UsageError: the border is "valid" and nothing of the image is, or it is too small for moving objects.
        """
        kind = settings.kind
        if kind == "mixed":
            kind = "linear" if rng.random() < 0.5 else "rotational"
        curve = draw_curve(settings.light, kind in ("linear", "trajectory"), rng)
        highlights = rng.uniform(*settings.highlights) if settings.highlights[1] > 1 else 1.0
        valid = settings.border == "valid"
        if kind in ("linear", "trajectory"):
            length = rng.uniform(*settings.length)
            angle = rng.uniform(*settings.angle) if kind == "linear" else None
            if angle is not None:
                kernel = psf.linear(length, angle)
            else:
                kernel = psf.trajectory(rng, length, anxiety=psf.draw_anxiety(rng))
            edge = _check_edge(kernel.shape[0] // 2, height, width) if valid else 0
            return cls(kind, curve, highlights, kernel, edge, length, angle)
        length = rng.uniform(*settings.length) if kind != "rotational" else 0.0
        sweep = rng.uniform(*settings.sweep)
        scene = Scene(motion.draw_path(rng, length, sweep) if kind != "rotational" else motion.roll(sweep))
        edge = _check_edge(scene.margin(height, width), height, width) if valid else 0
        if kind == "scene":
            shown = (height - 2 * edge, width - 2 * edge)
            scene = scene.with_objects(rng, shown, (height, width), settings.length, settings.sweep)
        return cls(kind, curve, highlights, scene, edge, length or None, sweep=sweep)

    def apply(self, sharp: NDArray[Any], noise: float, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        """Blur one image.

        Args:
            sharp: (H,W,C) uint8 or uint16, of the size that the blur was drawn for.
            noise: see `BlurSettings`.
            rng: source of the noise.

        Returns:
            The blurred image in the type of `sharp`, and the sharp one that belongs to it.
        """
        height, width = sharp.shape[:2]
        shown = sharp[self.edge : height - self.edge, self.edge : width - self.edge]
        if isinstance(self.blur, Scene):
            blurred, rest = self.blur.photograph(to_unit(sharp), self.edge, sharp, self.light, self.highlights)
            if self.blur.objects:
                shown = from_unit(rest, sharp.dtype)
        else:
            border: ConvolutionBorder = "valid" if self.edge else "reflect"
            if self.light == "stored" and self.highlights == 1 and not noise:
                return convolve(sharp, self.blur, border), shown  # integers are half the memory to pass over
            light = raise_highlights(to_light(to_unit(sharp), self.light), self.highlights)
            blurred = from_light(convolve(light, self.blur, border), self.light)
        return from_unit(add_noise(blurred, noise, rng), sharp.dtype), shown

    def to_record(self) -> dict[str, Any]:
        """What was drawn, ready for JSON; `kernel` as base64 of its float32 values, row by row."""
        drawn: dict[str, Any] = {"kind": self.kind, "light": self.light, "highlights": self.highlights}
        for name in ("length", "angle", "sweep"):
            if (value := getattr(self, name)) is not None:
                drawn[name] = value
        if isinstance(self.blur, Scene):
            return drawn | self.blur.to_record()
        return drawn | {
            "kernel_side": self.blur.shape[0],
            "kernel": base64.b64encode(self.blur.tobytes()).decode(),
        }


def _check_edge(edge: int, height: int, width: int) -> int:
    """The edge, unless nothing of an image remains without it."""
    if 2 * edge >= min(height, width):
        raise UsageError(
            f"The image is {width}x{height}, its blur reaches {edge} px: nothing is valid.", "Use the border 'reflect'."
        )
    return edge
