"""Discriminators of the adversarial objectives."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from restorekit.training.discriminators import (
    VGG128,
    NahDiscriminator,
    PatchGAN,
    SangDiscriminator,
    SRGANEMDiscriminator,
)


@pytest.mark.parametrize(("depth", "parameters"), [(3, 2_764_737), (5, 11_154_369)])
def test_patchgan_has_the_published_size(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in PatchGAN(depth).parameters()) == parameters


@pytest.mark.parametrize(("depth", "patch"), [(3, 70), (5, 286)])
def test_patchgan_scores_patches(depth: int, patch: int) -> None:
    """One score depends on a patch of the stated side, normalisation aside."""
    torch.manual_seed(0)
    discriminator = PatchGAN(depth).double()
    for index, layer in enumerate(discriminator.model):
        if isinstance(layer, nn.InstanceNorm2d):
            discriminator.model[index] = nn.Identity()
    rgb = torch.rand(1, 3, patch + 98, patch + 98, dtype=torch.float64, requires_grad=True)
    scores = discriminator(rgb)
    middle = scores.shape[-1] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], rgb)
    touched = gradient.abs().sum(dim=(0, 1)).nonzero()
    assert (touched.max(0).values - touched.min(0).values + 1).tolist() == [patch, patch]


def test_a_crop_of_256_has_35x35_scores_of_patches() -> None:
    with torch.no_grad():
        assert PatchGAN()(torch.zeros(2, 3, 256, 256)).shape == (2, 1, 35, 35)


@pytest.mark.slow
def test_the_other_discriminators_have_the_published_sizes() -> None:
    def count(discriminator: nn.Module) -> int:
        return sum(parameter.numel() for parameter in discriminator.parameters())

    assert count(VGG128()) == 14_502_281
    assert count(SangDiscriminator()) == 13_102_881
    assert count(NahDiscriminator()) == 10_725_216
    assert [count(SRGANEMDiscriminator(side)) for side in (64, 128)] == [48_142_273, 48_143_809]


def layers(discriminator: nn.Module) -> str:
    """Convolutions as side/stride:maps, normalisations and activations, linear layers as their outputs."""
    words = []
    for layer in discriminator.modules():
        if isinstance(layer, nn.Conv2d):
            bias = "" if layer.bias is not None else "-"
            words.append(f"{layer.kernel_size[0]}/{layer.stride[0]}:{layer.out_channels}{bias}")
        elif isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)):
            words.append(type(layer).__name__[0])
        elif isinstance(layer, nn.LeakyReLU):
            assert layer.negative_slope == 0.2
            words.append("a")
        elif isinstance(layer, nn.Linear):
            words.append(str(layer.out_features))
    return " ".join(words)


PRINTED = {
    "VGG-128": (
        VGG128,
        "3/1:64 a 4/2:64 B a 3/1:128 B a 4/2:128 B a 3/1:256 B a 4/2:256 B a 3/1:512 B a 4/2:512 B a 3/1:512 B a "
        "4/2:512 B a 100 a 1",
        128,
    ),
    "patches": (lambda: PatchGAN(3), "4/2:64 a 4/2:128 I a 4/2:256 I a 4/1:512 I a 4/1:1", None),
    "whole crop": (
        lambda: PatchGAN(5),
        "4/2:64 a 4/2:128 I a 4/2:256 I a 4/2:512 I a 4/2:512 I a 4/1:512 I a 4/1:1",
        None,
    ),
    "Sang": (
        SangDiscriminator,
        "3/1:32 a 3/2:32 a 3/1:64 a 3/2:64 a 3/1:128 a 3/2:128 a 3/1:256 a 3/2:256 a 3/1:512 a 3/2:512 a 1024 a 1",
        128,
    ),
    "Nah": (
        NahDiscriminator,
        "5/1:32- a 5/2:32- a 5/1:64- a 5/2:64- a 5/1:128- a 5/4:128- a 5/1:256- a 5/4:256- a 5/1:512- a 4/4:512- a 1/1:1-",
        256,
    ),
    "SR paper, Table 2": (
        lambda: SRGANEMDiscriminator(384),
        "4/2:64 a 4/2:128 B a 4/2:256 B a 4/2:512 B a 4/2:1024 B a 4/2:2048 B a 1/1:1024 B a 1/1:512 B a 1/1:128 B a "
        "3/1:128 B a 3/1:512 B a 1",
        384,
    ),
    "SR paper, with a gradient penalty": (
        lambda: SRGANEMDiscriminator(128, layer_norm=True),
        "4/2:64 a 4/2:128 G a 4/2:256 G a 4/2:512 G a 4/2:1024 G a 4/2:2048 G a 1/1:1024 G a 1/1:512 G a 1/1:128 G a "
        "3/1:128 G a 3/1:512 G a 1",
        128,
    ),
}


@pytest.mark.parametrize(("make", "printed", "side"), PRINTED.values(), ids=PRINTED)
def test_the_layers_are_those_of_the_papers(make: Callable[[], nn.Module], printed: str, side: int | None) -> None:
    with torch.device("meta"):
        discriminator = make()
        assert layers(discriminator) == printed
        if side:
            assert discriminator(torch.empty(2, 3, side, side)).shape == (2, 1)


@pytest.mark.slow
def test_the_sr_critic_begins_with_the_small_weights_of_its_code() -> None:
    torch.manual_seed(0)
    critic = SRGANEMDiscriminator(64)
    layers = [layer for layer in critic.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 12
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
    norms = [layer for layer in critic.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 10
    for norm in norms:
        assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
        assert norm.weight.std().item() == pytest.approx(0.02, rel=0.3)
