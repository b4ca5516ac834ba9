"""How noisy an image is."""

from torch import Tensor

LEAST = 0.004  # a grey level of 255: rounding and an inexact PSF leave as much, and no estimate sees it
MEDIAN = 0.6745  # of the absolute values of a standard normal variable


def noise_level(image: Tensor) -> float:
    """Standard deviation of an image's noise, from its finest details: blur leaves little else there.

    Donoho & Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81(3), 1994: the median of the diagonal
    details of one level of Haar's transform, over all channels.

    Args:
        image: (N,C,H,W) in 0..1.

    Returns:
        At least 0.004.
    """
    height, width = (side // 2 * 2 for side in image.shape[-2:])
    if 0 in (height, width):
        return LEAST
    a, b = image[..., 0:height:2, 0:width:2], image[..., 0:height:2, 1:width:2]
    c, d = image[..., 1:height:2, 0:width:2], image[..., 1:height:2, 1:width:2]
    details = (a - b - c + d) / 2
    return max(LEAST, float(details.abs().median()) / MEDIAN)
