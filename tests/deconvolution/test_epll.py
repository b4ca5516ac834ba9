import numpy as np
import pytest
import torch
from helpers import noise

from restorekit.deconvolution.epll import PIXELS, Mixture, expect_patches


def mixture(components: int, rank: int, scale: float = 1.0) -> tuple[Mixture, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    factors = torch.randn(components, PIXELS, PIXELS, generator=random, dtype=torch.float64) * 0.05 * scale
    covariances = factors @ factors.mT
    log_shares = torch.randn(components, generator=random, dtype=torch.float64).log_softmax(0)
    return Mixture.of(log_shares, covariances, rank), log_shares, covariances


def test_a_patch_becomes_what_its_most_likely_gaussian_expects() -> None:
    made, log_shares, covariances = mixture(3, PIXELS)
    sigma, patches = 0.2, noise(9, 2, 8, 8).double().flatten(2)
    guide = patches.mean(1)
    denoised = made.denoise(patches, guide, sigma)
    noisy = covariances + sigma**2 * torch.eye(PIXELS)
    for patch, seen, result in zip(patches, guide, denoised, strict=True):
        z = seen - seen.mean()
        scores = [
            share - torch.logdet(matrix) / 2 - z @ torch.linalg.solve(matrix, z) / 2
            for share, matrix in zip(log_shares, noisy, strict=True)
        ]
        best = int(np.argmax(scores))
        for channel, expected in zip(patch, result, strict=True):
            mean = channel.mean()
            dense = covariances[best] @ torch.linalg.solve(noisy[best], channel - mean) + mean
            torch.testing.assert_close(expected, dense, rtol=0, atol=1e-5)


def test_directions_left_out_vary_alike() -> None:
    made, _, covariances = mixture(2, 20)
    values = torch.linalg.eigvalsh(covariances)
    torch.testing.assert_close(made.rest, values[:, :44].mean(1))
    torch.testing.assert_close(made.variances, values[:, 44:])


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("stride", [3, 4])
def test_patches_that_stay_give_the_scene(step: int, stride: int) -> None:
    free, _, _ = mixture(2, PIXELS, scale=1e4)
    scene = noise(2, 3, 26, 37).double()
    torch.testing.assert_close(expect_patches(scene, free, 0.01, stride, step), scene, rtol=0, atol=1e-5)
    tiny = scene[..., :7, :9]
    assert torch.equal(expect_patches(tiny, free, 0.01, stride, step), tiny)
