"""What the systems that find a blur gain on images that are blurred here, beside the same images left sharp.

    python tools/measure_found_blur.py FOLDER [--model SYSTEM ...]

Ten images of the folder, at equal distances of its sorted files, lose 20 px at each edge, from where light would be missing,
and are blurred in their stored values: for `gong` by its authors' fields (training/objectives/motion_field.py), as they are
and milder, for `sun` and `kim-lee-2014` by straight lines, for `chakrabarti` by splines. Noise is added, and values are
rounded to 8 bits. The blur is found and undone as in `restorekit deblur`, without tiles.
"""

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restorekit.deconvolution import Blur, Lines, noise_level
from restorekit.media.decode import read_rgb8
from restorekit.models.blind_deconvolution import BlindDeconvolution
from restorekit.training.objectives.kernel_fit import convolve_each
from restorekit.training.objectives.motion_field import Options, blur_along, draw_fields
from restorekit.training.objectives.patch_filter import draw_splines
from restorekit.weights.load import load_model

IMAGES, EDGE = 10, 20
MILD = Options(translation=19, acceleration=0.25, spread=1.5, turn=0.002, centre=5, sharp_share=0)
Blurred = tuple[Tensor, Tensor | None]
"""The image (1,3,h,w), and the motion of its pixels (2,h,w), where motion blurred it."""


def by_field(sharp: Tensor, options: Options) -> Blurred:
    """A field of the authors' generator."""
    height, width = (side - 2 * EDGE for side in sharp.shape[-2:])
    field = draw_fields(options, 1, height, width, sharp.device)
    return blur_along(sharp, field, EDGE), field[0]


def by_line(sharp: Tensor, length: float) -> Blurred:
    """A line in any direction."""
    angle = math.pi * float(torch.rand(()))
    height, width = (side - 2 * EDGE for side in sharp.shape[-2:])
    vector = torch.tensor([length * math.cos(angle), length * math.sin(angle)])
    field = vector[:, None, None].expand(2, height, width)
    return blur_along(sharp, field[None], EDGE), field


def by_spline(sharp: Tensor, side: int) -> Blurred:
    """A path within a square, whose pixels weigh differently."""
    return convolve_each(sharp, draw_splines((side,), 1, sharp.device)), None


CASES: dict[str, dict[str, tuple[Callable[[Tensor], Blurred], float]]] = {
    "gong": {
        "milder fields": (partial(by_field, options=MILD), 0.0),
        "fields as it learned": (partial(by_field, options=Options(sharp_share=0)), 0.0),
    },
    "sun": {f"lines of {length} px": (partial(by_line, length=length), 0.005) for length in (15, 9)},
    "chakrabarti": {f"splines within {side} px": (partial(by_spline, side=side), 0.01) for side in (8, 16)},
    "kim-lee-2014": {f"lines of {length} px": (partial(by_line, length=length), 0.005) for length in (9, 5)},
}
"""How images are blurred, and the standard deviation of noise in 0..1."""


def psnr(image: Tensor, sharp: Tensor) -> float:
    """In dB."""
    return -10 * math.log10(float((image - sharp).square().mean()))


def rounded(image: Tensor) -> Tensor:
    """As an 8-bit file has it."""
    return (image.clamp(0, 1) * 255).round() / 255


def vector_error(found: Blur, field: Tensor) -> float:
    """Pixels between the motion that was found and the true one, on average; both ways of a line are the same."""
    vectors = torch.zeros_like(field)
    if isinstance(found, Lines):
        vectors = torch.from_numpy(np.stack([found.u, found.v]))
    return float(torch.minimum(*((vectors - sign * field).norm(dim=0) for sign in (1, -1))).mean())


@torch.inference_mode()
def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--model", action="append", choices=CASES, help="may be repeated; by default all of these")
    asked = options.parse_args()
    files = sorted(file for file in asked.folder.iterdir() if file.is_file())
    files = files[len(files) // IMAGES // 4 :: max(1, len(files) // IMAGES)][:IMAGES]
    images = [torch.from_numpy(read_rgb8(file)).permute(2, 0, 1)[None].float() / 255 for file in files]
    for name in asked.model or CASES:
        module = load_model(name).module
        assert isinstance(module, BlindDeconvolution)
        for case, (blur, noise) in CASES[name].items():
            gains, errors = [], []
            for number, image in enumerate(images):
                torch.manual_seed(number)
                blurred, field = blur(image)
                blurred = rounded(blurred + noise * torch.randn_like(blurred))
                found = module.find(blurred)
                restored = rounded(module.restore_found(blurred, found, noise_level(blurred)))
                sharp = image[..., EDGE:-EDGE, EDGE:-EDGE]
                gains.append(psnr(restored, sharp) - psnr(blurred, sharp))
                errors += [] if field is None else [vector_error(found, field)]
            words = f"gain {np.mean(gains):+.2f} dB, median {np.median(gains):+.2f}, lowest {min(gains):+.2f}"
            print(
                f"{name}, {case}: {words}" + (f", motion wrong by {np.mean(errors):.2f} px" if errors else ""),
                flush=True,
            )
        to_themselves = []
        for image in images:
            found = module.find(image)
            if not found.is_identity:
                to_themselves.append(psnr(rounded(module.restore_found(image, found, noise_level(image))), image))
        lowest = f", the lowest of the others at {min(to_themselves):.1f} dB" if to_themselves else ""
        print(f"{name}, sharp: {len(images) - len(to_themselves)} of {len(images)} unchanged{lowest}", flush=True)


if __name__ == "__main__":
    main()
