"""Folded networks compute what they computed."""

import pytest
import torch
from helpers import SMALL, noise, randomise
from torch import nn
from torch.nn.utils import parametrize

from restorekit.inference.folding import folded
from restorekit.models import registry


def shaken(name: str, **sizes: object) -> nn.Module:
    """Statistics and scales of every normalisation away from 0 and 1."""
    model = randomise(registry.build(name, **sizes))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight.data, part.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (part.bias.data, part.running_mean):
                tensor.uniform_(-0.3, 0.3)
    return model


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("dgf", SMALL["dgf"]),
        ("msdn", SMALL["msdn"]),
        ("srgan-em", SMALL["srgan-em"] | {"batch_norm": True}),
        ("srresnet", {"blocks": 2, "channels": 8}),
    ],
)
def test_folding_changes_nothing_but_the_layers(name: str, sizes: dict[str, object]) -> None:
    model, rgb = shaken(name, **sizes), noise(1, 3, 32, 40)
    names = model.state_dict().keys()
    with torch.no_grad():
        before = model(rgb)
        cheaper = folded(model)
        after = cheaper(rgb)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert not any(parametrize.is_parametrized(part) for part in cheaper.modules())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in cheaper.modules())
    assert cheaper.state_dict().keys() != names
    assert model.state_dict().keys() == names  # and it still works
    with torch.no_grad():
        torch.testing.assert_close(model(rgb), before, atol=1e-6, rtol=0)
        torch.testing.assert_close(folded(model)(rgb), after, atol=1e-6, rtol=0)
