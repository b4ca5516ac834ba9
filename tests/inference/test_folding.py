"""Folded networks compute what they computed."""

import pytest
import torch
from helpers import SMALL, noise, randomise
from torch import nn
from torch.nn.utils import parametrize

from restorekit.inference.folding import fold
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
    with torch.no_grad():
        before = model(rgb)
        after = fold(model)(rgb)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert not any(parametrize.is_parametrized(part) for part in model.modules())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())
