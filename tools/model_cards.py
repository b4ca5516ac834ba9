"""Write WEIGHTS.md, a card for each weight file that ships, with a picture of what the file is bad at.

python tools/model_cards.py [--text-only]

The text is that of weights.toml. Prints each picture's PSNR, which the entry's `weakness` states.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from restorekit import load_model, psnr, restore_image
from restorekit.degradation.convolution import convolve
from restorekit.degradation.psf import linear
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.weights.manifest import BundledWeights, load_manifest

ROOT = Path(__file__).parent.parent
PICTURES = Path(".github") / "weights"


@dataclass(frozen=True)
class Case:
    """An image of scikit-image made worse than the weights were trained for, and the square of it that is shown."""

    image: str
    top: int
    left: int
    side: int = 256
    motion: tuple[float, float] | None = None
    """Length in pixels and angle in degrees."""
    noise: float = 0.0
    """Standard deviation in grey levels, after the image was made small."""


LONG, UPRIGHT = Case("astronaut", 20, 130, motion=(35, 20)), Case("astronaut", 20, 130, motion=(17, 90))
GRAINY = Case("chelsea", 40, 100, noise=10)
CASES = {
    "gggan:endoscopy": UPRIGHT,
    "gggan-lite:photo": LONG,
    "gggan-lite:endoscopy": UPRIGHT,
    "deblurgan-v2:endoscopy": UPRIGHT,
    "chakrabarti:photo": LONG,
    "gong:photo": LONG,
    "sun:photo": LONG,
    "compact:x4": GRAINY,
    "compact:x2": GRAINY,
    "espcn:x4": GRAINY,
    "espcn:x2": GRAINY,
    "espcn:x3": GRAINY,
    "srgan-em:x4": GRAINY,
    "srgan-em:perceptual": GRAINY,
}


def picture_of(entry: BundledWeights) -> Path:
    """Where the picture of a file's weakness is, below the root."""
    return PICTURES / f"{entry.model}-{entry.tag}.jpg"


def page() -> str:
    """WEIGHTS.md, from weights.toml alone."""
    lines = [
        "# Weights that ship",
        "",
        "A card for each file: what it is for and what it is bad at, how it was trained, how well it does.",
        "Pictures: input, result, truth. Made by `tools/model_cards.py` from `weights.toml`.",
    ]
    for entry in load_manifest().bundled:
        lines += ["", *_card(entry)]
    return "\n".join(lines) + "\n"


def _card(entry: BundledWeights) -> list[str]:
    default = f", the default of `{entry.model}`" if entry.default else ""
    start = f", begun with {entry.start}" if entry.start else ""
    recipe = entry.command or f"restorekit train --model {entry.model} --recipe {entry.tag} --data SHARP --out run/"
    lines = [
        f"## `{entry.name}`",
        "",
        f"`{entry.file}`, {entry.size:,} bytes{default}.",
        "",
        f"- **For** {entry.domain}.",
        f"- **Bad at** {entry.weakness}",
        f"- **Trained** on {entry.data}, {entry.hours:g} hours on {entry.hardware}{start}. Again: `{recipe}`.",
        *(
            [f"- **In int8** {entry.int8.loss}: {entry.int8.data}. `{entry.int8.file}`, {entry.int8.size:,} bytes."]
            if entry.int8
            else []
        ),
        f"- **Licence**: {entry.licence}.",
        f"- **SHA-256**: `{entry.sha256}`",
        "",
        *([f"![input, result and truth]({picture_of(entry).as_posix()})", ""] if entry.name in CASES else []),
        "| measured on | |",
        "|---|---|",
    ]
    for protocol, values in entry.scores.items():
        lines.append(f"| {protocol} | {', '.join(f'{name} {value:g}' for name, value in values.items())} |")
    return [*lines, "", *(f"    {command}" for command in entry.repeat)]


def _show(entry: BundledWeights, case: Case) -> None:
    """Write the picture of a case, and print its PSNR before and after."""
    sharp = np.ascontiguousarray(getattr(data, case.image)()[..., :3])
    scale = load_model(entry.model, entry.tag).spec.scale
    height, width = (length // scale for length in sharp.shape[:2])
    sharp = sharp[: height * scale, : width * scale]
    worse = sharp if case.motion is None else convolve(sharp, linear(*case.motion))
    if scale > 1:
        worse = from_unit(resize(to_unit(worse), (height, width)))
    grain = np.random.default_rng(0).normal(0, case.noise, worse.shape)
    worse = np.clip(np.rint(worse + grain), 0, 255).astype(np.uint8)
    before = np.asarray(restore_image(worse, model="bicubic", scale=scale)) if scale > 1 else worse
    after = np.asarray(restore_image(worse, model=entry.model, weights=entry.tag))
    shown = worse.repeat(scale, 0).repeat(scale, 1)
    cut = np.s_[case.top : case.top + case.side, case.left : case.left + case.side]
    gap: NDArray[np.uint8] = np.full((case.side, 8, 3), 255, np.uint8)
    row = np.concatenate([shown[cut], gap, after[cut], gap, sharp[cut]], axis=1)
    Image.fromarray(row).save(ROOT / picture_of(entry), quality=85)
    print(f"{entry.name}: PSNR {psnr(before, sharp):.2f} -> {psnr(after, sharp):.2f} dB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--text-only", action="store_true", help="Leave the pictures as they are.")
    if not options.parse_args().text_only:
        for entry in load_manifest().bundled:
            if entry.name in CASES:
                _show(entry, CASES[entry.name])
    (ROOT / "WEIGHTS.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
