import numpy as np
import pytest
from skimage import color, data

from restorekit.errors import UsageError
from restorekit.imaging.colour import convert

SHARP = data.chelsea()


def test_the_kinds_of_luma_have_their_definitions() -> None:
    grey = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (8, 256, 3))
    np.testing.assert_array_equal(convert(grey, "luma"), grey[..., 0])
    np.testing.assert_allclose(convert(grey, "y-float"), 16 + 219 / 255 * grey[..., 0], atol=1e-9)
    np.testing.assert_array_equal(convert(grey[..., 0], "y"), grey[..., 0])  # one channel is taken as it is
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_array_equal(convert(primaries, "luma")[0], [76, 150, 29, 255])
    np.testing.assert_array_equal(convert(primaries, "y")[0], [81, 145, 41, 235])  # MATLAB's rgb2ycbcr
    deep = SHARP.astype(np.uint16) * 257
    np.testing.assert_array_equal(convert(deep, "y"), convert(SHARP, "y"))


def test_unrounded_y_is_that_of_scikit_image() -> None:
    np.testing.assert_allclose(convert(SHARP, "y-float"), color.rgb2ycbcr(SHARP)[..., 0], atol=1e-10)


def test_unrounded_luma_is_neither_rounded_nor_clipped() -> None:
    bright = np.array([[[1.2, 0.5, 0.0], [-0.1, 0.0, 0.0]]], np.float32)
    expected = [[255 * (0.299 * 1.2 + 0.587 * 0.5), -255 * 0.0299]]
    np.testing.assert_allclose(convert(bright, "luma-float"), expected, rtol=1e-6)


def test_luma_is_rounded_half_up() -> None:
    """0.299 * 2 + 0.587 * 0 + 0.114 * 8 = 1.51, and 0.299 * 0 + 0.587 * 2 + 0.114 * 2 = 1.402."""
    np.testing.assert_array_equal(convert(np.array([[[2, 0, 8], [0, 2, 2]]], np.uint8), "luma"), [[2, 1]])


def test_rgb_is_the_image_itself() -> None:
    assert convert(SHARP, "rgb") is SHARP


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((4,), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)],
)
def test_other_shapes_and_types_are_refused(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="Cannot measure"):
        convert(image, "y")
