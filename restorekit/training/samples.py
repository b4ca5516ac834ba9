"""Training samples: crops of degraded and sharp pictures, cut from pairs or degraded on the fly.

Sample number i depends on the seed and on i alone. Order, worker count and interruptions change nothing, and a run
resumes by starting at the next number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from restorekit.degradation import psf
from restorekit.degradation.convolution import add_noise, convolve, jpeg_compress
from restorekit.degradation.psf import PSF
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import Pair, find_pairs, find_pictures

Picture = NDArray[np.uint8]
HELD_OUT = 12  # pictures kept for validation when no others are given
CACHE_BYTES = 2 << 30  # decoded pictures kept in memory, for each worker


@dataclass(frozen=True)
class RandomBlur:
    """What sharp crops go through on the fly. Shares are relative; lengths are in pixels, angles in degrees."""

    shares: dict[str, float] = field(
        default_factory=lambda: {"linear": 0.55, "line": 0.12, "trajectory": 0.12, "defocus": 0.05, "sharp": 0.16}
    )
    """linear: `length` and `angle`; line: any angle, 1 px to the longest `length`; trajectory: a shaking hand, path up
    to twice the longest `length`; defocus: a disc up to a sixth of it; sharp: no blur at all."""
    length: tuple[float, float] = (13.0, 21.0)
    angle: tuple[float, float] = (-40.0, 40.0)
    noise: tuple[float, float] = (0.0, 3.0)
    """Standard deviation in grey levels of 255."""
    noise_share: float = 0.3
    jpeg: tuple[int, int] = (60, 98)
    """Quality of the JPEG that the blurred crop goes through."""
    jpeg_share: float = 0.3
    ramp: int = 0
    """Samples over which the mix grows from `linear` alone, without noise and JPEG, to all of the above. A network that
    starts on the whole mix stays with the identity for long."""
    mirror_share: float = 0.5
    """How often the crop's own edges are mirrored, as at a synthetic picture's border, instead of real surroundings."""

    def linear(self, rng: np.random.Generator) -> PSF:
        """Draw one PSF of the kind that the mix is mainly for."""
        return psf.linear(rng.uniform(*self.length), rng.uniform(*self.angle))

    def kernel(self, rng: np.random.Generator) -> PSF:
        """Draw one PSF."""
        kinds = sorted(self.shares)
        weights = np.array([self.shares[kind] for kind in kinds], float)
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        longest = self.length[1]
        if kind == "linear":
            return self.linear(rng)
        if kind == "line":
            return psf.linear(rng.uniform(1, longest), rng.uniform(-90, 90))
        if kind == "trajectory":
            anxiety = 10 ** rng.uniform(-4, -2.2)
            return psf.trajectory(rng, rng.uniform(2, 2 * longest), anxiety)
        if kind == "defocus":
            return psf.defocus(rng.uniform(0.5, max(0.6, longest / 6)))
        if kind == "sharp":
            return psf.linear(0, 0)
        raise UsageError(f"There is no blur called '{kind}'.", "Use linear, line, trajectory, defocus or sharp.")


@dataclass(frozen=True)
class Downscale:
    """How large pictures become small ones for super-resolution. Pictures are shrunk whole and then cropped."""

    scale: int
    method: str = "matlab"
    """matlab: antialiased bicubic as MATLAB's imresize; pillow: as Pillow's; gauss: blur, then every scale-th pixel."""
    sigma: float = 0.4
    """Of the Gaussian, in pixels of the small picture."""

    def large(self, picture: Picture) -> Picture:
        """The picture without the rows and columns at the end that do not fill a pixel of the small one."""
        height, width = picture.shape[:2]
        return picture[: height // self.scale * self.scale, : width // self.scale * self.scale]

    def small(self, picture: Picture) -> Picture:
        """Downscale a picture (sH,sW,3) to (H,W,3)."""
        size = (picture.shape[0] // self.scale, picture.shape[1] // self.scale)
        if self.method == "gauss":
            return self._subsampled(picture)
        if self.method not in ("matlab", "pillow"):
            raise UsageError(f"There is no way to shrink called '{self.method}'.", "Use matlab, pillow or gauss.")
        return resize(picture, size, border="symmetric" if self.method == "matlab" else "cut")

    def _subsampled(self, picture: Picture) -> Picture:
        blurred = cv2.GaussianBlur(picture, (0, 0), self.sigma * self.scale, borderType=cv2.BORDER_REFLECT)
        # Small pixel i covers large pixels s*i ... s*i + s - 1: for an even scale its centre lies between two of them.
        first, second = (self.scale - 1) // 2, self.scale // 2
        quarters = [
            to_unit(blurred[y :: self.scale, x :: self.scale]) for y in (first, second) for x in (first, second)
        ]
        return from_unit(np.mean(quarters, axis=0).astype(np.float32))


class _Cache:
    """Pictures by path, read or made when asked for; the oldest dropped when the limit is reached."""

    def __init__(self, make: Callable[[Path], Picture] = read_rgb8) -> None:
        self.make = make
        self.held: dict[Path, Picture] = {}
        self.size = 0

    def __getitem__(self, path: Path) -> Picture:
        if path not in self.held:
            picture = self.make(path)
            while self.held and self.size + picture.nbytes > CACHE_BYTES:
                self.size -= self.held.pop(next(iter(self.held))).nbytes
            self.held[path] = picture
            self.size += picture.nbytes
        return self.held[path]


def _oriented(picture: Picture, turn: int) -> Picture:
    """One of the eight flips and quarter turns, as a view; `turn` is 0..7."""
    turned = np.rot90(picture, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def _cut(picture: Picture, top: int, left: int, size: int, margin: int) -> NDArray[np.float32]:
    """A crop with `margin` of its surroundings, float32 in 0..1, mirrored only where the picture ends."""
    height, width = picture.shape[:2]
    y0, y1, x0, x1 = top - margin, top + size + margin, left - margin, left + size + margin
    inside = to_unit(picture[max(y0, 0) : y1, max(x0, 0) : x1])
    missing = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    return np.asarray(cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REFLECT_101)) if any(missing) else inside


def degrade(
    picture: Picture, top: int, left: int, size: int, mix: RandomBlur, rng: np.random.Generator, simple: bool = False
) -> Picture:
    """Blur one crop of a sharp picture as `mix` says.

    Args:
        picture: (H,W,3) uint8, at least `size` on a side.
        top, left, size: the crop.
        mix: what may happen to it.
        rng: decides what does.
        simple: linear blur only, as at the beginning of the mix's ramp.

    Returns:
        (size,size,3) uint8.
    """
    kernel = mix.linear(rng) if simple else mix.kernel(rng)
    if rng.random() < mix.mirror_share:
        blurred = convolve(_cut(picture, top, left, size, 0), kernel)
    else:
        blurred = convolve(_cut(picture, top, left, size, kernel.shape[0] // 2), kernel, border="valid")
    if simple:
        return from_unit(blurred)
    if rng.random() < mix.noise_share:
        blurred = add_noise(blurred, rng.uniform(*mix.noise), rng)
    if rng.random() < mix.jpeg_share:
        blurred = jpeg_compress(blurred, int(rng.integers(mix.jpeg[0], mix.jpeg[1] + 1)))
    return from_unit(blurred)


def _tensor(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


def _items(data: Path) -> list[Pair]:
    """Pairs of a folder, or its sharp pictures as pairs whose blurred half is still to be made."""
    items = find_pairs(data) or [Pair(job.source, None) for job in find_pictures([data])]
    if not items:
        raise UsageError("No picture is in this folder.", "Give a folder of sharp pictures or of pairs.", data)
    return items


class Samples(Dataset[tuple[Tensor, Tensor]]):
    """(degraded, sharp) crops as float32 in 0..1, endless, random access by number.

    Sharp crops are (3,size,size), degraded ones too, or `scale` times smaller for super-resolution.

    Args:
        data: a folder of sharp pictures, or of pairs (`{blur,sharp}` folders at any depth).
        size: side of the sharp crops in pixels, a multiple of the scale; smaller pictures are refused.
        change: how sharp pictures are blurred or shrunk; pairs are used as they are.
        seed: the same seed gives the same samples.
        hold_out: keep about a dozen pictures, evenly spread, away from training.

    Raises:
        UsageError: nothing usable in the folder.
    """

    def __init__(
        self, data: Path, size: int, change: RandomBlur | Downscale, seed: int, hold_out: bool = False
    ) -> None:
        self.items = _items(data)
        self.held: list[Pair] = []
        if hold_out and len(self.items) > 1:
            every = max(2, len(self.items) // HELD_OUT)
            self.held = self.items[::every]
            self.items = [item for item in self.items if item not in self.held]
        self.size, self.change, self.seed = size, change, seed
        self.sharp, self.degraded = _Cache(), _Cache()
        if isinstance(change, Downscale):
            if size % change.scale:
                raise UsageError(f"A crop of {size} px does not divide by the scale {change.scale}.", "Change --crop.")
            self.sharp = _Cache(lambda path: change.large(read_rgb8(path)))
            self.shrunk = _Cache(lambda path: change.small(self.sharp[path]))

    def held_out(self) -> "Validation":
        """The pictures kept away from training (all of them, if there is only one)."""
        return Validation(self.held or self.items, self.change, self.seed)

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, number])
        turn = int(rng.integers(8))
        item = self.items[int(rng.integers(len(self.items)))]
        # Turned before it is blurred, so that the directions of the blur stay those of the mix.
        sharp = _oriented(self.sharp[item.sharp], turn)
        scale = self.change.scale if isinstance(self.change, Downscale) else 1
        top, left = self._corner(sharp, item.sharp, scale, rng)
        crop = sharp[top : top + self.size, left : left + self.size]
        if item.blurred is None and isinstance(self.change, RandomBlur):
            simple = rng.random() * self.change.ramp > number
            return _tensor(degrade(sharp, top, left, self.size, self.change, rng, simple)), _tensor(crop)
        degraded = _oriented(self.shrunk[item.sharp] if item.blurred is None else self.degraded[item.blurred], turn)
        top, left, side = top // scale, left // scale, self.size // scale
        return _tensor(degraded[top : top + side, left : left + side]), _tensor(crop)

    def _corner(self, picture: Picture, path: Path, scale: int, rng: np.random.Generator) -> tuple[int, int]:
        """Top and left of the crop, on the small picture's grid."""
        height, width = picture.shape[:2]
        if min(height, width) < self.size:
            raise UsageError(
                f"The picture is {width}x{height}, smaller than the {self.size} px crop.",
                "Train with a smaller --crop or remove it.",
                path,
            )
        top, left = (rng.integers((side - self.size) // scale + 1) for side in (height, width))
        return int(top) * scale, int(left) * scale


class Validation(Sequence[tuple[Picture, Picture]]):
    """Whole (degraded, sharp) pictures as uint8 RGB, always degraded the same way, read anew each time.

    Args:
        data: a folder as for `Samples`, or a list of pairs.
        change: sharp pictures are shrunk, or get the mix's `linear` blur with mirrored edges, without noise or
            compression.
        seed: decides which blur.
    """

    def __init__(self, data: Path | list[Pair], change: RandomBlur | Downscale, seed: int) -> None:
        self.items = _items(data) if isinstance(data, Path) else data
        self.change, self.seed = change, seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> tuple[Picture, Picture]:  # type: ignore[override]
        item = self.items[number]
        sharp = read_rgb8(item.sharp)
        if item.blurred is not None:
            return read_rgb8(item.blurred), sharp
        if isinstance(self.change, Downscale):
            sharp = self.change.large(sharp)
            return self.change.small(sharp), sharp
        rng = np.random.default_rng([self.seed, number])
        return convolve(sharp, self.change.linear(rng)), sharp
