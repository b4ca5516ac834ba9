"""Measure a network in training on images that it does not learn from."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import torch
from torch import nn

from restorekit.degradation.degradation import Degradation, Rgb8
from restorekit.errors import UnreadableImage, UsageError
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
SIDE = 256  # of their centre crops in pixels, at most
STRIP_ROWS = 4  # images in the strip to look at


@dataclass(frozen=True)
class ValidationSet:
    """(degraded, sharp) images as uint8 RGB, always degraded the same way, read anew each time.

    Sharp images get the degradation's plainest form, without noise or compression; pairs are used as they are.
    """

    pairs: tuple[Pair, ...]
    degradation: Degradation
    seed: int
    """Decides which blur."""
    size_multiple: int = 1
    """Sides of the degraded centre crops are multiples of this, so that no network pads them."""
    full: bool = False
    """Take all images whole. Otherwise up to `most` of them, evenly spread, and of these at most the central `SIDE` x `SIDE`
    pixels."""
    most: int = IMAGES

    def __len__(self) -> int:
        return len(self.pairs) if self.full else min(len(self.pairs), self.most)

    def __getitem__(self, index: int) -> tuple[Rgb8, Rgb8]:
        """One of them.

        Raises:
            UnreadableImage: a file is no image.
        """
        number = range(len(self))[index]
        if len(self) < len(self.pairs):
            number = round(index * (len(self.pairs) - 1) / (len(self) - 1))
        degraded, sharp = self._read(number)
        return (degraded, sharp) if self.full else self._cut_center(degraded, sharp)

    @property
    def description(self) -> str:
        """What scores are measured on, in words."""
        return self.describe(len(self))

    def describe(self, count: int) -> str:
        """What scores are measured on if so many images can be read, in words."""
        return f"{count} whole images" if self.full else f"the central {SIDE} px of {count} images"

    def _read(self, number: int) -> tuple[Rgb8, Rgb8]:
        pair = self.pairs[number]
        sharp = self.degradation.crop_to_grid(read_rgb8(pair.sharp))
        if pair.blurred is not None:
            return read_rgb8(pair.blurred), sharp
        return self.degradation.degrade_image(sharp, np.random.default_rng([self.seed, number])), sharp

    def _cut_center(self, degraded: Rgb8, sharp: Rgb8) -> tuple[Rgb8, Rgb8]:
        scale = self.degradation.scale
        (top, bottom), (left, right) = (self._central(length) for length in degraded.shape[:2])
        return (
            degraded[top:bottom, left:right],
            sharp[top * scale : bottom * scale, left * scale : right * scale],
        )

    def _central(self, length: int) -> tuple[int, int]:
        """Where a centre crop begins and ends along a side of the degraded image."""
        side = min(length, SIDE // self.degradation.scale)
        side = side // self.size_multiple * self.size_multiple or side
        start = (length - side) // 2
        return start, start + side


def validate(
    network: nn.Module,
    spec: Spec,
    images: ValidationSet,
    device: torch.device,
    strip: Path,
    progress: Progress = SILENT,
) -> tuple[dict[str, float], str]:
    """Mean PSNR in dB and SSIM of restored validation images, in float32 and in tiles where they are large.

    Args:
        network: the generator; a copy of it is measured.
        spec: its facts.
        images: what to restore; those that cannot be read are passed over.
        device: where to.
        strip: PNG to write: input (enlarged bicubically if it is small), restored, sharp side by side, one image a row.
        progress: told of every image.

    Returns:
        "psnr" and "ssim" of the restored images, "input_psnr" and "input_ssim" of what came in; and what was measured,
        in words.

    Raises:
        UsageError: no image can be read.
        UnwritableOutput: the strip cannot be written.
    """
    engine = Engine(Model(network, spec), Settings(str(device), "fp32"))
    scores: dict[str, list[float]] = {"psnr": [], "ssim": [], "input_psnr": [], "input_ssim": []}
    rows: list[Rgb8] = []
    for number in range(len(images)):
        try:
            degraded, sharp = images[number]
        except UnreadableImage as error:
            progress.step(Event(str(error.path), 0, 0.0, "failed", error))
            continue
        restored = engine(degraded).pixels
        shown = degraded if degraded.shape == sharp.shape else resize(degraded, sharp.shape[:2])
        for prefix, image in (("", restored), ("input_", shown)):
            scores[f"{prefix}psnr"].append(psnr(image, sharp))
            scores[f"{prefix}ssim"].append(ssim(image, sharp))
        if len(rows) < STRIP_ROWS:
            rows.append(np.hstack([shown, restored, sharp]))
        progress.step(Event(f"validating, image {number + 1} of {len(images)}", 0, 0.0))
    if not rows:
        raise UsageError(f"None of the {len(images)} validation images can be read.", "Give others.")
    write_image(Image(_stack(rows)), strip)
    return {name: fmean(values) for name, values in scores.items()}, images.describe(len(scores["psnr"]))


def _stack(rows: list[Rgb8]) -> Rgb8:
    """Rows of images under each other; narrower ones get a black end."""
    width = max(row.shape[1] for row in rows)
    padded = [cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT) for row in rows]
    return np.vstack(padded).astype(np.uint8)
