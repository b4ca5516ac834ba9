"""Edges: the Fourier transform takes an image for periodic, so it gets mirrored surroundings first and loses them after."""

import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import PSF

MARGIN = 3  # in sides of the PSF: with less, what the jump at the ends becomes reaches the image within 30 iterations


def mirror_edges(image: NDArray[np.float32], psf: PSF) -> NDArray[np.float32]:
    """An image (H,W,C) with mirrored surroundings (without repeating the edge) of 3 K pixels on each side."""
    margin = MARGIN * psf.shape[0]
    return np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")


def cut_edges(padded: NDArray[np.floating], psf: PSF) -> NDArray[np.float32]:
    """What `mirror_edges` was given, as float32; values that are not finite become 0 or the largest number."""
    margin = MARGIN * psf.shape[0]
    height, width = padded.shape[:2]
    inside = padded[margin : height - margin, margin : width - margin]
    return np.asarray(np.nan_to_num(inside), np.float32)
