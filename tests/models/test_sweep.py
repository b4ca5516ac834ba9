"""The same facts are measured for every system: a new one is covered by being there."""

import pytest
import torch
from helpers import SIDES, SMALL, randomise
from torch import Tensor, nn

from restorekit.models import registry

NAMES = registry.names()


def small(name: str) -> nn.Module:
    torch.manual_seed(0)
    return randomise(registry.build(name, **SMALL.get(name, {})))


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def measured_macs(model: nn.Module, side: int) -> float:
    """Multiply-accumulates of all convolutions for one pixel of a side x side picture."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        points = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += points[0, 0].numel() * layer.weight.numel()

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(noise(1, 3, side, side))
    return total / side**2


def measured_reach(model: nn.Module, divisor: int, guess: int) -> int:
    """Farthest input pixel, along an axis, that any output pixel of one cell of the grid depends on."""
    model.requires_grad_(False)
    margin = -(-(guess + 2 * divisor) // divisor) * divisor
    side = 2 * margin + divisor
    farthest = 0
    for at in (margin, margin + divisor - 1):
        rgb = noise(1, 3, divisor, side).double().requires_grad_()
        output = model(rgb)[0, :, 0, at].sum()
        (gradient,) = torch.autograd.grad(output, rgb)
        touched = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
        farthest = max(farthest, at - int(touched.min()), int(touched.max()) - at)
    return farthest


@pytest.mark.parametrize("name", NAMES)
def test_spec_tells_the_parameters_and_the_work(name: str) -> None:
    spec, model = registry.spec_of(name), registry.build(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.parameters
    assert measured_macs(model, SIDES.get(name, 32)) == pytest.approx(spec.macs_per_pixel, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_reach_is_what_the_spec_says(name: str) -> None:
    spec = registry.spec_of(name)
    assert measured_reach(randomise(registry.build(name), std=1e-3).double(), spec.divisor, spec.reach) == spec.reach


@pytest.mark.parametrize("name", NAMES)
def test_untrained_network_returns_its_input(name: str) -> None:
    rgb = noise(1, 3, 33, 18)
    assert torch.equal(registry.build(name, **SMALL.get(name, {})).eval()(rgb), rgb)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1, 40), (33, 50)])
def test_any_size_keeps_its_shape_and_range(name: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        restored = small(name)(noise(1, 3, *size))
    assert restored.shape == (1, 3, *size)
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_three_is_three_batches_of_one(name: str) -> None:
    # In double: normalising maps of a few pixels by their own statistics blows up what float32 rounds differently.
    model, rgb = small(name).double(), noise(3, 3, 32, 48).double()
    with torch.no_grad():
        singles = torch.cat([model(one[None]) for one in rgb])
        torch.testing.assert_close(model(rgb), singles, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_finite_and_close(name: str) -> None:
    model, rgb = small(name), noise(1, 3, 48, 48)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = model(rgb).float()
    with torch.no_grad():
        full = model(rgb)
    assert registry.spec_of(name).half_safe
    assert torch.isfinite(half).all()
    assert (half - full).abs().mean() < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip_and_same_seed_same_network(name: str) -> None:
    first, second = small(name), small(name)
    rgb = noise(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(first(rgb), second(rgb))
        nn.init.constant_(next(second.parameters()), 0.1)
        assert not torch.equal(first(rgb), second(rgb))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(rgb), second(rgb))


def test_ablations_of_gggan_leave_out_what_they_say() -> None:
    rgb = noise(1, 3, 16, 16)
    full = registry.build("gggan", **SMALL["gggan"])
    for config, part in (({"prenet": False}, "prenet"), ({"gradient_branch": False}, "gradient_head")):
        model = registry.build("gggan", **{**SMALL["gggan"], **config})
        assert any(key.startswith(part) for key in full.state_dict())
        assert not any(key.startswith(part) for key in model.state_dict())
        assert model(rgb).shape == rgb.shape
    dense = registry.build("gggan", **{**SMALL["gggan"], "block": "rrdb"})
    assert dense(rgb).shape == rgb.shape
