"""Fit NIQE's model of natural scenes to folders of pristine photographs.

    python tools/fit_niqe.py FOLDER [FOLDER ...] -o restorekit/metrics/niqe-model.npz

The shipped model: BSDS500's training part (200) and the photographs of Debian's wallpaper packages (31).
"""

import argparse
from pathlib import Path

import numpy as np

from restorekit.media.decode import read_rgb8
from restorekit.media.discover import find_images
from restorekit.metrics.niqe import MIN_SIDE, fit


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs="+")
    options.add_argument("-o", "--out", type=Path, required=True)
    asked = options.parse_args()
    images = (read_rgb8(job.source) for job in find_images(asked.folders))
    scenes = fit(image for image in images if min(image.shape[:2]) >= MIN_SIDE)
    np.savez(asked.out, mean=scenes.mean, covariance=scenes.covariance)


if __name__ == "__main__":
    main()
