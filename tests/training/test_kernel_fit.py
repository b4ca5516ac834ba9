"""Schuler's objective: the PSFs it draws, the blur they make, and the loss, by hand."""

import numpy as np
import pytest
import torch
from helpers import noise
from scipy import signal
from torch import Tensor, nn

from restorekit.training.objectives import kernel_fit
from restorekit.training.objectives.kernel_fit import LossWeights, Objective, Options, convolve_each, draw_kernels


def test_psfs_are_paths_about_the_middle() -> None:
    torch.manual_seed(0)
    kernels = draw_kernels(Options(side=17, sharp_share=0), 400)
    assert kernels.shape == (400, 17, 17)
    assert kernels.min() >= 0
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(400))
    place = torch.arange(17.0) - 8
    x, y = kernels.sum(1) @ place, kernels.sum(2) @ place
    assert x.abs().median() < 1e-3  # few paths are cut at an edge
    assert y.abs().median() < 1e-3
    spread = (kernels.sum(1) @ place.square() - x.square()).mean().sqrt()
    # The process deviates by 17 / 4 px, of which its mean takes a part away: with Matern's covariance about 0.44.
    assert 0.65 * 4.25 < spread < 0.85 * 4.25


def test_some_images_stay_sharp() -> None:
    torch.manual_seed(0)
    sharp = draw_kernels(Options(side=9, sharp_share=0.3), 1000)[:, 4, 4] > 0.999
    assert 0.25 < sharp.float().mean() < 0.35


def test_every_image_is_convolved_with_its_own_psf() -> None:
    torch.manual_seed(0)
    sharp, kernels = noise(3, 2, 21, 26), draw_kernels(Options(side=7, sharp_share=0), 3)
    blurred = convolve_each(sharp, kernels)
    for image, kernel, result in zip(sharp, kernels, blurred, strict=True):
        for channel, values in zip(image, result, strict=True):
            np.testing.assert_allclose(values, signal.convolve2d(channel, kernel, mode="valid"), atol=1e-5)


class Told(nn.Module):
    """Finds, in two stages, a PSF that is handed to it and one that is zero; remembers what it saw."""

    def __init__(self, kernels: Tensor) -> None:
        super().__init__()
        self.kernels = kernels

    def predict(self, rgb: Tensor) -> Tensor:
        self.seen = rgb
        return torch.stack([self.kernels, 0 * self.kernels], dim=1)


def test_the_loss_is_the_share_of_the_psf_that_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = torch.zeros(2, 5, 5)
    kernels[0, 2, 2] = 1
    kernels[1, 2, 1:4] = 1 / 3
    monkeypatch.setattr(kernel_fit, "draw_kernels", lambda *_: kernels)
    torch.manual_seed(0)
    sharp, model = noise(2, 3, 30, 30), Told(kernels)
    terms, restored = Objective(LossWeights(kernel=3), Options(side=5, noise=0.01)).generator_loss(model, sharp, sharp)
    # The first stage misses nothing, the second everything.
    assert float(terms["kernel"]) == pytest.approx(3 * 0.5)
    assert restored is sharp
    grain = model.seen[0] - sharp[0, :, 2:-2, 2:-2]
    assert float(grain.std()) == pytest.approx(0.01, rel=0.1)
    assert model.seen.min() >= 0
