import cv2
import numpy as np
import pytest

from restorekit.imaging.alignment import align
from restorekit.metrics import psnr


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-5, 4)])
def test_whole_pixel_shifts_are_undone_and_what_is_lost_is_black_in_both(photo: np.ndarray, x: int, y: int) -> None:
    """Scenery on black, moved within it: then the shift loses nothing, and the gain is that of the script by hand."""
    sharp = np.zeros((120, 140, 3), np.uint8)
    sharp[20:100, 20:110] = photo[:80, :90]
    darker = np.roll((sharp // 2), (y, x), axis=(0, 1))
    restored, seen = align(darker, sharp, "shift")
    gain = (sharp.astype(float) * darker).sum() / (
        darker.astype(float) ** 2
    ).sum()  # before the shift, as the script does
    rows, columns = slice(max(0, -y), 120 - max(0, y)), slice(max(0, -x), 140 - max(0, x))
    np.testing.assert_allclose(restored[rows, columns] * 255, gain * (sharp // 2)[rows, columns], atol=1e-4)
    np.testing.assert_allclose(seen[rows, columns] * 255, sharp[rows, columns], atol=1e-4)
    for image in (restored, seen):
        outside = image.copy()
        outside[rows, columns] = 0
        assert not outside.any()
    assert restored.dtype == seen.dtype == np.float32


def test_the_lost_frame_is_black_in_the_sharp_image_too(photo: np.ndarray) -> None:
    restored, seen = align(np.ascontiguousarray(photo[3:103, 5:125]), np.ascontiguousarray(photo[:100, :120]), "shift")
    assert not seen[:3].any()  # the restored image shows what lies 3 px further down and 5 px further right
    assert not seen[:, :5].any()
    assert not restored[:3].any()
    np.testing.assert_allclose(seen[3:, 5:] * 255, photo[3:100, 5:120], atol=1e-4)
    assert psnr(restored[3:, 5:] / restored[50, 60, 0] * seen[50, 60, 0], seen[3:, 5:]) > 60


def test_brightness_beyond_white_is_neither_clipped_nor_rounded(photo: np.ndarray) -> None:
    sharp = np.full((32, 32, 3), 200, np.uint8)
    dark = np.full((32, 32, 3), 101, np.uint8)
    dark[:16] = 120
    restored, _ = align(dark, sharp, "shift")
    gain = 200 * (101 + 120) / (101**2 + 120**2)  # both halves have as many pixels
    np.testing.assert_allclose(restored[[0, 31], 0, 0] * 255, [120 * gain, 101 * gain], rtol=1e-5)


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
