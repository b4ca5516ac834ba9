import cv2
import numpy as np
import pytest
from numpy.typing import DTypeLike
from skimage.measure import blur_effect

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


def test_a_single_colour_is_not_blurred() -> None:
    for side in (1, 20):
        flat = np.full((side, side, 3), 7, np.uint8)
        with np.errstate(invalid="raise"):
            assert not blur_is_left(flat, flat)


@pytest.mark.parametrize("blur", [(1, 1), (9, 1), (1, 15)])
def test_the_metric_is_scikit_images(photo: np.ndarray, blur: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    image = cv2.blur(photo, blur)
    expected = blur_effect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    for limit, left in ((expected - 1e-4, True), (expected + 1e-4, False)):
        monkeypatch.setattr("restorekit.imaging.left_blur.BLURRED", limit)
        monkeypatch.setattr("restorekit.imaging.left_blur.RESTORED", 0)
        assert blur_is_left(image, image) == left
