import numpy as np
import pytest
from scipy import ndimage

from restorekit.deconvolution import richardson_lucy, wiener
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.metrics import psnr

KERNEL = psf.trajectory(np.random.default_rng(3), 12)  # not symmetric: a turned PSF would be noticed


def test_wiener_is_its_formula(photo: np.ndarray) -> None:
    """conj(H) / (|H|^2 + r) in the Fourier domain, on the image with 3 K mirrored pixels around it."""
    image = to_unit(photo)
    margin = 3 * KERNEL.shape[0]
    padded = np.pad(image[..., 1].astype(float), margin, mode="reflect")
    placed = np.zeros_like(padded)
    placed[: KERNEL.shape[0], : KERNEL.shape[0]] = KERNEL
    spectrum = np.fft.fft2(np.roll(placed, (-(KERNEL.shape[0] // 2),) * 2, axis=(0, 1)))
    estimate = np.fft.ifft2(np.fft.fft2(padded) * spectrum.conj() / (abs(spectrum) ** 2 + 0.02)).real
    expected = estimate[margin:-margin, margin:-margin]
    np.testing.assert_allclose(wiener(image, KERNEL, noise_to_signal=0.02)[..., 1], expected, atol=1e-4)


def test_one_iteration_of_richardson_lucy_correlates_with_the_psf(photo: np.ndarray) -> None:
    """From a flat start u the first product is u * correlate(image / blur(u)) = correlate(image)."""
    image = to_unit(photo)
    expected = ndimage.correlate(image[..., 0].astype(float), KERNEL, mode="mirror")
    np.testing.assert_allclose(richardson_lucy(image, KERNEL, iterations=1)[..., 0], expected, atol=1e-4)


@pytest.mark.parametrize("deconvolve", [wiener, richardson_lucy])
def test_a_known_blur_is_undone_and_the_edges_do_not_ring(photo: np.ndarray, deconvolve: type) -> None:
    kernel = psf.linear(9, 20)
    blurred = convolve(photo, kernel)
    restored = from_unit(deconvolve(to_unit(blurred), kernel))
    assert restored.shape == photo.shape
    assert psnr(restored, photo) > psnr(blurred, photo) + 3
    at_edges = np.ones(photo.shape, bool)
    at_edges[4:-4, 4:-4] = False
    before, after = (np.square(image[at_edges].astype(float) - photo[at_edges]).mean() for image in (blurred, restored))
    assert after < 1.5 * before  # 11 times and more where the mirrored margin is only one PSF wide


def test_richardson_lucy_stays_between_black_and_white_where_wiener_rings() -> None:
    square = np.zeros((40, 40, 1), np.float32)
    square[15:25, 15:25] = 1
    blurred = convolve(square, KERNEL)
    assert wiener(blurred, KERNEL).min() < -0.01
    restored = richardson_lucy(blurred, KERNEL)
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("deconvolve", [wiener, richardson_lucy])
def test_a_black_image_stays_black(deconvolve: type) -> None:
    assert np.abs(deconvolve(np.zeros((20, 24, 3), np.float32), KERNEL)).max() < 1e-6
