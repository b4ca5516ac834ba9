"""Stored values: scikit-image 0.26, torchmetrics 1.9 and piq 0.8 on scikit-image's images (see each table)."""

import math

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from scipy.signal import convolve2d
from skimage import data
from skimage.metrics import structural_similarity

from restorekit import metrics
from restorekit.errors import UsageError
from restorekit.metrics import batched

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

# SSIM rgb, y-float, y, luma; scikit-image's default rgb; global rgb; MS-SSIM rgb by torchmetrics.
# Degradation: Gaussian blur of sigma 1.6, or noise of sigma 15.
STORED = {
    ("astronaut", "blur"): (0.85313, 0.87930, 0.87822, 0.86403, 0.86432, 0.98732, 0.97004),
    ("astronaut", "noise"): (0.49423, 0.71028, 0.70978, 0.61869, 0.51749, 0.98396, 0.91296),
    ("chelsea", "blur"): (0.82114, 0.84261, 0.84139, 0.82493, 0.83686, 0.97614, 0.96143),
    ("chelsea", "noise"): (0.47875, 0.67497, 0.67452, 0.64416, 0.51115, 0.91240, 0.90215),
    ("coffee", "blur"): (0.77025, 0.79574, 0.79439, 0.77594, 0.77836, 0.97729, 0.94739),
    ("coffee", "noise"): (0.48858, 0.68685, 0.68639, 0.65093, 0.50726, 0.97082, 0.88846),
}
PSNR = {  # rgb, rgb with 4 px cut, y-float, y, luma
    ("astronaut", "blur"): (26.316, 26.269, 27.824, 27.820, 26.497),
    ("chelsea", "blur"): (30.924, 30.803, 32.348, 32.329, 31.023),
    ("coffee", "noise"): (24.992, 24.994, 29.724, 29.714, 28.397),
}


def pair(name: str, degradation: str) -> tuple[np.ndarray, np.ndarray]:
    sharp = np.ascontiguousarray(getattr(data, name)())
    if degradation == "blur":
        return cv2.GaussianBlur(sharp, (0, 0), 1.6), sharp
    noise = np.random.default_rng(0).normal(0, 15, sharp.shape)
    return np.clip(np.rint(sharp + noise), 0, 255).astype(np.uint8), sharp


@pytest.mark.parametrize("case", STORED)
def test_every_ssim_equals_its_stored_value(case: tuple[str, str]) -> None:
    images = pair(*case)
    scores = [metrics.ssim(*images, colour=colour) for colour in ("rgb", "y-float", "y", "luma")]
    scores += [metrics.ssim_skimage(*images), metrics.ssim_global(*images)]
    assert scores == pytest.approx(STORED[case][:6], abs=2e-5)


@pytest.mark.parametrize("case", PSNR)
def test_every_psnr_equals_its_stored_value(case: tuple[str, str]) -> None:
    images = pair(*case)
    scores = [metrics.psnr(*images), metrics.psnr(*images, border=4)]
    scores += [metrics.psnr(*images, colour=colour) for colour in ("y-float", "y", "luma")]
    assert scores == pytest.approx(PSNR[case], abs=6e-4)


@pytest.mark.parametrize(("case", "tolerance"), [(case, 5e-4 if case[0] == "astronaut" else 2e-3) for case in STORED])
def test_ms_ssim_is_that_of_torchmetrics(case: tuple[str, str], tolerance: float) -> None:
    """Tools differ by up to 1.4e-3 where a side is not a multiple of 16."""
    assert metrics.ms_ssim(*pair(*case)) == pytest.approx(STORED[case][6], abs=tolerance)


def metrix_multiscale(a: np.ndarray, b: np.ndarray) -> float:
    """MeTriX MuX 1.1's MSSIM written down again, by SciPy and with every map."""
    wavelet = [0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830, 0.852698679008890]
    low_pass = np.outer(wavelet + wavelet[-2::-1], wavelet + wavelet[-2::-1])
    low_pass /= low_pass.sum()
    gauss = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(gauss, gauss) / gauss.sum() ** 2
    score = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            a, b = (convolve(image, low_pass, mode="reflect")[::2, ::2] for image in (a, b))
        mean_a, mean_b, square_a, square_b, product = (
            convolve2d(image, window, mode="valid") for image in (a, b, a * a, b * b, a * b)
        )
        deviation_a, deviation_b = np.sqrt(square_a - mean_a**2), np.sqrt(square_b - mean_b**2)
        score *= (
            np.mean((2 * deviation_a * deviation_b + 58.5225) / (deviation_a**2 + deviation_b**2 + 58.5225)) ** weight
        )
        score *= np.mean((product - mean_a * mean_b + 29.26125) / (deviation_a * deviation_b + 29.26125)) ** weight
    return float(score * np.mean((2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)) ** 0.1333)


