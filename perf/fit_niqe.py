"""Fit NIQE's model of natural scenes on folders of pristine photographs.

    python perf/fit_niqe.py FOLDER [FOLDER ...] -o restorekit/metrics/niqe-model.npz

The shipped model: BSDS500's training part (200) and the photographs of Debian's wallpaper packages (31).
"""

import argparse
from pathlib import Path

import numpy as np

from restorekit.media.decode import read_rgb8
from restorekit.media.discover import find_images
from restorekit.metrics.niqe import BLOCK, fit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folders", type=Path, nargs="+")
parser.add_argument("-o", "--out", type=Path, required=True)
asked = parser.parse_args()

pictures = (read_rgb8(job.source) for job in find_images(asked.folders))
model = fit(picture for picture in pictures if min(picture.shape[:2]) >= 2 * BLOCK)
np.savez(asked.out, mean=model.mean, covariance=model.covariance)
