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


@pytest.mark.parametrize(("log_shares", "gain"), [((0.0, 0.0), 0.5), ((-10.0, 0.0), 3.5 / 4)])
def test_what_is_rare_must_explain_a_patch_better(log_shares: tuple[float, float], gain: float) -> None:
    # Of variances 1 and 4 the first is likelier up to |z|^2 = 8/3 (32 log 4 + what it is more frequent): 118 and 92.
    eye = torch.eye(PIXELS, dtype=torch.float64)
    made = Mixture.of(torch.tensor(log_shares, dtype=torch.float64), torch.stack([0.5 * eye, 3.5 * eye]), PIXELS)
    z = torch.tensor([1.25, -1.25], dtype=torch.float64).repeat(PIXELS // 2)  # |z|^2 = 100
    denoised = made.denoise(z.view(1, 1, PIXELS), z[None], 0.5**0.5)
    torch.testing.assert_close(denoised[0, 0], gain * z)


def test_patches_lie_elsewhere_in_every_step() -> None:
    flat = Mixture.of(torch.zeros(1).double(), 1e-12 * torch.eye(PIXELS, dtype=torch.float64)[None], PIXELS)
    scene = noise(1, 1, 19, 19).double()  # three patches each way from any place
    left = [(expect_patches(scene, flat, 0.1, 4, step) == scene)[0, 0] for step in range(2)]
    assert not left[0][:16, :16].any()
    assert left[1][0].all()
    assert left[1][:, :3].all()
    assert not left[1][1:17, 3:19].any()
