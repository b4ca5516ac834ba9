"""Random blur, noise and compression: what sharp training images go through on the fly."""

from dataclasses import dataclass, field
from typing import ClassVar, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation import motion, psf
from restorekit.degradation.choices import Light, SampleKind
from restorekit.degradation.convolution import convolve
from restorekit.degradation.degradation import Rgb8
from restorekit.degradation.jpeg import jpeg_compress
from restorekit.degradation.light import draw_curve, from_light, raise_highlights, to_light
from restorekit.degradation.noise import add_noise
from restorekit.degradation.ranges import Range, check_range
from restorekit.degradation.scene import Scene
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import PSF, from_unit, to_unit

KINDS: tuple[SampleKind, ...] = get_args(SampleKind)


@dataclass(frozen=True)
class RandomBlur:
    """What sharp crops go through on the fly; a `Degradation`.

    Shares are relative. Lengths are in pixels, angles in degrees; pairs of numbers are the ends of a range.
    """

    shares: dict[str, float] = field(
        default_factory=lambda: {"linear": 0.55, "line": 0.12, "trajectory": 0.12, "defocus": 0.05, "sharp": 0.16}
    )
    """linear: `length` and `angle`; line: any angle, 1 px to the longest `length`; trajectory: a shaking hand, path up
    to twice the longest `length`; defocus: a disc up to a sixth of it; shake: a camera that moves up to the longest
    `length` and rolls through `sweep`; scene: the same, with objects that move as far in front; sharp: no blur at all."""
    length: Range = (13.0, 21.0)
    angle: Range = (-40.0, 40.0)
    sweep: Range = (0.0, 2.0)
    """Degrees that a camera or an object turns through (shake, scene)."""
    light: Light = "auto"
    highlights: Range = (1.0, 1.0)
    """Factor for light above 0.95 before the blur, see `raise_highlights`."""
    noise: Range = (0.0, 3.0)
    """Standard deviation in grey levels of 255."""
    noise_share: float = 0.3
    jpeg: tuple[int, int] = (60, 98)
    """Quality of the JPEG that the blurred crop goes through."""
    jpeg_share: float = 0.3
    ramp: int = 0
    """Samples over which the blur grows from `linear` alone, without noise and JPEG, to all of the above. A network that
    starts on everything stays with the identity for long."""
    mirror_share: float = 0.5
    """How often the crop's own edges are mirrored, as at a synthetic image's border, instead of real surroundings."""

    scale: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if unknown := sorted(self.shares.keys() - set(KINDS)):
            raise UsageError(f"`shares` knows no blur '{unknown[0]}'.", f"Use {', '.join(KINDS)}.")
        if min(self.shares.values(), default=0) < 0 or not sum(self.shares.values()) > 0:
            raise UsageError("`shares` must not be negative, and one of them must be positive.")
        check_range("length", self.length, 0, psf.MAX_LENGTH)
        check_range("angle", self.angle)
        check_range("sweep", self.sweep)
        if self.light not in get_args(Light):
            raise UsageError(f"`light` cannot be '{self.light}'.", f"Use {', '.join(get_args(Light))}.")
        check_range("highlights", self.highlights, 1)
        check_range("noise", self.noise, 0)
        check_range("jpeg", self.jpeg, 1, 100)

    def draw_linear_psf(self, rng: np.random.Generator) -> PSF:
        """Draw one PSF of the kind that this blur is mainly for."""
        return psf.linear(rng.uniform(*self.length), rng.uniform(*self.angle))

    def draw_kind(self, rng: np.random.Generator) -> str:
        """Draw a kind of blur, each as often as its share."""
        kinds = sorted(self.shares)
        weights = np.array([self.shares[kind] for kind in kinds], float)
        return kinds[rng.choice(len(kinds), p=weights / weights.sum())]

    def draw_psf(self, kind: str, rng: np.random.Generator) -> PSF:
        """Draw one PSF of a kind that has one."""
        longest = self.length[1]
        if kind == "linear":
            return self.draw_linear_psf(rng)
        if kind == "line":
            return psf.linear(rng.uniform(1, longest), rng.uniform(-90, 90))
        if kind == "trajectory":
            anxiety = psf.draw_anxiety(rng)
            return psf.trajectory(rng, rng.uniform(2, 2 * longest), anxiety)
        if kind == "defocus":
            return psf.defocus(rng.uniform(0.5, max(0.6, longest / 6)))
        return psf.linear(0, 0)

    def crop_to_grid(self, sharp: Rgb8) -> Rgb8:
        """The whole image: blur keeps the size."""
        return sharp

    def degrade_image(self, sharp: Rgb8, rng: np.random.Generator) -> Rgb8:
        """Blur a whole image (H,W,3) linearly with mirrored edges, without noise or compression."""
        return convolve(sharp, self.draw_linear_psf(rng))

    def degrade_crop(
        self, sharp: Rgb8, top: int, left: int, size: int, rng: np.random.Generator, simple: bool = False
    ) -> tuple[Rgb8, Rgb8]:
        """Degrade one crop of a sharp image.

        Args:
            sharp: (H,W,3) uint8, at least `size` on a side: blur brings in what surrounds the crop.
            top, left, size: the crop in pixels.
            rng: decides what happens to it.
            simple: linear blur only, as at the beginning of the ramp.

        Returns:
            The degraded crop and the sharp one, (size,size,3) uint8. A scene puts objects into both.
        """
        kind = "linear" if simple else self.draw_kind(rng)
        blurred, crop = (self._expose if kind in ("shake", "scene") else self._convolve)(
            kind, sharp, top, left, size, rng
        )
        if simple:
            return from_unit(blurred), crop
        if rng.random() < self.noise_share:
            blurred = add_noise(blurred, rng.uniform(*self.noise), rng)
        if rng.random() < self.jpeg_share:
            blurred = jpeg_compress(blurred, int(rng.integers(self.jpeg[0], self.jpeg[1] + 1)))
        return from_unit(blurred), crop

    def _convolve(
        self, kind: str, sharp: Rgb8, top: int, left: int, size: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Rgb8]:
        """A crop blurred by a PSF, in 0..1, and the sharp one."""
        kernel = self.draw_psf(kind, rng)
        mirrored = rng.random() < self.mirror_share
        around = _cut_with_margin(sharp, top, left, size, 0 if mirrored else kernel.shape[0] // 2)
        curve = draw_curve(self.light, True, rng)
        light = raise_highlights(to_light(around, curve), self._draw_highlights(rng))
        blurred = from_light(convolve(light, kernel, "reflect" if mirrored else "valid"), curve)
        return blurred, sharp[top : top + size, left : left + size]

    def _expose(
        self, kind: str, sharp: Rgb8, top: int, left: int, size: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Rgb8]:
        """A crop blurred by what moves, in 0..1, and the sharp one, with the objects of a scene."""
        longest = self.length[1]
        path = motion.draw_path(rng, rng.uniform(0, longest), rng.uniform(*self.sweep))
        scene = Scene(path)
        margin = 0 if rng.random() < self.mirror_share else scene.margin(size, size)
        curve, highlights = draw_curve(self.light, False, rng), self._draw_highlights(rng)
        if kind == "scene":
            scene = scene.with_objects(rng, (size, size), sharp.shape[:2], (0, longest), self.sweep)
        around = _cut_with_margin(sharp, top, left, size, margin)
        blurred, rest = scene.photograph(around, margin, sharp, curve, highlights)
        return blurred, from_unit(rest)

    def _draw_highlights(self, rng: np.random.Generator) -> float:
        return rng.uniform(*self.highlights) if self.highlights[1] > 1 else 1.0


def _cut_with_margin(image: Rgb8, top: int, left: int, size: int, margin: int) -> NDArray[np.float32]:
    """A crop with `margin` of its surroundings, float32 in 0..1, mirrored only where the image ends."""
    height, width = image.shape[:2]
    y0, y1, x0, x1 = top - margin, top + size + margin, left - margin, left + size + margin
    inside = to_unit(image[max(y0, 0) : y1, max(x0, 0) : x1])
    missing = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    return np.asarray(cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REFLECT_101)) if any(missing) else inside
