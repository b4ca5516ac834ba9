import cv2
import numpy as np
import PIL.Image
import pytest

from restorekit.degradation.downscale import Downscale
from restorekit.errors import UsageError
from restorekit.imaging.resize import resize


def test_pillow_is_pillow(photo: np.ndarray) -> None:
    odd = np.ascontiguousarray(photo[:66, :83])
    small, shown = Downscale(4, "pillow").make_pair(odd)
    expected = PIL.Image.fromarray(odd).resize((20, 16), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(small, np.asarray(expected))
    np.testing.assert_array_equal(shown, odd)


def test_opencv_is_opencv(photo: np.ndarray) -> None:
    small, shown = Downscale(4, "opencv").make_pair(photo[:66, :83])
    np.testing.assert_array_equal(shown, photo[:64, :80])
    np.testing.assert_array_equal(small, cv2.resize(shown, (20, 16), interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
def test_matlab_is_imresize_with_the_border_that_was_asked_for(photo: np.ndarray, border: str) -> None:
    small, shown = Downscale(4, border=border).make_pair(photo[:66, :83])
    np.testing.assert_array_equal(shown, photo[:64, :80])
    np.testing.assert_array_equal(small, resize(shown, (16, 20), border=border))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_method_keeps_a_slope_in_place(scale: int) -> None:
    """Small pixel i covers large pixels s*i ... s*i + s - 1, so its value on a slope is that of their middle."""
    slope = np.broadcast_to(2 * np.arange(120, dtype=np.uint8)[None, :, None], (48, 120, 3))
    middles = np.arange(120 // scale) * scale + (scale - 1) / 2
    for method in ("matlab", "pillow", "opencv", "gauss"):
        small = Downscale(scale, method).degrade_image(np.ascontiguousarray(slope))
        assert small.shape == (48 // scale, 120 // scale, 3)
        assert np.abs(small[5, 5:-5, 0] - 2 * middles[5:-5]).max() <= 0.5, method


def test_what_does_not_fill_a_small_pixel_is_left_out(photo: np.ndarray) -> None:
    assert Downscale(3).crop_to_grid(photo).shape == (126, 159, 3)
    assert Downscale(3, "gauss").degrade_image(photo).shape == (42, 53, 3)


def test_unknown_methods_are_refused_when_they_are_named() -> None:
    with pytest.raises(UsageError, match=r"'area'.*matlab, pillow, opencv, gauss"):
        Downscale(2, "area")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`scale`"):
        Downscale(0)
