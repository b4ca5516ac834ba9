"""Against Pillow, PyTorch and OpenCV, which compute in other ways, and against weights by hand."""

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F

from restorekit.errors import UsageError
from restorekit.imaging.resize import KERNELS, phases, resize

SIZES = [(64, 80), (43, 54), (32, 40), (200, 301)]
PILLOW = {
    "cubic": PIL.Image.Resampling.BICUBIC,
    "linear": PIL.Image.Resampling.BILINEAR,
    "lanczos": PIL.Image.Resampling.LANCZOS,
}


@pytest.fixture
def plane(photo: np.ndarray) -> np.ndarray:
    return photo[..., 1].astype(np.float32)


def test_cubic_weights_at_a_quarter_pixel_are_those_of_the_textbook() -> None:
    """w(0.25) = 222/256, w(0.75) = 58/256, w(1.25) = -18/256, w(1.75) = -6/256 for a = -0.5."""
    expected = np.array([[-6, 58, 222, -18, 0], [0, -18, 222, 58, -6]]) / 256
    np.testing.assert_allclose(phases("cubic", 2), expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", PILLOW)
def test_a_cut_border_is_that_of_pillow(plane: np.ndarray, kernel: str, size: tuple[int, int]) -> None:
    expected = np.asarray(PIL.Image.fromarray(plane).resize(size[::-1], PILLOW[kernel]))
    np.testing.assert_allclose(resize(plane, size, kernel=kernel, border="cut"), expected, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_opencv_cubic_without_antialiasing_is_that_of_opencv_and_pytorch(
    plane: np.ndarray, size: tuple[int, int]
) -> None:
    found = resize(plane, size, kernel="cubic-opencv", antialias=False, border="replicate")
    expected = F.interpolate(torch.from_numpy(plane)[None, None].double(), size, mode="bicubic", align_corners=False)
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-9)
    np.testing.assert_allclose(found, cv2.resize(plane, size[::-1], interpolation=cv2.INTER_CUBIC), atol=0.1)


def test_borders_differ_only_at_the_edges(plane: np.ndarray) -> None:
    symmetric, replicate, cut = (resize(plane, (32, 40), border=border) for border in ("symmetric", "replicate", "cut"))
    inner = np.s_[2:-2, 2:-2]  # four taps stretched by 4 reach 8 pixels, two of the small image
    np.testing.assert_allclose(symmetric[inner], replicate[inner], atol=1e-9)
    np.testing.assert_allclose(symmetric[inner], cut[inner], atol=1e-9)
    assert np.abs(symmetric - replicate).max() > 0.1
    assert np.abs(symmetric - cut).max() > 0.1


def test_a_symmetric_border_mirrors_with_the_edge_repeated(plane: np.ndarray) -> None:
    padded = np.pad(plane, 16, mode="symmetric")
    expected = resize(padded, (40, 48))[4:-4, 4:-4]
    np.testing.assert_allclose(resize(plane, (32, 40)), expected, atol=1e-9)


def test_integers_are_rounded_half_up_after_each_axis(photo: np.ndarray) -> None:
    rows = np.floor(resize(photo.astype(float), (32, 160)) + 0.5).clip(0, 255)
    expected = np.floor(resize(rows, (32, 40)) + 0.5).clip(0, 255)
    np.testing.assert_array_equal(resize(photo, (32, 40)), expected.astype(np.uint8))
    once = np.floor(resize(photo.astype(float), (32, 40)) + 0.5).clip(0, 255)
    np.testing.assert_array_equal(resize(photo, (32, 40), round_each_axis=False), once.astype(np.uint8))
    assert not np.array_equal(once, expected)


def test_the_bands_that_bound_the_memory_do_not_show(plane: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resize(plane, (200, 301))
    monkeypatch.setattr("restorekit.imaging.resize.BAND", 7)
    np.testing.assert_array_equal(resize(plane, (200, 301)), whole)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_phases_enlarge_as_resize_does(kernel: str, scale: int) -> None:
    line = np.random.default_rng(0).random((20, 1))
    weights = phases(kernel, scale)
    radius = weights.shape[1] // 2
    padded = np.pad(line[:, 0], radius, mode="symmetric")
    enlarged = [weights[p] @ padded[i : i + 2 * radius + 1] for i in range(20) for p in range(scale)]
    np.testing.assert_allclose(resize(line, (20 * scale, 1), kernel=kernel)[:, 0], enlarged, atol=1e-12)


def test_a_given_scale_is_kept_where_the_size_is_rounded() -> None:
    """MATLAB's imresize(x, 1/3) of 100 pixels gives 34 whose centres are 3 apart, not 100 / 34."""
    slope = np.arange(100.0)[:, None]
    assert resize(slope, (34, 1), scale=1 / 3)[15, 0] == pytest.approx(15 * 3 + 1)
    assert resize(slope, (34, 1))[15, 0] == pytest.approx(15.5 * 100 / 34 - 0.5, abs=0.01)


@pytest.mark.parametrize("image", [np.zeros((0, 4), np.uint8), np.zeros((4, 4), bool), np.zeros((4, 4), np.int64)])
def test_what_cannot_be_resized_is_refused(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="Cannot resize"):
        resize(image, (2, 2))
    with pytest.raises(UsageError, match="Cannot resize"):
        resize(np.zeros((4, 4), np.uint8), (0, 2))
