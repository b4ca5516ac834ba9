"""Discriminators of the adversarial objectives."""

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


def test_the_other_discriminators_have_the_published_sizes() -> None:
    def count(discriminator: nn.Module) -> int:
        return sum(parameter.numel() for parameter in discriminator.parameters())

    assert count(VGG128()) == 14_502_281
    assert count(SangDiscriminator()) == 13_102_881
    assert count(NahDiscriminator()) == 10_725_216
    assert [count(SRGANEMDiscriminator(side)) for side in (64, 128)] == [48_142_273, 48_143_809]
