import cv2
import numpy as np
import pytest
from numpy.typing import DTypeLike

from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.left_blur import blur_is_left


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_was_blurred_and_still_is_is_told_at_every_depth(photo: np.ndarray, dtype: DTypeLike) -> None:
    sharp = from_unit(to_unit(photo), dtype)
    across, down = cv2.blur(sharp, (15, 1)), cv2.blur(sharp, (1, 15))
    assert blur_is_left(across, across)
    assert blur_is_left(down, cv2.blur(sharp, (1, 9)))
    assert not blur_is_left(across, sharp)
    assert not blur_is_left(sharp, across)  # the network has made it, which is another failure
    assert not blur_is_left(sharp, sharp)


def test_a_single_pixel_is_not_blurred() -> None:
    pixel = np.full((1, 1, 3), 7, np.uint8)
    assert not blur_is_left(pixel, pixel)
