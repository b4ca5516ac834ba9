"""Random blur, noise and compression: what sharp training images go through on the fly."""

from dataclasses import dataclass, field
from typing import ClassVar, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation import psf
from restorekit.degradation.choices import PSFKind
from restorekit.degradation.convolution import convolve
from restorekit.degradation.degradation import Rgb8
from restorekit.degradation.jpeg import jpeg_compress
from restorekit.degradation.noise import add_noise
from restorekit.degradation.ranges import Range, check_range
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import PSF, from_unit, to_unit

PSF_KINDS: tuple[PSFKind, ...] = get_args(PSFKind)


@dataclass(frozen=True)
class RandomBlur:
    """What sharp crops go through on the fly; a `Degradation`.

    Shares are relative. Lengths are in pixels, angles in degrees; pairs of numbers are the ends of a range.
    """

    shares: dict[str, float] = field(
        default_factory=lambda: {"linear": 0.55, "line": 0.12, "trajectory": 0.12, "defocus": 0.05, "sharp": 0.16}
    )
    """linear: `length` and `angle`; line: any angle, 1 px to the longest `length`; trajectory: a shaking hand, path up
    to twice the longest `length`; defocus: a disc up to a sixth of it; sharp: no blur at all."""
    length: Range = (13.0, 21.0)
    angle: Range = (-40.0, 40.0)
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
        if unknown := sorted(self.shares.keys() - set(PSF_KINDS)):
            raise UsageError(f"`shares` knows no blur '{unknown[0]}'.", f"Use {', '.join(PSF_KINDS)}.")
        if min(self.shares.values(), default=0) < 0 or not sum(self.shares.values()) > 0:
            raise UsageError("`shares` must not be negative, and one of them must be positive.")
        check_range("length", self.length, 0, psf.MAX_LENGTH)
        check_range("angle", self.angle)
        check_range("noise", self.noise, 0)
        check_range("jpeg", self.jpeg, 1, 100)

    def draw_linear_psf(self, rng: np.random.Generator) -> PSF:
        """Draw one PSF of the kind that this blur is mainly for."""
        return psf.linear(rng.uniform(*self.length), rng.uniform(*self.angle))

    def draw_psf(self, rng: np.random.Generator) -> PSF:
        """Draw one PSF of any kind."""
        kinds = sorted(self.shares)
        weights = np.array([self.shares[kind] for kind in kinds], float)
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
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
    ) -> Rgb8:
        """Degrade one crop of a sharp image.

        Args:
            sharp: (H,W,3) uint8, at least `size` on a side: blur brings in what surrounds the crop.
            top, left, size: the crop in pixels.
            rng: decides what happens to it.
            simple: linear blur only, as at the beginning of the ramp.

        Returns:
            (size,size,3) uint8.
        """
        kernel = self.draw_linear_psf(rng) if simple else self.draw_psf(rng)
        if rng.random() < self.mirror_share:
            blurred = convolve(_cut_with_margin(sharp, top, left, size, 0), kernel)
        else:
            blurred = convolve(_cut_with_margin(sharp, top, left, size, kernel.shape[0] // 2), kernel, border="valid")
        if simple:
            return from_unit(blurred)
        if rng.random() < self.noise_share:
            blurred = add_noise(blurred, rng.uniform(*self.noise), rng)
        if rng.random() < self.jpeg_share:
            blurred = jpeg_compress(blurred, int(rng.integers(self.jpeg[0], self.jpeg[1] + 1)))
        return from_unit(blurred)


def _cut_with_margin(image: Rgb8, top: int, left: int, size: int, margin: int) -> NDArray[np.float32]:
    """A crop with `margin` of its surroundings, float32 in 0..1, mirrored only where the image ends."""
    height, width = image.shape[:2]
    y0, y1, x0, x1 = top - margin, top + size + margin, left - margin, left + size + margin
    inside = to_unit(image[max(y0, 0) : y1, max(x0, 0) : x1])
    missing = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    return np.asarray(cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REFLECT_101)) if any(missing) else inside
