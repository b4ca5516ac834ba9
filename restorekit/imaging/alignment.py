"""Bring a restored image over the sharp one before comparing, where a data set's own protocol does so."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.errors import RestorekitError

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
Alignment = Literal["none", "shift", "ecc"]


def align(restored: NDArray[np.uint8], sharp: NDArray[np.uint8], how: Alignment) -> Pair:
    """The parts of both images that show the same.

    Args:
        restored, sharp: (H,W,3) uint8 of the same size.
        how: "shift" finds whole pixels by phase correlation and scales the intensity by least squares (Koehler et al.,
            ECCV 2012); "ecc" finds a homography by the enhanced correlation coefficient (RealBlur, ECCV 2020).

    Raises:
        RestorekitError: the images have nothing in common.
    """
    if how == "shift":
        return _align_by_shift(restored, sharp)
    return _align_by_homography(restored, sharp) if how == "ecc" else (restored, sharp)


def _to_grey(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def _align_by_shift(restored: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> Pair:
    height, width = sharp.shape[:2]
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (right, down), _ = cv2.phaseCorrelate(_to_grey(sharp), _to_grey(restored), window)
    x, y = round(right), round(down)  # restored[i + y, j + x] shows what sharp[i, j] shows
    if abs(x) >= width // 4 or abs(y) >= height // 4:
        x = y = 0  # no camera moves that far; there is no peak to trust
    a = restored[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)]
    b = sharp[max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)]
    wide = a.astype(np.float64)
    gain = float((wide * b).sum() / max(np.square(wide).sum(), 1.0))
    return np.clip(np.floor(wide * gain + 0.5), 0, 255).astype(np.uint8), np.ascontiguousarray(b)


def _align_by_homography(restored: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> Pair:
    height, width = sharp.shape[:2]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-6)
    everything = np.full((height, width), 255, np.uint8)
    try:
        _, matrix = cv2.findTransformECC(
            _to_grey(sharp), _to_grey(restored), np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, stop, everything, 5
        )
    except cv2.error:
        raise RestorekitError("The restored image cannot be aligned with the sharp one.") from None
    warped = cv2.warpPerspective(
        restored, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float32)
    moved = cv2.perspectiveTransform(corners[None], matrix)[0]
    left, top = (int(np.ceil(max(0.0, *-moved[:, axis]))) for axis in (0, 1))
    right = int(np.ceil(max(0.0, *(moved[:, 0] - width + 1))))
    bottom = int(np.ceil(max(0.0, *(moved[:, 1] - height + 1))))
    inside = np.s_[top : height - bottom, left : width - right]
    return np.ascontiguousarray(warped[inside]), np.ascontiguousarray(sharp[inside])
