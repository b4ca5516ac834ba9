import numpy as np
import pytest
from scipy import signal

from restorekit.degradation.convolution import convolve
from restorekit.degradation.noise import add_noise
from restorekit.degradation.psf import defocus, linear, trajectory


@pytest.mark.parametrize(
    "kernel",
    [
        trajectory(np.random.default_rng(3), 30),  # not symmetric: correlation would differ
        linear(65, 30),
        linear(65, -80),
        linear(150, 90),  # a single column, longer than OpenCV sums up at once
        defocus(14),  # so many weights that Fourier's way is the shorter one
    ],
    ids=["trajectory", "flat line", "steep line", "column", "disc"],
)
def test_blur_is_a_true_convolution_with_mirrored_edges(photo: np.ndarray, kernel: np.ndarray) -> None:
    sharp = np.tile(photo, (2, 2, 1))[:200, :300].astype(np.float32) / 255  # more than one tile each way
    expected = signal.convolve(
        np.pad(sharp, [(len(kernel) // 2,) * 2] * 2 + [(0, 0)], "reflect"), kernel[..., None], "valid"
    )
    np.testing.assert_allclose(convolve(sharp, kernel), expected, atol=2e-6)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_integers_are_rounded_half_up_once(dtype: type, top: int) -> None:
    row = np.array([[0, 0, 0, 1, 2, top, top, top]], dtype)
    mean_of_two = np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0, 0]], np.float32)  # of a pixel and the one to its right
    tall = np.repeat(row, 3, axis=0)
    expected = [0, 0, 1, 2, (top + 3) // 2, top, top, top]
    np.testing.assert_array_equal(convolve(tall, mean_of_two), [expected] * 3)


def test_weights_below_zero_do_not_wrap_around() -> None:
    sharpening = np.array([[0, 0, 0], [-1, 3, -1], [0, 0, 0]], np.float32)
    step = np.repeat(np.array([[10, 10, 250, 250]], np.uint8), 3, axis=0)
    np.testing.assert_array_equal(convolve(step, sharpening), [[10, 0, 255, 250]] * 3)


def test_a_large_image_is_blurred_like_its_parts(photo: np.ndarray) -> None:
    large = np.tile(photo, (4, 4, 1))  # large enough for threads
    kernel = linear(33, 20)
    radius = len(kernel) // 2
    part = np.s_[300:460, 400:500]
    around = large[300 - radius : 460 + radius, 400 - radius : 500 + radius]
    assert np.abs(convolve(large, kernel)[part].astype(int) - convolve(around, kernel, "valid")).max() <= 1


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
