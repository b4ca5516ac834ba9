import math

import numpy as np
import pytest
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit.errors import UsageError
from restorekit.imaging.colour import convert
from restorekit.metrics import mse, psnr, ssim, ssim_skimage

SHARP = data.chelsea()


def noisy_pair(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    values = SHARP / 255 + np.random.default_rng(0).normal(0, 0.05, SHARP.shape)
    pair = [np.clip(image, 0, 1) for image in (values, SHARP / 255)]
    if dtype is np.float32:
        return pair[0].astype(dtype), pair[1].astype(dtype)
    return tuple((image * np.iinfo(dtype).max).astype(dtype) for image in pair)


@pytest.mark.parametrize(("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_psnr_and_ssim_match_scikit_image(dtype: type, peak: float) -> None:
    restored, sharp = noisy_pair(dtype)
    wide = (restored.astype(np.float64), sharp.astype(np.float64))
    assert psnr(restored, sharp) == pytest.approx(peak_signal_noise_ratio(wide[1], wide[0], data_range=peak), abs=1e-9)
    expected = structural_similarity(
        *wide, channel_axis=2, data_range=peak, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(restored, sharp) == pytest.approx(expected, abs=1e-10)


def test_the_y_metrics_match_scikit_image() -> None:
    restored, sharp = noisy_pair(np.uint8)
    y = [color.rgb2ycbcr(image)[..., 0] for image in (sharp, restored)]
    assert np.abs(convert(sharp, "y-float") - y[0]).max() < 1e-10
    assert psnr(restored, sharp, colour="y-float") == pytest.approx(
        peak_signal_noise_ratio(*y, data_range=255), abs=1e-9
    )
    rounded = [np.floor(plane + 0.5 + 1e-9).astype(np.uint8)[4:-4, 4:-4] for plane in y]  # its halves are not exact
    expected = peak_signal_noise_ratio(*rounded, data_range=255)
    assert psnr(restored, sharp, colour="y", border=4) == pytest.approx(expected, abs=1e-9)
    expected = structural_similarity(*rounded, data_range=255)
    assert ssim_skimage(restored, sharp, colour="y", border=4) == pytest.approx(expected, abs=1e-9)


def test_the_same_error_reads_lower_in_full_range_luma() -> None:
    sharp = np.full((64, 64, 3), 100, np.uint8)
    sharp[::2] += 80
    lower = psnr(sharp + np.uint8(8), sharp, colour="y-float") - psnr(sharp + np.uint8(8), sharp, colour="luma")
    assert lower == pytest.approx(20 * math.log10(255 / 219), abs=1e-9)


def test_identical_images_are_infinitely_close() -> None:
    assert psnr(SHARP, SHARP) == math.inf
    assert ssim(SHARP, SHARP) == pytest.approx(1, abs=1e-12)
    assert mse(SHARP, SHARP) == 0


@pytest.mark.parametrize("constant", [1, 7, 20])
def test_a_constant_error_has_its_known_psnr(constant: int) -> None:
    sharp = np.full((16, 16, 3), 100, np.uint8)
    assert psnr(sharp + np.uint8(constant), sharp) == pytest.approx(20 * math.log10(255 / constant), abs=1e-12)
    assert mse(sharp + np.uint8(constant), sharp) == constant**2


def test_both_are_symmetric_and_notice_a_shift_of_one_pixel() -> None:
    restored, sharp = noisy_pair(np.uint8)
    assert psnr(restored, sharp) == pytest.approx(psnr(sharp, restored), abs=1e-12)
    assert ssim(restored, sharp) == pytest.approx(ssim(sharp, restored), abs=1e-12)
    assert psnr(np.roll(sharp, 1, axis=1), sharp) < 35


def test_a_border_is_cut_on_every_side() -> None:
    restored = SHARP.copy()
    restored[:3], restored[-3:], restored[:, :3], restored[:, -3:] = 0, 0, 0, 0
    assert psnr(restored, SHARP, border=3) == math.inf
    assert psnr(restored, SHARP, border=2) < math.inf


def test_nothing_is_resized_or_converted_silently() -> None:
    with pytest.raises(UsageError, match="same size"):
        psnr(SHARP[:-1], SHARP)
    with pytest.raises(UsageError, match="same size"):
        ssim(SHARP.astype(np.uint16), SHARP)
    with pytest.raises(UsageError, match="11 px"):
        ssim(SHARP[:10], SHARP[:10])
    with pytest.raises(UsageError, match="Nothing"):
        psnr(SHARP, SHARP, border=150)
    with pytest.raises(UsageError, match="float64"):
        psnr(SHARP.astype(np.float64), SHARP.astype(np.float64))
