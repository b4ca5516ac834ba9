import numpy as np
import pytest
from scipy import ndimage

from restorekit.degradation.convolution import convolve
from restorekit.degradation.noise import add_noise
from restorekit.degradation.psf import linear, trajectory


def test_blur_is_a_true_convolution_with_mirrored_edges(photo: np.ndarray) -> None:
    sharp = photo.astype(np.float32) / 255
    kernel = trajectory(np.random.default_rng(3), 30)  # not symmetric: correlation would differ
    expected = np.stack(
        [ndimage.convolve(sharp[..., c].astype(float), kernel, mode="mirror") for c in range(3)], axis=-1
    )
    np.testing.assert_allclose(convolve(sharp, kernel), expected, atol=2e-6)


def test_valid_border_keeps_only_what_no_invented_pixel_touched(photo: np.ndarray) -> None:
    sharp = photo.astype(np.float32) / 255
    kernel = linear(21, 30)
    radius = kernel.shape[0] // 2
    valid = convolve(sharp, kernel, "valid")
    np.testing.assert_array_equal(valid, convolve(sharp, kernel)[radius:-radius, radius:-radius])
    changed = sharp.copy()
    changed[:, :1] = 0
    assert np.array_equal(convolve(changed, kernel, "valid")[:, 1:], valid[:, 1:])


@pytest.mark.parametrize("border", ["reflect", "valid"])
@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 2), (20, 24, 3)])
def test_the_number_of_channels_stays(shape: tuple[int, ...], border: str) -> None:
    edge = 0 if border == "reflect" else 4
    blurred = convolve(np.zeros(shape, np.float32), linear(9, 0), border)
    assert blurred.shape == (shape[0] - 2 * edge, shape[1] - 2 * edge, *shape[2:])


def test_noise_has_the_asked_deviation() -> None:
    flat = np.full((200, 200, 3), 0.5, np.float32)
    assert abs(add_noise(flat, 5, np.random.default_rng(0)).std() * 255 - 5) < 0.05
