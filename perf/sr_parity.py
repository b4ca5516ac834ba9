"""Published weights and bicubic baselines against their published scores on Set5, each under the protocol that gives them.

    python perf/sr_parity.py SET5 [WEIGHTS]

SET5 is the folder of the five pictures, WEIGHTS one of weight files that others publish. Their names do not matter: they are
known by their hashes in weights.toml. Without WEIGHTS those are used that `restorekit models fetch` has brought.

PSNR in dB of 16..235 luma, mean of the pictures, large pictures cut to a multiple of the scale, a border of it left out:

    float     luma of the large picture is shrunk and enlarged by MATLAB's bicubic; nothing is rounded, the result is clipped
    end       the same; the result and the truth are rounded to 8 bit
    8-bit     the same; luma, small luma, enlarged luma and the result are rounded to 8 bit
    rgb       RGB is shrunk by MATLAB's bicubic; RGB is 8 bit before and after the network, its luma not rounded
    pillow    the same with Pillow's bicubic
    matlab    RGB is shrunk and enlarged as MATLAB did in 2015: 8 bit after each axis, repeated edges; luma rounded

Exits with 1 if a score is off.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
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
from restorekit.models.model import Model
from restorekit.weights import state_dict
from restorekit.weights.load import load_model
from restorekit.weights.manifest import load_manifest

Plane = NDArray[Any]
Method = Callable[[Plane], Plane]


@dataclass(frozen=True)
class Row:
    """One published score."""

    name: str
    tag: str
    scale: int
    protocol: str
    published: float
    tolerance: float
    picture: str = ""
    """The one that it is about; empty for the mean."""


ROWS = [
    *(Row("bicubic", "", scale, "end", wanted, 0.001) for scale, wanted in ((2, 33.656), (3, 30.390), (4, 28.420))),
    *(Row("bicubic", "", scale, "rgb", wanted, 0.01) for scale, wanted in ((2, 33.682), (3, 30.405), (4, 28.431))),
    *(
        Row("imresize", "", 4, "matlab", wanted, 0.0001, picture)
        for picture, wanted in (
            ("baby", 31.7711),
            ("bird", 30.1751),
            ("butterfly", 22.0992),
            ("head", 31.5785),
            ("woman", 26.4645),
        )
    ),
    *(Row("vdsr", "twtygqyy", scale, "float", wanted, 0.02) for scale, wanted in ((2, 37.65), (3, 33.77), (4, 31.45))),
    *(Row("vdsr", "twtygqyy", scale, "8-bit", wanted, 0.02) for scale, wanted in ((2, 37.44), (3, 33.66), (4, 31.10))),
    Row("srcnn", "9-1-5-x3", 3, "8-bit", 32.39, 0.03),
    Row("srcnn", "9-3-5-x3", 3, "8-bit", 32.49, 0.03),
    Row("srcnn", "9-5-5-x3", 3, "8-bit", 32.47, 0.03),
    Row("srresnet", "srgan-leftthomas-x2", 2, "pillow", 35.48, 0.02),
    Row("srresnet", "srgan-leftthomas-x4", 4, "pillow", 30.66, 0.02),
]


def shrunk(picture: Plane, scale: int, **how: Any) -> Plane:
    return resize(picture, (picture.shape[0] // scale, picture.shape[1] // scale), **how)


def score(row: Row, picture: Plane, weights: Path | None) -> float:
    height, width = (side // row.scale * row.scale for side in picture.shape[:2])
    large = picture[:height, :width]
    if row.protocol in ("float", "end", "8-bit"):
        return of_luma(row, large, repairing(row, weights))
    if row.protocol == "matlab":
        small = shrunk(large, row.scale, border="replicate")
        return psnr(resize(small, (height, width), border="replicate"), large, colour="y", border=row.scale)
    if row.protocol == "rgb":
        small = shrunk(large, row.scale)
    else:
        size = (width // row.scale, height // row.scale)
        small = np.asarray(Image.fromarray(large).resize(size, Image.Resampling.BICUBIC))
    return psnr(Engine(loaded(row, weights))(small).pixels, large, colour="y-float", border=row.scale)


def of_luma(row: Row, large: Plane, repair: Method) -> float:
    """Score of luma that was shrunk and enlarged."""
    sharp = convert(
        large, "y" if row.protocol == "8-bit" else "y-float"
    )  # resized integers are rounded after each axis
    small = shrunk(sharp.astype(np.float64), row.scale)
    small = rounded(small) if row.protocol == "8-bit" else small
    above = resize(small.astype(np.float64), sharp.shape)
    above = rounded(above) if row.protocol == "8-bit" else above
    repaired = repair(above / 255) * 255
    if row.protocol == "float":
        return psnr(
            (np.clip(repaired, 0, 255) / 255).astype(np.float32), (sharp / 255).astype(np.float32), border=row.scale
        )
    return psnr(rounded(repaired), rounded(sharp), border=row.scale)


def rounded(plane: Plane) -> NDArray[np.uint8]:
    return np.clip(np.floor(plane + 0.5), 0, 255).astype(np.uint8)


def loaded(row: Row, weights: Path | None) -> Model:
    return load_model(row.name, weights or "auto", row.scale)


def repairing(row: Row, weights: Path | None) -> Method:
    """What a system that works on enlarged luma makes of it; bicubic leaves it."""
    if row.name == "bicubic":
        return lambda above: above
    model: Any = loaded(row, weights).module

    def repair(above: Plane) -> Plane:
        with torch.inference_mode():
            return np.asarray(model.repair(torch.from_numpy(above).float()[None, None])[0, 0].double())

    return repair


def at_hand(folder: Path | None) -> dict[str, Path]:
    """Weight files by their hashes."""
    found = [entry.path for entry in load_manifest().remote if entry.path.is_file()]
    found += [path for path in sorted(folder.iterdir()) if path.is_file()] if folder else []
    return {state_dict.sha256(path): path for path in found}


def measured(pictures: dict[str, Plane], there: dict[str, Path]) -> Iterator[tuple[Row, float | None]]:
    for row in ROWS:
        weights = there.get(load_manifest().find_remote(f"{row.name}:{row.tag}").sha256) if row.tag else None
        if row.tag and weights is None:
            yield row, None
            continue
        shown = [row.picture] if row.picture else list(pictures)
        yield row, float(np.mean([score(row, pictures[name], weights) for name in shown]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set5", type=Path)
    parser.add_argument("weights", type=Path, nargs="?")
    asked = parser.parse_args()
    names = ("baby", "bird", "butterfly", "head", "woman")
    absent = [name for name in names if not (asked.set5 / f"{name}.png").is_file()]
    if absent:
        print(f"Skipped: {asked.set5} has no {', '.join(absent)}.")
        return 0
    pictures = {name: read_rgb8(asked.set5 / f"{name}.png") for name in names}
    off = 0
    print(f"{'system':<30} {'scale':>5} {'protocol':<8} {'measured':>9} {'published':>9}")
    for row, found in measured(pictures, at_hand(asked.weights)):
        label = f"{row.name} {row.tag}{row.picture}"
        if found is None:
            print(f"{label:<30} {row.scale:>5} {row.protocol:<8} skipped: restorekit models fetch {row.name}:{row.tag}")
            continue
        wrong = abs(found - row.published) > row.tolerance
        off += wrong
        print(
            f"{label:<30} {row.scale:>5} {row.protocol:<8} {found:9.4f} {row.published:9.4f}{'  off' if wrong else ''}"
        )
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
