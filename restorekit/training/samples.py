"""Training samples: crops of degraded and sharp images, cut from pairs or degraded on the fly.

Sample number i depends on the seed and on i alone. Order, worker count and interruptions change nothing, and a run
resumes by starting at the next number.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from restorekit.degradation.degradation import Degradation, Rgb8
from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import RestorekitError, UnreadableImage, UsageError
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import Pair, find_images, find_pairs
from restorekit.training.augmentation import Augment, change_colours, draw_turn, orient

HELD_OUT = 12  # images kept for validation when no others are given
CACHE_BYTES = 2 << 30  # decoded images kept in memory, for each worker


def find_training_pairs(data: Path, excluded: Sequence[Path] = ()) -> list[Pair]:
    """Pairs of a folder, or its sharp images as pairs whose degraded half is still to be made.

    Args:
        data: the folder.
        excluded: folders that are not searched, e.g. that of the run, which may lie inside.

    Raises:
        UsageError: there are none.
    """
    pairs = find_pairs(data, excluded) or [Pair(job.source, None) for job in find_images([data], excluded)]
    if not pairs:
        raise UsageError("No image is in this folder.", "Give a folder of sharp images or of pairs.", data)
    return pairs


def hold_out(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on, and about a dozen, evenly spread, to validate on. A single pair has to serve for both."""
    if len(pairs) == 1:
        return list(pairs), list(pairs)
    every = max(2, len(pairs) // HELD_OUT)
    held = set(range(0, len(pairs), every))
    return [pair for index, pair in enumerate(pairs) if index not in held], [pairs[index] for index in sorted(held)]


class Batch(NamedTuple):
    """Samples for one step of one process, as small as they travel."""

    degraded: Tensor
    """(N,H,W,3) uint8."""
    sharp: Tensor
    """(N,sH,sW,3)."""
    unreadable: tuple[UnreadableImage, ...]
    """Images that were met on the way, and passed over; smaller ones than a crop too."""


class Samples(Dataset[tuple[Tensor, Tensor]]):
    """(degraded, sharp) crops as float32 in 0..1, endless, random access by number. Pickles, for spawned workers.

    Sharp crops are (3,size,size), degraded ones too, or `scale` times smaller for super-resolution.

    Args:
        pairs: images to cut from; see `find_training_pairs`.
        size: side of the sharp crops in pixels, a multiple of the scale; smaller images are passed over.
        degradation: what sharp images without a degraded half go through.
        seed: the same seed gives the same samples.
        augment: what else crops go through.

    Raises:
        UsageError: the size is no multiple of the scale.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        size: int,
        degradation: Degradation,
        seed: int,
        augment: Augment = "flips-and-turns",
    ) -> None:
        if size % degradation.scale:
            raise UsageError(
                f"A crop of {size} px does not divide by the scale {degradation.scale}.", "Change the crop."
            )
        self.pairs, self.size, self.degradation, self.seed, self.augment = pairs, size, degradation, seed, augment
        self._cache = _ImageCache()
        self._unreadable: dict[Pair, UnreadableImage] = {}

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`.

        Raises:
            UsageError: no image can be read and is as large as a crop.
        """
        degraded, sharp = self._cut(number)
        return to_unit_batch(degraded[None])[0], to_unit_batch(sharp[None])[0]

    def __getitems__(self, numbers: Sequence[int]) -> Batch | RestorekitError:
        """Several samples, for PyTorch's loader. An error comes as a value: a worker that raises one makes text of it."""
        known = len(self._unreadable)
        try:
            degraded, sharp = zip(*(self._cut(number) for number in numbers), strict=True)
        except RestorekitError as error:
            return error
        return Batch(torch.stack(degraded), torch.stack(sharp), tuple(self._unreadable.values())[known:])

    def _cut(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number` as (H,W,3) uint8."""
        rng = np.random.default_rng([self.seed, number])
        turn = draw_turn(self.augment, rng)
        pair = self._draw_pair(rng)
        # Turned before it is blurred, so that the directions of the blur stay those asked for.
        sharp = orient(self._sharp(pair), turn)
        scale = self.degradation.scale
        top, left = self._draw_corner(sharp, scale, rng)
        crop = sharp[top : top + self.size, left : left + self.size]
        if pair.blurred is None and isinstance(self.degradation, RandomBlur):
            simple = rng.random() * self.degradation.ramp > number
            degraded, crop = self.degradation.degrade_crop(sharp, top, left, self.size, rng, simple)
        else:
            top, left, side = top // scale, left // scale, self.size // scale
            degraded = orient(self._degraded(pair), turn)[top : top + side, left : left + side]
        if self.augment == "sang":
            degraded, crop = change_colours(degraded, crop, rng)
        return torch.from_numpy(np.ascontiguousarray(degraded)), torch.from_numpy(np.ascontiguousarray(crop))

    def _draw_pair(self, rng: np.random.Generator) -> Pair:
        """A pair that can be read, and is as large as a crop."""
        while len(self._unreadable) < len(self.pairs):
            pair = self.pairs[int(rng.integers(len(self.pairs)))]
            if pair in self._unreadable:
                continue
            try:
                self._check_size(self._sharp(pair), pair.sharp)
                if pair.blurred is not None:
                    self._degraded(pair)
            except UnreadableImage as error:
                self._unreadable[pair] = error
            else:
                return pair
        first = next(iter(self._unreadable.values()), None)
        why = f" ({first.path}: {first.reason.removesuffix('.')})" if first else ""
        raise UsageError(
            f"None of the {len(self.pairs)} training images can be used{why}.",
            (first and first.hint) or "Give other data.",
        )

    def _sharp(self, pair: Pair) -> Rgb8:
        return self._cache.get("sharp", pair.sharp, self._read_sharp)

    def _degraded(self, pair: Pair) -> Rgb8:
        """The whole degraded image: its file, or the sharp image downscaled."""
        if pair.blurred is None:
            return self._cache.get("downscaled", pair.sharp, self._downscale)
        return self._cache.get("degraded", pair.blurred, read_rgb8)

    def _read_sharp(self, path: Path) -> Rgb8:
        return self.degradation.crop_to_grid(read_rgb8(path))

    def _downscale(self, path: Path) -> Rgb8:
        sharp = self._cache.get("sharp", path, self._read_sharp)
        return self.degradation.degrade_image(sharp, np.random.default_rng(self.seed))

    def _check_size(self, image: Rgb8, path: Path) -> None:
        height, width = image.shape[:2]
        if min(height, width) < self.size:
            reason = f"The image is {width}x{height}, smaller than the {self.size} px crop."
            raise UnreadableImage(reason, "Train with smaller crops.", path)

    def _draw_corner(self, image: Rgb8, scale: int, rng: np.random.Generator) -> tuple[int, int]:
        """Top and left of the crop, on the small image's grid."""
        top, left = (rng.integers((side - self.size) // scale + 1) for side in image.shape[:2])
        return int(top) * scale, int(left) * scale


class _ImageCache:
    """Decoded images; the oldest are dropped when the limit is reached."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, Path], Rgb8] = {}
        self.bytes = 0

    def get(self, kind: str, path: Path, make: Callable[[Path], Rgb8]) -> Rgb8:
        """The image of that kind and file, made if it is not there."""
        if (kind, path) not in self.images:
            image = make(path)
            while self.images and self.bytes + image.nbytes > CACHE_BYTES:
                self.bytes -= self.images.pop(next(iter(self.images))).nbytes
            self.images[kind, path] = image
            self.bytes += image.nbytes
        return self.images[kind, path]


def to_unit_batch(pixels: Tensor) -> Tensor:
    """(N,H,W,3) uint8 to (N,3,H,W) float32 in 0..1, channels last as it comes."""
    return pixels.permute(0, 3, 1, 2).float() / 255
