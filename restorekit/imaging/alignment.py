"""Bring a restored image over the sharp one before comparing, where a data set's own protocol does so."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.errors import RestorekitError

Pair = tuple[NDArray[Any], NDArray[Any]]
Alignment = Literal["none", "shift", "ecc"]


def align(restored: NDArray[np.uint8], sharp: NDArray[np.uint8], how: Alignment) -> Pair:
    """The parts of both images that show the same.

    Args:
        restored, sharp: (H,W,3) uint8 of the same size.
        how: "shift" does what the script of Koehler et al. (ECCV 2012), eval_image.m, does: scales the intensity by least
            squares, moves by the whole pixels at which the channels' means correlate most, and sets what has no counterpart
            to 0 in both; "ecc" finds a homography by the enhanced correlation coefficient (RealBlur, ECCV 2020) and cuts
            what it cannot see.

    Returns:
        The restored and the sharp pixels, of one size and type: (H,W,3) float32 in 0..1 for "shift", neither rounded nor
        clipped, as the script computes; else uint8.

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
    x, z = sharp.astype(np.float64) / 255, restored.astype(np.float64) / 255
    z *= (x * z).sum() / max(np.square(z).sum(), 1e-12)
    spectrum = np.fft.rfft2(x.mean(axis=2)) * np.conj(np.fft.rfft2(z.mean(axis=2)))
    peak = int(np.fft.irfft2(spectrum, s=(height, width)).argmax())
    down, right = divmod(peak, width)  # by which the restored image moves, around the edges
    down, right = (down - height if down >= height // 2 else down), (right - width if right >= width // 2 else right)
    target = np.s_[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    source = np.s_[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    moved, seen = np.zeros(sharp.shape, np.float32), np.zeros(sharp.shape, np.float32)
    moved[target], seen[target] = z[source], x[target]
    return moved, seen


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