@pytest.mark.parametrize("size", [(161, 161), (177, 200)])
@pytest.mark.parametrize("degradation", ["blur", "noise"])
def test_the_multi_scale_ssim_of_koehlers_script_is_that_of_its_package(
    size: tuple[int, int], degradation: str
) -> None:
    restored, sharp = (
        np.ascontiguousarray(image[: size[0], 60 : 60 + size[1]]) for image in pair("chelsea", degradation)
    )
    expected = metrix_multiscale(*(image @ [0.299, 0.587, 0.114] for image in (restored, sharp)))
    measured = metrics.ms_ssim_metrix(restored, sharp, colour="luma-float")
    assert measured == pytest.approx(expected, abs=1e-9)
    assert abs(measured - metrics.ms_ssim(*(np.pad(p, ((0, 16), (0, 16), (0, 0))) for p in (restored, sharp)))) > 1e-4


def test_a_negative_structure_counts_as_nothing() -> None:
    sharp = np.random.default_rng(0).integers(0, 256, (161, 161), np.uint8)
    assert metrics.ms_ssim_metrix(255 - sharp, sharp) == 0
    assert metrics.ms_ssim_metrix(sharp, sharp) == pytest.approx(1, abs=1e-12)


def test_ssim_matches_scikit_image_on_any_size() -> None:
    sharp = data.chelsea()
    for height, width in ((11, 11), (42, 53), (43, 12), (107, 300)):
        a, b = sharp[:height, :width], sharp[1 : height + 1, 2 : width + 2]
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        expected = structural_similarity(a, b, channel_axis=2, **options)
        assert metrics.ssim(np.ascontiguousarray(a), np.ascontiguousarray(b)) == pytest.approx(expected, abs=1e-10)


def test_small_images_are_refused_with_the_limit() -> None:
    small = np.zeros((175, 300, 3), np.uint8)
    with pytest.raises(UsageError, match="176 px"):
        metrics.ms_ssim(small, small)
    with pytest.raises(UsageError, match="161 px on a side, not 300x160"):
        metrics.ms_ssim_metrix(small[:160], small[:160])
    with pytest.raises(UsageError, match="7 px"):
        metrics.ssim_skimage(small[:6], small[:6])


def tensors(*images: np.ndarray, device: str = "cpu") -> list[torch.Tensor]:
    return [torch.from_numpy(np.stack([p, p[::-1].copy()])).permute(0, 3, 1, 2).to(device) / 255 for p in images]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize("case", STORED)
def test_batches_agree_with_float64(case: tuple[str, str], device: str) -> None:
    restored, sharp = pair(*case)
    batch = tensors(restored, sharp, device=device)
    expected = metrics.ssim(restored, sharp)
    assert batched.ssim(*batch).tolist() == pytest.approx([expected, expected], abs=1e-5)
    with_gradients = batched.ssim(batch[0].requires_grad_(), batch[1])  # the tensors' own way, on a CPU too
    assert with_gradients.tolist() == pytest.approx([expected, expected], abs=1e-5)
    assert batched.psnr(*batch).tolist() == pytest.approx([metrics.psnr(restored, sharp)] * 2, abs=1e-4)


def test_batches_know_identical_images_and_give_gradients() -> None:
    restored, sharp = tensors(*pair("chelsea", "blur"))
    assert batched.psnr(sharp, sharp).tolist() == [math.inf, math.inf]
    assert batched.ssim(sharp, sharp).tolist() == pytest.approx([1, 1], abs=1e-6)
    crop = restored[..., :48, :60].clone().requires_grad_()
    batched.ssim(crop, sharp[..., :48, :60]).mean().backward()
    assert crop.grad is not None
    assert crop.grad.abs().max() > 0
    with torch.no_grad():
        uphill = crop + 0.1 * crop.grad / crop.grad.abs().max()
        assert (batched.ssim(uphill, sharp[..., :48, :60]) > batched.ssim(crop, sharp[..., :48, :60])).all()
