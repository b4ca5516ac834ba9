"""Scores of deblurring weights on a folder of sharp frames: blurred by `synth-blur`, and left as they are.

    python benchmarks/deblur_scores.py FRAMES --weights endoscopy --length 13:21 [--seed 0] [--keep DIR]

Prints the mean PSNR and SSIM of blurred input and restored output (RGB, 8-bit files, 11x11 Gaussian window), the worst
picture's gain, and how well frames that are already sharp survive.
"""

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

from restorekit import psnr, restore_folder, ssim, synthesize
from restorekit.blur.pairs import Recipe
from restorekit.media.folders import find_pairs
from restorekit.media.images import read_rgb8

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("frames", type=Path)
parser.add_argument("--model", default="gggan-lite")
parser.add_argument("--weights", default="auto")
parser.add_argument("--length", default="13:21")
parser.add_argument("--angle", default="-40:40")
parser.add_argument("--border", default="reflect")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--keep", type=Path)
asked = parser.parse_args()


def scored(restored: Path, sharp: Path, before: Path) -> dict[str, float]:
    result, original, blurred = read_rgb8(restored), read_rgb8(sharp), read_rgb8(before)
    return {
        "psnr_before": psnr(blurred, original),
        "psnr_after": psnr(result, original),
        "ssim_before": ssim(blurred, original),
        "ssim_after": ssim(result, original),
    }


with tempfile.TemporaryDirectory() as scratch:
    place = asked.keep or Path(scratch)
    length, angle = (tuple(map(float, text.split(":"))) for text in (asked.length, asked.angle))
    recipe = Recipe(length=length, angle=angle, border=asked.border, seed=asked.seed)
    synthesize([asked.frames], place / "pairs", recipe=recipe)
    use = {"model": asked.model, "weights": asked.weights}
    restore_folder([place / "pairs/all/blur"], place / "restored", **use)
    restore_folder([place / "pairs/all/sharp"], place / "unharmed", **use)
    rows, kept = [], []
    for pair in find_pairs(place / "pairs"):
        name = pair.sharp.relative_to(place / "pairs/all/sharp")
        rows.append({"name": str(name), **scored(place / "restored" / name, pair.sharp, pair.blurred)})
        kept.append(psnr(read_rgb8(place / "unharmed" / name), read_rgb8(pair.sharp)))
    if asked.keep:
        with (place / "scores.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

mean = {key: np.mean([row[key] for row in rows]) for key in rows[0] if key != "name"}
gains = sorted((row["psnr_after"] - row["psnr_before"], row["name"]) for row in rows)
print(
    f"{len(rows)} frames, linear blur {asked.length} px, {asked.angle} degrees, border {asked.border}, seed {asked.seed}"
)
print(
    f"PSNR {mean['psnr_before']:.2f} -> {mean['psnr_after']:.2f} dB ({mean['psnr_after'] - mean['psnr_before']:+.2f})"
)
print(f"SSIM {mean['ssim_before']:.4f} -> {mean['ssim_after']:.4f}")
print(f"gain of the worst picture {gains[0][0]:+.2f} dB ({gains[0][1]}), of the best {gains[-1][0]:+.2f} dB")
print(f"sharp frames: PSNR to themselves mean {np.mean(kept):.2f} dB, lowest {np.min(kept):.2f} dB")
