"""The main job on images that scikit-image ships: blur, restore, measure, show."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from restorekit.degradation.convolution import convolve
from restorekit.degradation.psf import linear
from restorekit.media.decode import read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import psnr, ssim
from restorekit.pipeline.files import restore_folder
from restorekit.runtime.progress import SILENT, Progress

IMAGES = {"astronaut": (15.0, 20.0), "chelsea": (11.0, -35.0), "coffee": (19.0, 5.0), "rocket": (13.0, 40.0)}
"""Length in pixels and angle in degrees of each image's blur."""

FOLDERS = {
    "sharp": "the originals",
    "blurred": "with linear motion blur",
    "restored": "what `restorekit deblur` makes of them",
    "compare": "blurred and restored side by side",
}


@dataclass(frozen=True)
class DemoScores:
    """One image's blur, and its PSNR in dB and SSIM before and after."""

    name: str
    length: float
    angle: float
    before: tuple[float, float]
    after: tuple[float, float]


def run_demo(out: Path, progress: Progress = SILENT) -> list[DemoScores]:
    """Make the demonstration.

    Args:
        out: folder that gets the folders of `FOLDERS`.
        progress: sees the progress.

    Returns:
        Scores measured on the written files.

    Raises:
        WeightsError, UnwritableOutput: see `restore_folder`.
    """
    from skimage import data

    for name, (length, angle) in IMAGES.items():
        sharp = np.ascontiguousarray(getattr(data, name)()[..., :3])
        blurred = convolve(sharp, linear(length, angle))
        write_image(Image(sharp), out / "sharp" / f"{name}.png")
        write_image(Image(blurred), out / "blurred" / f"{name}.png")
    restore_folder([out / "blurred"], out / "restored", compare=out / "compare", progress=progress, overwrite=True)

    def measured(folder: str, name: str) -> tuple[float, float]:
        image, sharp = (read_rgb8(out / place / f"{name}.png") for place in (folder, "sharp"))
        return psnr(image, sharp), ssim(image, sharp)

    return [
        DemoScores(name, length, angle, measured("blurred", name), measured("restored", name))
        for name, (length, angle) in IMAGES.items()
    ]
