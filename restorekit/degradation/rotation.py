"""Blur of a camera that rolls about a point during the exposure."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

POSE_SPACING = 0.5  # pixels between neighbouring poses at the farthest corner


def blur_by_rotation(
    sharp: NDArray[np.float32], sweep: float, centre: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """Average the image over poses turned by equal steps, each interpolated once from the original.

    Args:
        sharp: (H,W) or (H,W,C) float32 in linear light.
        sweep: angle swept during the exposure in degrees, centred on the image as it is.
        centre: (x, y) of the axis in pixels; the image's middle by default.

    Returns:
        float32 of the same shape; beyond its edges the image is mirrored.
    """
    height, width = sharp.shape[:2]
    x, y = centre if centre is not None else ((width - 1) / 2, (height - 1) / 2)
    radius = math.hypot(max(x, width - 1 - x), max(y, height - 1 - y))
    poses = math.ceil(math.radians(abs(sweep)) * radius / POSE_SPACING) + 1
    total = np.zeros(sharp.shape, np.float32)
    for angle in np.linspace(-sweep / 2, sweep / 2, poses) if poses > 1 else [0.0]:
        rotation = cv2.getRotationMatrix2D((x, y), float(angle), 1.0)
        total += cv2.warpAffine(
            sharp, rotation, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        ).reshape(sharp.shape)
    return total / np.float32(poses)
