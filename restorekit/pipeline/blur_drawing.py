"""Pictures of blurs."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import PSF, from_unit

ENLARGED = 8  # times
RED = (255, 64, 64)
GAP = 2  # grey pixels between the PSFs of a sheet
STEP = 21  # px between the strokes of a motion field
FADED = 0.5  # how much of the image's grey is left behind them
WHEEL = 61  # px of a side

Picture = NDArray[np.uint8]
"""(H,W,3)."""


def draw_kernel(psf: PSF) -> Picture:
    """A PSF, white for its largest value, every pixel enlarged to 8x8; a red cross where an unmoved point would stay."""
    picture = np.repeat(_grey(psf)[..., None], 3, axis=2).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    y, x = (side * ENLARGED // 2 for side in psf.shape)
    picture[y, max(0, x - ENLARGED // 2) : x + ENLARGED // 2] = RED
    picture[max(0, y - ENLARGED // 2) : y + ENLARGED // 2, x] = RED
    return picture


def draw_sheet(psfs: NDArray[np.float32]) -> Picture:
    """A grid of PSFs (R,S,K,L), each in its place, white for its largest value; enlarged to about 1000 px."""
    times = max(1, 1000 // (psfs.shape[1] * (psfs.shape[3] + GAP)))
    cells = [
        [cv2.copyMakeBorder(_grey(psf), 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(90,)) for psf in row]
        for row in psfs
    ]
    sheet = np.vstack([np.hstack(row) for row in cells]).repeat(times, axis=0).repeat(times, axis=1)
    return np.repeat(sheet[..., None], 3, axis=2)


def draw_motion(u: NDArray[np.float32], v: NDArray[np.float32], image: Picture) -> Picture:
    """Strokes as long as the motion over the greyed image, one every 21 px, and the wheel of their colours.

    Args:
        u, v: (H,W), pixels right and down.
        image: (H,W,3).
    """
    height, width = u.shape
    grey = (image.mean(axis=2) * FADED).astype(np.uint8)
    picture = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    side = min(WHEEL, height, width)
    for y in range(min(STEP // 2, height // 2), height, STEP):
        for x in range(min(STEP // 2, width // 2), width, STEP):
            half = np.array([u[y, x], v[y, x]], float) / 2
            colour = _colour(float(u[y, x]), float(v[y, x]))
            ends = [np.rint((np.array([x, y]) + sign * half) * 16).astype(int).tolist() for sign in (-1, 1)]
            cv2.line(picture, ends[0], ends[1], colour, 1, cv2.LINE_AA, shift=4)
    down, across = np.mgrid[:side, :side] - (side - 1) / 2
    for y, x in zip(*np.nonzero(np.hypot(down, across) <= side / 2 - 1), strict=True):
        picture[y, x] = _colour(float(across[y, x]), float(down[y, x]))
    return picture


def _colour(u: float, v: float) -> tuple[int, int, int]:
    """By the doubled angle: a motion and its opposite are the same blur."""
    hue = int(math.degrees(2 * math.atan2(-v, u)) % 360 / 2)  # OpenCV's 0..179
    red, green, blue = cv2.cvtColor(np.array([[[hue, 200, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _grey(psf: PSF) -> NDArray[np.uint8]:
    return np.asarray(from_unit(psf / psf.max()), np.uint8)
