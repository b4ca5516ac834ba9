"""Losses of JPEG compression."""

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import from_unit, to_unit


def jpeg_compress(image: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    """Compress an image and decode it again.

    Args:
        image: (H,W,3) or (H,W) float32 in 0..1.
        quality: 1 to 100.

    Returns:
        float32 in 0..1 of the same shape.
    """
    # OpenCV takes RGB for BGR, so red and blue swap their weights in JPEG's luma. The bundled weights were trained so.
    _, code = cv2.imencode(".jpg", from_unit(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return to_unit(np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED)))
