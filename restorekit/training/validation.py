"""Measure a network in training on images that it does not learn from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from restorekit.degradation.degradation import Degradation
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import Pair
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import psnr, ssim
from restorekit.models.model import Model
from restorekit.models.spec import Spec
from restorekit.runtime.progress import SILENT, Event, Progress

IMAGES = 8  # validated at most, unless all are asked for
SIDE = 256  # of their centre crops in pixels
STRIPS = 4  # rows of the strip to look at

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class ValidationSet:
    """(degraded, sharp) images as uint8 RGB, always degraded the same way, read anew each time.

    Sharp images get the degradation's plainest form, without noise or compression; pairs are used as they are.
    """

    pairs: tuple[Pair, ...]
    degradation: Degradation
    seed: int
    """Decides which blur."""
    full: bool = False
    """Take all images whole. Otherwise up to `IMAGES` of them, evenly spread, and of these the central `SIDE` pixels."""

    @property
    def numbers(self) -> list[int]:
        """Which of the pairs are measured."""
        if self.full or len(self.pairs) <= IMAGES:
            return list(range(len(self.pairs)))
        return [round(index * (len(self.pairs) - 1) / (IMAGES - 1)) for index in range(IMAGES)]

    @property
    def description(self) -> str:
        """What scores are measured on, in words."""
        count = len(self.numbers)
        return f"{count} whole images" if self.full else f"the central {SIDE} px of {count} images"

    def __iter__(self) -> Iterator[tuple[Rgb, Rgb]]:
        return map(self._pair, self.numbers)

    def _pair(self, number: int) -> tuple[Rgb, Rgb]:
        pair = self.pairs[number]
        sharp = read_rgb8(pair.sharp)
        if pair.blurred is not None:
            degraded = read_rgb8(pair.blurred)
        else:
            sharp = self.degradation.crop_to_grid(sharp)
            degraded = self.degradation.degrade_image(sharp, np.random.default_rng([self.seed, number]))
        if self.full:
            return degraded, sharp
        scale = sharp.shape[0] // degraded.shape[0]
        tops = [max(0, (length - SIDE // scale) // 2) for length in degraded.shape[:2]]
        small = degraded[tops[0] : tops[0] + SIDE // scale, tops[1] : tops[1] + SIDE // scale]
        top, left = (scale * start for start in tops)
        return small, sharp[top : top + scale * small.shape[0], left : left + scale * small.shape[1]]


@dataclass
class _Sums:
    """Sums of scores, and what the strip shows."""

    scores: dict[str, float] = field(
        default_factory=lambda: {"psnr": 0.0, "ssim": 0.0, "input_psnr": 0.0, "input_ssim": 0.0}
    )
    rows: list[Rgb] = field(default_factory=list)


def validate(
    network: nn.Module,
    spec: Spec,
    images: ValidationSet,
    device: torch.device,
    strip: Path,
    progress: Progress = SILENT,
) -> dict[str, float]:
    """Mean PSNR in dB and SSIM of restored validation images, in float32 and in tiles where they are large.

    Args:
        network: the generator; a copy of it is measured.
        spec: its facts.
        images: what to restore.
        device: where to.
        strip: PNG to write: input (enlarged bicubically if it is small), restored, sharp side by side, one image a row.
        progress: told of every image.

    Returns:
        "psnr" and "ssim" of the restored images, "input_psnr" and "input_ssim" of what came in.
    """
    engine = Engine(Model(network, spec), Settings(str(device), "fp32"))
    count, sums = len(images.numbers), _Sums()
    for number, (degraded, sharp) in enumerate(images, start=1):
        restored = engine(degraded).pixels
        shown = degraded if degraded.shape == sharp.shape else resize(degraded, sharp.shape[:2])
        for name, image in (("", restored), ("input_", shown)):
            sums.scores[f"{name}psnr"] += psnr(image, sharp) / count
            sums.scores[f"{name}ssim"] += ssim(image, sharp) / count
        if len(sums.rows) < STRIPS:
            sums.rows.append(np.hstack([shown, restored, sharp]))
        progress.step(Event(f"validating, image {number} of {count}", 0, 0.0))
    write_image(Image(_stacked(sums.rows)), strip)
    return sums.scores


def _stacked(rows: list[Rgb]) -> Rgb:
    """Rows of images under each other; narrower ones get a black end."""
    width = max(row.shape[1] for row in rows)
    padded = [cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT) for row in rows]
    return np.vstack(padded).astype(np.uint8)
