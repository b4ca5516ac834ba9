"""Wiener's filter: the linear estimate with the smallest mean squared error."""

import numpy as np
from numpy.typing import NDArray
from skimage import restoration

from restorekit.deconvolution.edges import cut_edges, mirror_edges
from restorekit.imaging.dtypes import PSF


def wiener(image: NDArray[np.float32], psf: PSF, *, noise_to_signal: float = 0.01) -> NDArray[np.float32]:
    """Deconvolve an image by scikit-image's Wiener filter; channels apart, edges mirrored.

    Args:
        image: (H,W,C) float32 in 0..1.
        psf: (K,K), K odd, sum 1.
        noise_to_signal: noise power over signal power, the same at every frequency.

    Returns:
        (H,W,C) float32, not clipped.
    """
    flat = np.ones((1, 1))  # the default, a Laplacian, loses 5 dB on 8-bit images
    padded = mirror_edges(image, psf)
    planes = [
        restoration.wiener(padded[..., channel], psf, noise_to_signal, reg=flat, clip=False)
        for channel in range(image.shape[2])
    ]
    return cut_edges(np.stack(planes, axis=2), psf)
