"""Published weights and bicubic baselines against their published scores on Set5, each under the protocol that gives them.

    python tools/check_published_sr.py SET5 [WEIGHTS]

SET5 is the folder of the five images, WEIGHTS one of weight files that others publish. Their names do not matter: they are
known by their hashes in weights.toml. Without WEIGHTS those are used that `restorekit models fetch` has brought.

PSNR in dB of 16..235 luma, mean of the images, large images cut to a multiple of the scale, a border of it left out:

    float     luma of the large image is shrunk and enlarged by MATLAB's bicubic; nothing is rounded, the result is clipped
    end       the same; the result and the truth are rounded to 8 bit
    8-bit     the same; luma, small luma, enlarged luma and the result are rounded to 8 bit
    rgb       RGB is shrunk by MATLAB's bicubic; RGB is 8 bit before and after the network, its luma not rounded
    pillow    the same with Pillow's bicubic
    matlab    RGB is shrunk and enlarged as MATLAB did in 2015: 8 bit after each axis, repeated edges; luma rounded

Exits with 1 if a score is off.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from restorekit.imaging.colour import convert
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine
from restorekit.media.decode import read_rgb8
from restorekit.metrics import psnr
from restorekit.weights import state_dict
from restorekit.weights.load import load_model
from restorekit.weights.manifest import load_manifest

Plane = NDArray[Any]
NAMES = ("baby", "bird", "butterfly", "head", "woman")


@dataclass(frozen=True)
class Row:
    """One published score."""

    name: str
    tag: str
    scale: int
    protocol: str
    published: float
    tolerance: float
    image: str = ""
    """The one that it is about; empty for the mean."""


ROWS = [
    *(
        Row("bicubic", "", scale, "end", published, 0.001)
        for scale, published in ((2, 33.656), (3, 30.390), (4, 28.420))
    ),
    *(
        Row("bicubic", "", scale, "rgb", published, 0.01)
        for scale, published in ((2, 33.682), (3, 30.405), (4, 28.431))
    ),
    *(
        Row("imresize", "", 4, "matlab", published, 0.0001, image)
        for image, published in (
            ("baby", 31.7711),
            ("bird", 30.1751),
            ("butterfly", 22.0992),
            ("head", 31.5785),
            ("woman", 26.4645),
        )
    ),
    *(
        Row("vdsr", "twtygqyy", scale, "float", published, 0.02)
        for scale, published in ((2, 37.65), (3, 33.77), (4, 31.45))
    ),
    *(
        Row("vdsr", "twtygqyy", scale, "8-bit", published, 0.02)
        for scale, published in ((2, 37.44), (3, 33.66), (4, 31.10))
    ),
    Row("srcnn", "9-1-5-x3", 3, "8-bit", 32.39, 0.03),
    Row("srcnn", "9-3-5-x3", 3, "8-bit", 32.49, 0.03),
    Row("srcnn", "9-5-5-x3", 3, "8-bit", 32.47, 0.03),
    Row("srresnet", "srgan-leftthomas-x2", 2, "pillow", 35.48, 0.02),
    Row("srresnet", "srgan-leftthomas-x4", 4, "pillow", 30.66, 0.02),
]


def score(row: Row, image: Plane, weights: Path | None) -> float:
    """PSNR of one image in dB."""
    height, width = (side // row.scale * row.scale for side in image.shape[:2])
    sharp = image[:height, :width]
    if row.protocol in ("float", "end", "8-bit"):
        return score_of_luma(row, sharp, weights)
    if row.protocol == "matlab":
        small = shrink(sharp, row.scale, border="replicate")
        return psnr(resize(small, (height, width), border="replicate"), sharp, colour="y", border=row.scale)
    if row.protocol == "rgb":
        small = shrink(sharp, row.scale)
    else:
        size = (width // row.scale, height // row.scale)
        small = np.asarray(Image.fromarray(sharp).resize(size, Image.Resampling.BICUBIC))
    restored = Engine(load_model(row.name, weights or "auto", row.scale))(small).pixels
    return psnr(restored, sharp, colour="y-float", border=row.scale)


def score_of_luma(row: Row, sharp: Plane, weights: Path | None) -> float:
    """PSNR in dB of luma that was shrunk, enlarged and repaired."""
    luma = convert(sharp, "y" if row.protocol == "8-bit" else "y-float")
    small = shrink(luma.astype(np.float64), row.scale)  # floats: resized integers are rounded after each axis
    small = round_to_8_bit(small) if row.protocol == "8-bit" else small
    enlarged = resize(small.astype(np.float64), luma.shape)
    enlarged = round_to_8_bit(enlarged) if row.protocol == "8-bit" else enlarged
    repaired = repair(row, enlarged / 255, weights) * 255
    if row.protocol == "float":
        restored = (np.clip(repaired, 0, 255) / 255).astype(np.float32)
        return psnr(restored, (luma / 255).astype(np.float32), border=row.scale)
    return psnr(round_to_8_bit(repaired), round_to_8_bit(luma), border=row.scale)


def repair(row: Row, enlarged: Plane, weights: Path | None) -> Plane:
    """What a system that works on enlarged luma (H,W) in 0..1 makes of it; bicubic leaves it."""
    if row.name == "bicubic":
        return enlarged
    module: Any = load_model(row.name, weights or "auto", row.scale).module
    with torch.inference_mode():
        return np.asarray(module.repair(torch.from_numpy(enlarged).float()[None, None])[0, 0].double())


def shrink(image: Plane, scale: int, **options: Any) -> Plane:
    return resize(image, (image.shape[0] // scale, image.shape[1] // scale), **options)


def round_to_8_bit(plane: Plane) -> NDArray[np.uint8]:
    return np.clip(np.floor(plane + 0.5), 0, 255).astype(np.uint8)


def find_weights(folder: Path | None) -> dict[str, Path]:
    """Weight files by their hashes: those that were fetched, and those in a folder."""
    files = [entry.path for entry in load_manifest().remote if entry.path.is_file()]
    files += [path for path in sorted(folder.iterdir()) if path.is_file()] if folder else []
    return {state_dict.sha256(path): path for path in files}


def measure(images: dict[str, Plane], files: dict[str, Path]) -> Iterator[tuple[Row, float | None]]:
    """Every row with its score; None where its weights are not here."""
    for row in ROWS:
        sha256 = load_manifest().find_remote(row.name, row.tag).sha256 if row.tag else None
        weights = files.get(sha256) if sha256 else None
        if row.tag and weights is None:
            yield row, None
            continue
        names = [row.image] if row.image else list(images)
        yield row, float(np.mean([score(row, images[name], weights) for name in names]))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("set5", type=Path)
    options.add_argument("weights", type=Path, nargs="?")
    asked = options.parse_args()
    absent = [name for name in NAMES if not (asked.set5 / f"{name}.png").is_file()]
    if absent:
        print(f"Skipped: {asked.set5} has no {', '.join(absent)}.")
        return 0
    images = {name: read_rgb8(asked.set5 / f"{name}.png") for name in NAMES}
    off = 0
    print(f"{'system':<30} {'scale':>5} {'protocol':<8} {'measured':>9} {'published':>9}")
    for row, measured in measure(images, find_weights(asked.weights)):
        label = f"{row.name} {row.tag}{row.image}"
        if measured is None:
            print(f"{label:<30} {row.scale:>5} {row.protocol:<8} skipped: restorekit models fetch {row.name}:{row.tag}")
            continue
        verdict = "  off" if abs(measured - row.published) > row.tolerance else ""
        off += bool(verdict)
        print(f"{label:<30} {row.scale:>5} {row.protocol:<8} {measured:9.4f} {row.published:9.4f}{verdict}")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
