import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.media.image import Image


@pytest.mark.parametrize(
    ("array", "dtype", "first"),
    [
        (np.full((4, 5), 0.25), np.float32, 0.25),
        (np.full((4, 5, 3), 0.25, np.float16), np.float32, 0.25),
        (np.full((4, 5, 1), 1.005, np.float32), np.float32, np.float32(1.005)),
        (np.array([[True, False]]), np.uint8, 255),
        (np.full((4, 5, 4), 7, np.uint16), np.uint16, 7),
    ],
    ids=["float64", "float16", "slight overshoot", "bool", "alpha"],
)
def test_arrays_of_the_usual_types_are_taken(array: np.ndarray, dtype: type, first: float) -> None:
    image = Image.from_array(array)
    assert image.pixels.dtype == dtype
    assert image.pixels[0, 0, 0] == first
    assert (image.alpha is not None) == (array.shape[-1] == 4)


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.full((4, 5), 1.5), "1.5"),
        (np.full((4, 5), np.nan), "not all finite"),
        (np.full((4, 5), np.inf), "not all finite"),
        (np.full((4, 5), -0.5), "-0.5"),
        (np.zeros((4, 5), np.int64), "int64"),
        (np.zeros((4, 5), complex), "complex"),
        (np.zeros((3, 4, 5)), "shape"),
        (np.zeros((4, 5, 2)), "shape"),
        (np.zeros((0, 5, 3), np.uint8), "shape"),
    ],
)
def test_arrays_of_unknown_range_or_shape_are_refused_with_a_hint(array: np.ndarray, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        Image.from_array(array)
    assert caught.value.hint


def test_an_image_gives_back_the_array_it_was_made_of() -> None:
    for shape in ((2, 3), (2, 3, 3), (2, 3, 4)):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        assert np.array_equal(Image.from_array(array).to_array(), array)


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((2, 3), np.uint8), None),
        (np.zeros((2, 3, 4), np.uint8), None),
        (np.zeros((2, 3, 3)), None),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((2, 4), np.uint8)),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint16)),
    ],
    ids=["no channel axis", "four channels", "float64", "alpha's shape", "alpha's type"],
)
def test_pixels_and_alpha_that_do_not_fit_are_refused(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    with pytest.raises(UsageError):
        Image(pixels, alpha)


def test_grey_restored_as_rgb_stays_grey() -> None:
    image = Image(np.array([[[10], [20]]], np.uint8))
    restored = image.with_rgb(np.array([[[10, 11, 12], [20, 20, 21]]], np.uint8))
    assert restored.pixels.tolist() == [[[11], [20]]]


@pytest.mark.parametrize(("dtype", "opaque"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_alpha_follows_the_size(dtype: type, opaque: float) -> None:
    alpha = np.zeros((2, 4), dtype)
    alpha[:, 2:] = opaque
    enlarged = Image(np.zeros((2, 4, 3), dtype), alpha).with_rgb(np.zeros((4, 8, 3), dtype)).alpha
    assert enlarged.shape == (4, 8)
    assert enlarged.dtype == dtype
    assert (enlarged[:, 0].min(), enlarged[:, -1].max()) == (0, opaque)
    assert enlarged.min() >= 0
    assert enlarged.max() <= opaque
