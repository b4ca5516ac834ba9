"""Training samples: crops of degraded and sharp images, cut from pairs or degraded on the fly.

Sample number i depends on the seed and on i alone. Order, worker count and interruptions change nothing, and a run
resumes by starting at the next number.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from restorekit.degradation.degradation import Degradation
from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import UsageError
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import Pair, find_images, find_pairs

Rgb = NDArray[np.uint8]
HELD_OUT = 12  # images kept for validation when no others are given
CACHE_BYTES = 2 << 30  # decoded images kept in memory, for each worker


class _Cache:
    """Rgbs by path, read or made when asked for; the oldest dropped when the limit is reached."""

    def __init__(self, make: Callable[[Path], Rgb]) -> None:
        self.make = make
        self.held: dict[Path, Rgb] = {}
        self.size = 0

    def __getitem__(self, path: Path) -> Rgb:
        if path not in self.held:
            image = self.make(path)
            while self.held and self.size + image.nbytes > CACHE_BYTES:
                self.size -= self.held.pop(next(iter(self.held))).nbytes
            self.held[path] = image
            self.size += image.nbytes
        return self.held[path]


def _oriented(image: Rgb, turn: int) -> Rgb:
    """One of the eight flips and quarter turns, as a view; `turn` is 0..7."""
    turned = np.rot90(image, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def _tensor(image: Rgb) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255


def find_training_pairs(data: Path) -> list[Pair]:
    """Pairs of a folder, or its sharp images as pairs whose blurred half is still to be made."""
    items = find_pairs(data) or [Pair(job.source, None) for job in find_images([data])]
    if not items:
        raise UsageError("No image is in this folder.", "Give a folder of sharp images or of pairs.", data)
    return items


class Samples(Dataset[tuple[Tensor, Tensor]]):
    """(degraded, sharp) crops as float32 in 0..1, endless, random access by number.

    Sharp crops are (3,size,size), degraded ones too, or `scale` times smaller for super-resolution.

    Args:
        data: a folder of sharp images, or of pairs (`{blur,sharp}` folders at any depth).
        size: side of the sharp crops in pixels, a multiple of the scale; smaller images are refused.
        degradation: what sharp images go through; pairs are used as they are.
        seed: the same seed gives the same samples.
        hold_out: keep about a dozen images, evenly spread, away from training.

    Raises:
        UsageError: nothing usable in the folder.
    """

    def __init__(self, data: Path, size: int, degradation: Degradation, seed: int, hold_out: bool = False) -> None:
        self.items = find_training_pairs(data)
        self.held: list[Pair] = []
        if hold_out and len(self.items) > 1:
            every = max(2, len(self.items) // HELD_OUT)
            self.held = self.items[::every]
            self.items = [item for item in self.items if item not in self.held]
        if size % degradation.scale:
            raise UsageError(
                f"A crop of {size} px does not divide by the scale {degradation.scale}.", "Change the crop."
            )
        self.size, self.degradation, self.seed = size, degradation, seed
        # Methods, not lambdas: where workers are spawned the data set is pickled.
        self.sharp, self.degraded, self.downscaled = _Cache(self._read), _Cache(read_rgb8), _Cache(self._downscale)

    def held_out(self) -> list[Pair]:
        """The images kept away from training (all of them, if there is only one)."""
        return self.held or self.items

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, number])
        turn = int(rng.integers(8))
        item = self.items[int(rng.integers(len(self.items)))]
        # Turned before it is blurred, so that the directions of the blur stay those asked for.
        sharp = _oriented(self.sharp[item.sharp], turn)
        scale = self.degradation.scale
        top, left = self._corner(sharp, item.sharp, scale, rng)
        crop = sharp[top : top + self.size, left : left + self.size]
        if item.blurred is None and isinstance(self.degradation, RandomBlur):
            simple = rng.random() * self.degradation.ramp > number
            degraded = self.degradation.degrade_crop(sharp, top, left, self.size, rng, simple)
            return _tensor(degraded), _tensor(crop)
        whole = self.downscaled[item.sharp] if item.blurred is None else self.degraded[item.blurred]
        degraded = _oriented(whole, turn)
        top, left, side = top // scale, left // scale, self.size // scale
        return _tensor(degraded[top : top + side, left : left + side]), _tensor(crop)

    def _read(self, sharp: Path) -> Rgb:
        return self.degradation.crop_to_grid(read_rgb8(sharp))

    def _downscale(self, sharp: Path) -> Rgb:
        return self.degradation.degrade_image(self.sharp[sharp], np.random.default_rng(self.seed))

    def _corner(self, image: Rgb, path: Path, scale: int, rng: np.random.Generator) -> tuple[int, int]:
        """Top and left of the crop, on the small image's grid."""
        height, width = image.shape[:2]
        if min(height, width) < self.size:
            raise UsageError(
                f"The image is {width}x{height}, smaller than the {self.size} px crop.",
                "Train with smaller crops or remove it.",
                path,
            )
        top, left = (rng.integers((side - self.size) // scale + 1) for side in (height, width))
        return int(top) * scale, int(left) * scale
