import numpy as np
import pytest
import torch
from helpers import noise

from restorekit.deconvolution.estimation import estimate_kernel
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.errors import UsageError


def unit(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two PSFs with the same middle."""
    side = 61
    placed = []
    for one in (a, b):
        top, left = ((side - length) // 2 for length in one.shape)
        placed.append(np.zeros((side, side)))
        placed[-1][top : top + one.shape[0], left : left + one.shape[1]] = one
    return float(np.vdot(*placed) / np.linalg.norm(placed[0]) / np.linalg.norm(placed[1]))


@pytest.mark.parametrize("kernel", [psf.trajectory(np.random.default_rng(3), 14), psf.linear(15, 30), psf.defocus(3)])
def test_the_psf_of_a_pair_is_found(photo: np.ndarray, kernel: np.ndarray) -> None:
    noisy = convolve(photo, kernel) + np.random.default_rng(0).normal(0, 1, photo.shape)
    found = estimate_kernel(unit(noisy), unit(photo), 31).psf
    assert correlation(found, kernel) > 0.98
    assert correlation(found[::-1, ::-1], kernel) < correlation(found, kernel) or np.allclose(
        kernel, kernel[::-1, ::-1]
    )
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert max(found.shape) <= len(kernel) + 4


def test_a_sharp_image_has_the_psf_of_a_point(photo: np.ndarray) -> None:
    assert estimate_kernel(unit(photo), unit(photo), 15).psf.tolist() == [[1]]


def test_a_shift_is_one_of_the_psf(photo: np.ndarray) -> None:
    found = estimate_kernel(unit(np.roll(photo, (2, -3), (0, 1))), unit(photo), 15).psf
    assert found.shape == (5, 7)
    assert found[4, 0] > 0.98


def test_pairs_that_tell_nothing_are_refused() -> None:
    image = noise(1, 3, 45, 50)
    for blurred, sharp, side, word in (
        (image, image[..., :-1], 15, "50x45"),
        (image, image, 14, "odd"),
        (image, image, 17, "third"),
        (image, torch.full_like(image, 0.5), 15, "no edges"),
    ):
        with pytest.raises(UsageError, match=word):
            estimate_kernel(blurred, sharp, side)
