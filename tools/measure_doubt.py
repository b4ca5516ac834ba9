"""How many good and how many spoilt results `restorekit.imaging.doubt` finds doubtful.

    python tools/measure_doubt.py FOLDER ... [--results 300] [--seed 0]

Sharp images are restored well, blurred or as they are, by the bundled gggan-lite weights, and badly: by the same weights
with noise added to them, by Wiener's filter with another PSF than the image's, or with far too little noise expected. What
counts as good or spoilt is the sharp image's decision: a good result is no farther from it than the input, or
at 38 dB and more; a spoilt one is 0.5 dB farther, below 38 dB.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from restorekit.deconvolution.blurs import Kernel
from restorekit.deconvolution.wiener import wiener
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.degradation.noise import add_noise
from restorekit.imaging.doubt import find_doubt
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_rgb8
from restorekit.metrics.fidelity import psnr
from restorekit.weights.load import load_model

GOOD_ENOUGH, HARM = 38.0, 0.5  # dB


def damaged(tag: str, amount: float) -> Engine:
    """gggan-lite with noise on its weights, `amount` times their standard deviation."""
    model = load_model("gggan-lite", tag)
    generator = torch.Generator().manual_seed(int(100 * amount))
    with torch.no_grad():
        for parameter in model.module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(amount * parameter.std(correction=0) * noise)
    return Engine(model, Settings())


def deconvolve(image: NDArray[np.uint8], kernel: NDArray[np.float32], noise: float) -> NDArray[np.uint8]:
    """Wiener's filter on pixels."""
    batch = torch.from_numpy(to_unit(image)).permute(2, 0, 1)[None]
    return from_unit(wiener(batch, Kernel(kernel), noise)[0].permute(1, 2, 0).numpy())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs="+")
    options.add_argument("--results", type=int, default=300, help="of each sort that are tried")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    files = [file for folder in asked.folders for file in sorted(folder.iterdir()) if file.is_file()]
    rng = np.random.default_rng(asked.seed)
    well = [Engine(load_model("gggan-lite", tag), Settings()) for tag in ("photo", "endoscopy")]
    badly = [damaged(tag, amount) for tag in ("photo", "endoscopy") for amount in (0.6, 1.0, 1.6)]

    found: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    for number in range(asked.results):
        sharp = read_rgb8(files[rng.integers(len(files))])
        length, angle = rng.uniform(8, 22), rng.uniform(-90, 90)
        kernel = psf.linear(length, angle)
        clean = convolve(to_unit(sharp), kernel)
        blurred, noisy = (from_unit(add_noise(clean, sigma, rng)) for sigma in (1.0, rng.uniform(3, 12)))
        other = psf.linear(rng.uniform(8, 22), angle + rng.uniform(25, 90))
        results = {
            "restored": (blurred, well[number % 2](blurred).pixels),
            "sharp before": (sharp, well[number % 2](sharp).pixels),
            "damaged weights": (blurred, badly[number % len(badly)](blurred).pixels),
            "wrong PSF": (blurred, deconvolve(blurred, other, 0.01)),
            "noise": (noisy, deconvolve(noisy, kernel, 0.002)),
        }
        for sort, (before, after) in results.items():
            score = psnr(after, sharp)
            worth = "good" if score >= min(psnr(before, sharp), GOOD_ENOUGH) else "spoilt"
            if worth == "spoilt" and score > psnr(before, sharp) - HARM:
                continue
            tried[worth, sort] += 1
            found[worth, sort] += bool(find_doubt(before, after))
    for worth in ("good", "spoilt"):
        sorts = [sort for kind, sort in tried if kind == worth]
        all_tried, all_found = (sum(counter[worth, sort] for sort in sorts) for counter in (tried, found))
        print(f"{worth}: {all_found} of {all_tried} doubtful ({100 * all_found / all_tried:.1f} %)")
        for sort in sorts:
            print(f"    {sort}: {found[worth, sort]} of {tried[worth, sort]}")


if __name__ == "__main__":
    main()
