"""Blur of a camera that rolls about a point during the exposure."""

import math

import cv2
import numpy as np

from restorekit.degradation.convolution import Float

ARC = 0.5  # pixels between neighbouring poses at the farthest corner


def rotational(sharp: Float, sweep: float, centre: tuple[float, float] | None = None) -> Float:
    """Mean of the picture turned by equal steps, each interpolated once from the original.

    Args:
        sharp: (H,W) or (H,W,C) float32 in linear light.
        sweep: angle swept during the exposure in degrees, centred on the picture as it is.
        centre: (x, y) of the axis in pixels; the picture's middle by default.

    Returns:
        float32 of the same shape; beyond its edges the picture is mirrored.
    """
    height, width = sharp.shape[:2]
    x, y = centre if centre is not None else ((width - 1) / 2, (height - 1) / 2)
    radius = math.hypot(max(x, width - 1 - x), max(y, height - 1 - y))
    poses = math.ceil(math.radians(abs(sweep)) * radius / ARC) + 1
    total = np.zeros(sharp.shape, np.float32)
    for angle in np.linspace(-sweep / 2, sweep / 2, poses) if poses > 1 else [0.0]:
        turn = cv2.getRotationMatrix2D((x, y), float(angle), 1.0)
        total += cv2.warpAffine(
            sharp, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        ).reshape(sharp.shape)
    return total / np.float32(poses)
