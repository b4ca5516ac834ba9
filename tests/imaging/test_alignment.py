import cv2
import numpy as np
import pytest

from restorekit.imaging.alignment import align
from restorekit.metrics import psnr


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-5, 4)])
def test_whole_pixel_shifts_and_brightness_are_undone(photo: np.ndarray, x: int, y: int) -> None:
    sharp = photo[20:120, 20:140]
    moved = photo[20 + y : 120 + y, 20 + x : 140 + x]
    darker = np.floor(moved * 0.8 + 0.5).astype(np.uint8)
    assert psnr(*align(darker, np.ascontiguousarray(sharp), "shift")) > 45


def test_a_small_homography_is_undone(photo: np.ndarray) -> None:
    matrix = np.array([[1.01, 0.005, 1.3], [-0.004, 0.99, -0.8], [1e-5, 0, 1]])
    moved = cv2.warpPerspective(photo, matrix, photo.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    before = psnr(moved, photo)
    restored, sharp = align(moved, photo, "ecc")
    assert psnr(restored, sharp) > before + 6
    assert all(0 <= whole - part <= 8 for whole, part in zip(photo.shape[:2], sharp.shape[:2], strict=True))


def test_without_alignment_nothing_changes(photo: np.ndarray) -> None:
    restored, sharp = align(photo[1:], photo[:-1], "none")
    np.testing.assert_array_equal(restored, photo[1:])
    np.testing.assert_array_equal(sharp, photo[:-1])
