"""Schuler's stages a second time in NumPy, by hand where the answer is known, and what follows them."""

import math

import numpy as np
import pytest
import torch
from helpers import noise
from scipy import ndimage, signal
from scipy.fft import next_fast_len
from skimage import data
from torch import Tensor

from restorekit.degradation import psf
from restorekit.errors import UsageError
from restorekit.models import registry
from restorekit.models.deblur.schuler import Config, Schuler, Stage

PSF = psf.trajectory(np.random.default_rng(3), 12)
SMALL = Config(side=7, filters=5, pairs=3)


def with_random_weights(config: Config) -> Schuler:
    torch.manual_seed(1)
    model = Schuler(config).double().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, dtype=torch.float64))
    return model


def test_sizes_are_those_of_a_net_of_three_stages() -> None:
    first, second, third = Schuler(Config()).stages
    count = [sum(parameter.numel() for parameter in stage.parameters()) for stage in (first, second, third)]
    assert count == [3_106, 5_698, 5_698]


def second_writing(stage: Stage, images: np.ndarray, side: int) -> np.ndarray:
    """The PSF (side,side) of images (C,H,W), with Fourier transforms of whole numbers of pixels."""
    weights = {name: value.numpy() for name, value in stage.state_dict().items()}
    height, width = images.shape[1:]
    windows = [np.sin(np.pi * (np.arange(n) + 1) / (n + 1)) ** 0.5 for n in (height, width)]  # Hann is its square
    features = []
    for bank in weights["filter.weight"]:
        response = sum(ndimage.correlate(image, taps, mode="nearest") for image, taps in zip(images, bank, strict=True))
        features.append(np.tanh(response) * np.outer(*windows))
    x, y = (np.tensordot(weights[f"{name}.weight"][:, :, 0, 0], np.stack(features), 1) for name in ("sharp", "blurred"))
    size = next_fast_len(height + side, real=True), next_fast_len(width + side, real=True)
    x, y = np.fft.fft2(x, size), np.fft.fft2(y, size)
    power = (np.abs(x) ** 2).sum(0)
    half = power[:, : size[1] // 2 + 1].mean()
    kernel = np.fft.ifft2((x.conj() * y).sum(0) / (power + math.exp(weights["kernel_ridge"]) * half)).real
    around = np.arange(-(side // 2), side // 2 + 1)
    kernel = kernel[np.ix_(around, around)]
    return np.asarray(kernel / kernel.sum())


def test_the_first_stage_is_what_the_paper_says() -> None:
    model, grey = with_random_weights(SMALL), noise(1, 1, 40, 33).double()
    expected = second_writing(model.stages[0], grey[0].numpy(), 7)
    np.testing.assert_allclose(model.stages[0](grey)[0], expected, atol=1e-9)


def test_later_stages_see_luma_and_what_the_stage_before_restored() -> None:
    model, rgb = with_random_weights(SMALL), noise(1, 3, 40, 33).double()
    grey = np.tensordot([0.299, 0.587, 0.114], rgb[0].numpy(), 1)
    first = second_writing(model.stages[0], grey[None], 7)
    placed = np.zeros((40, 33))
    placed[:7, :7] = first
    otf = np.fft.fft2(np.roll(placed, (-3, -3), (0, 1)))
    ridge = math.exp(model.stages[0].image_ridge)
    restored = np.fft.ifft2(otf.conj() * np.fft.fft2(grey) / (np.abs(otf) ** 2 + ridge)).real
    second = second_writing(model.stages[1], np.stack([grey, restored]), 7)
    predicted = model.predict(rgb)
    assert predicted.shape == (1, 3, 7, 7)
    np.testing.assert_allclose(predicted[0, 0], first, atol=1e-9)
    np.testing.assert_allclose(predicted[0, 1], second, atol=1e-8)


def test_gradients_of_the_sharp_image_find_the_psf() -> None:
    sharp = data.camera()[60:260, 60:260] / 255
    radius = len(PSF) // 2
    blurred = signal.convolve(sharp, PSF.astype(float), mode="valid")
    stage = Stage(2, Config(side=17, filters=4, pairs=2)).double().requires_grad_(False)
    for parameter in (stage.filter.weight, stage.sharp.weight, stage.blurred.weight):
        parameter.zero_()
    # Filters 0 and 1 take the differences of the first image, 2 and 3 those of the second; tanh is straight there.
    for number, (image, down, across) in enumerate([(0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0)]):
        stage.filter.weight[number, image, 4, 4] = -0.01
        stage.filter.weight[number, image, 4 + down, 4 + across] = 0.01
    stage.blurred.weight[0, 0] = stage.blurred.weight[1, 1] = 1
    stage.sharp.weight[0, 2] = stage.sharp.weight[1, 3] = 1
    stage.kernel_ridge.fill_(math.log(1e-3))
    images = np.stack([blurred, sharp[radius:-radius, radius:-radius]])
    kernel = stage(torch.from_numpy(images)[None])[0].numpy()
    true = np.pad(PSF, 8 - radius)
    assert np.corrcoef(kernel.ravel(), true.ravel())[0, 1] > 0.99
    assert np.corrcoef(np.rot90(kernel, 2).ravel(), true.ravel())[0, 1] < 0.9


@pytest.mark.slow
def test_gradients_flow_through_both_quotients() -> None:
    model = Schuler(Config(side=3, stages=2, filters=2, pairs=1)).double()
    rgb = noise(1, 3, 10, 9).double().requires_grad_()
    assert torch.autograd.gradcheck(model.predict, (rgb,), atol=1e-6)
    model.predict(rgb)[:, -1].square().sum().backward()
    first, second = model.stages
    for parameter in (first.image_ridge, first.kernel_ridge, second.filter.weight):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize(
    "image",
    [torch.full((1, 3, 60, 70), 0.4), torch.full((1, 3, 60, 70), math.nan), noise(1, 3, 50, 300), noise(1, 3, 1, 1)],
    ids=["constant", "NaN", "small", "a pixel"],
)
def test_where_nothing_can_be_found_the_image_comes_back(image: Tensor) -> None:
    system = with_random_weights(Config()).float()
    assert system.estimate(image).is_identity
    assert torch.equal(system(image), image) or image.isnan().any()


def test_a_psf_has_an_odd_side() -> None:
    with pytest.raises(UsageError, match="odd side, not 16"):
        registry.build("schuler", side=16)
