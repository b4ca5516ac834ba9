"""The same facts are measured for every system: a new one is covered by being there."""

import numpy as np
import pytest
import torch
from helpers import SIDES, SMALL, learning_systems, measured_receptive_field, noise, randomise
from torch import Tensor, nn

from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models import registry
from restorekit.models.model import Model

NAMES = registry.names()
LEARNING = learning_systems()
MEASURED = [
    name
    for name in NAMES
    # The v2 systems have tests of their own; the first needs the running statistics, the second minutes.
    if registry.spec_of(name).receptive_field is not None and not name.startswith("deblurgan-v2")
]
AS_PUBLISHED = ("deepdeblur", "dgf", "dmphn", "sang", "spsr-deblur", "srn", "svrnn")
"""Deblurring systems that make the image anew instead of correcting it."""

THIN = {"channels": 4}
THIN_LITE = {"channels": 2, "gradient_channels": 2, "prenet_widths": (2, 2)}


def small(name: str) -> nn.Module:
    torch.manual_seed(0)
    return randomise(registry.build(name, **SMALL.get(name, {})))


def measured_macs(model: nn.Module, side: int) -> float:
    """Multiply-accumulates of all convolutions for one pixel of a side x side image; the network is on the meta device."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        points = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += points[:, 0].numel() * layer.weight.numel()

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.empty(1, 3, side, side, device="meta"))
    return total / side**2


@pytest.mark.parametrize("name", NAMES)
def test_spec_tells_the_parameters_and_the_work(name: str) -> None:
    for sizes in ({}, SMALL.get(name, {})):
        spec = registry.configure(name, **sizes)[1]
        with torch.device("meta"):
            model = registry.build(name, **sizes)
        assert sum(parameter.numel() for parameter in model.parameters()) == spec.parameters
        assert measured_macs(model, SIDES.get(name, 32)) == pytest.approx(spec.macs_per_pixel, rel=0, abs=0.5)


def finest_scale(model: nn.Module, rgb: Tensor) -> Tensor:
    """What a coarse-to-fine network gives at test time, unclipped."""
    return model.eval().pyramid(rgb)[-1]


def measured(name: str, options: dict[str, object], guess: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Radius of the receptive field that a network of these options has."""
    # Which of several values is the largest depends on the image; any of them may be.
    monkeypatch.setattr(
        nn.functional, "max_pool2d", lambda x, side, stride=None, *_, **__: nn.functional.avg_pool2d(x, side, stride)
    )
    _, spec = registry.configure(name, **options)
    # SRN's gradient stops between the scales, but only in training.
    forward = finest_scale if name == "srn" else nn.Module.__call__
    return measured_receptive_field(registry.build(name, **options), spec.size_multiple, guess, forward)


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_describes_the_default_configuration(name: str) -> None:
    assert registry.configure(name)[1] == registry.spec_of(name)


@pytest.mark.parametrize("name", MEASURED)
def test_receptive_field_is_what_the_spec_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = SMALL.get(name, {})
    radius = registry.configure(name, **sizes)[1].receptive_field
    assert radius is not None
    assert measured(name, sizes, radius, monkeypatch) == radius


@pytest.mark.parametrize(
    ("name", "options", "radius"),
    [
        ("deblurgan", {"channels": 2, "blocks": 3}, 35),
        ("deblurgan-v2-inception", {"filters": 4, "blocks": (1, 0, 0)}, 186),
        ("deblurgan-v2-inception", {"filters": 4, "blocks": (0, 1, 0)}, 218),
        ("deepdeblur", {"channels": 2, "blocks": 1, "scales": 1}, 8),
        ("deepdeblur", {"channels": 2, "blocks": 2, "scales": 3}, 96),
        ("deepdeblur", {"channels": 2, "blocks": 1, "scales": 4}, 152),
        ("dgf", {"growth": 2, "dilations": (3, 1, 2)}, 9),
        ("dn", {"channels": 2, "growth": 2, "levels": 2, "layers": 1}, 22),
        ("dn", {"channels": 2, "growth": 2, "levels": 3, "layers": 2}, 73),
        ("dn", {"channels": 2, "growth": 2, "levels": 5, "layers": 1}, 162),
        ("msdn", {"channels": 2, "growth": 2, "levels": 1, "layers": 1}, 42),
        ("msdn", {"channels": 2, "growth": 2, "levels": 3, "layers": 2}, 105),
        ("msdn", {"channels": 2, "growth": 2, "levels": 3, "layers": 2, "multi_scale": False}, 73),
        ("dn", {"channels": 2, "growth": 2, "levels": 3, "layers": 2, "decoder": "plain"}, 57),
        (
            "gggan",
            {**THIN, "modules": 3, "taps": (2, 3), "block": "rrdb", "prenet": "pixels", "prenet_widths": (2,)},
            87,
        ),
        ("gggan", {**THIN, "modules": 2, "taps": (1,), "prenet": "pixels", "prenet_widths": (2, 2, 2, 2)}, 86),
        ("gggan", {**THIN, "modules": 2, "taps": (2,), "prenet": "none"}, 43),
        ("gggan", {**THIN, "modules": 2, "gradient_branch": False, "prenet": "pixels", "prenet_widths": (2, 2)}, 34),
        ("gggan", {**THIN, "modules": 2, "taps": (1,), "prenet_widths": (2, 2, 2)}, 236),
        ("gggan", {"prenet_widths": (2, 2, 2), "trunk": False}, 204),
        ("gggan-lite", {**THIN_LITE, "blocks": 1, "taps": ()}, 112),
        ("gggan-lite", {**THIN_LITE, "blocks": 1, "taps": (1,)}, 128),
        ("gggan-lite", {**THIN_LITE, "blocks": 6, "taps": (1, 2, 3, 4, 5, 6)}, 160),
        ("gggan-lite", {**THIN_LITE, "blocks": 8}, 176),
        ("noroozi", {"widths": (4, 4, 4), "layers": 1}, 36),
        ("noroozi", {"widths": (4, 4, 4), "layers": 3}, 56),
        ("sang", {"channels": 2, "blocks": 4}, 20),
        ("srn", {"channels": 1, "form": "official", "lstm": False}, 1277),
        ("srn", {"channels": 1, "form": "port", "lstm": False}, 1287),
        ("srn", {"channels": 1, "form": "port", "lstm": True}, 1347),
    ],
)
def test_receptive_field_follows_the_depth(
    name: str, options: dict[str, object], radius: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.configure(name, **options)[1].receptive_field == radius
    assert measured(name, options, radius + 9, monkeypatch) == radius


@pytest.mark.parametrize("name", [name for name in NAMES if registry.spec_of(name).tiling == "exact"])
def test_tiled_equals_whole_for_every_exact_system(name: str) -> None:
    _, spec = registry.configure(name, **SMALL.get(name, {}))
    radius = spec.receptive_field
    rgb = noise(40, 2 * radius + 3 * spec.size_multiple + 100, 3).numpy()
    model = Model(small(name), spec)
    whole = Engine(model, Settings("cpu", tile=4096))(rgb)
    tiled = Engine(model, Settings("cpu", tile=2 * radius + 2 * spec.size_multiple + 30, overlap=radius))(rgb)
    np.testing.assert_allclose(tiled.pixels, whole.pixels, atol=1e-5)
    assert whole.info.tiles == 1
    assert tiled.info.tiles > 2
    assert not tiled.info.approximation


@pytest.mark.parametrize("name", [name for name in NAMES if registry.spec_of(name).task == "deblur"])
def test_untrained_network_returns_its_input(name: str) -> None:
    rgb = noise(1, 3, 33, 18)
    sizes = SMALL.get(name, {}) | ({"residual": True} if name == "sang" else {})
    model = registry.build(name, **sizes).eval()
    assert torch.equal(model(rgb), rgb) == (name not in AS_PUBLISHED or name == "sang")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1, 40), (33, 50)])
def test_any_size_keeps_its_shape_and_range(name: str, size: tuple[int, int]) -> None:
    scale = registry.spec_of(name).scale
    with torch.no_grad():
        restored = small(name)(noise(1, 3, *size))
    assert restored.shape == (1, 3, scale * size[0], scale * size[1])
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_three_is_three_batches_of_one(name: str) -> None:
    # In double: normalising maps of a few pixels by their own statistics blows up what float32 rounds differently.
    model, rgb = small(name).double(), noise(3, 3, 32, 48).double()
    with torch.no_grad():
        singles = torch.cat([model(image[None]) for image in rgb])
        torch.testing.assert_close(model(rgb), singles, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if registry.spec_of(name).blur == "none"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_and_close(name: str, dtype: torch.dtype) -> None:
    model, rgb = small(name), noise(1, 3, 48, 48)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        half = model(rgb).float()
    with torch.no_grad():
        full = model(rgb)
    assert registry.spec_of(name).half_precision
    assert torch.isfinite(half).all()
    assert (half - full).abs().mean() < 0.01


@pytest.mark.parametrize("name", LEARNING)
def test_state_dict_round_trip_and_same_seed_same_network(name: str) -> None:
    first, second = small(name), small(name)
    rgb = noise(1, 3, 32, 32)

    def equal() -> bool:
        one, two = (model.predict(rgb) if registry.spec_of(name).estimates else model(rgb) for model in (first, second))
        return torch.equal(one, two)

    with torch.no_grad():
        assert equal()
        nn.init.constant_(next(second.parameters()), 0.1)
        assert not equal()
        second.load_state_dict(first.state_dict())
        assert equal()


@pytest.mark.parametrize("name", [name for name in LEARNING if not registry.spec_of(name).estimates])
def test_steps_of_an_optimiser_lower_the_loss(name: str) -> None:
    model, spec = small(name), registry.spec_of(name)
    rgb = noise(1, 3, 32, 32)
    target = torch.full((1, 3, 32 * spec.scale, 32 * spec.scale), 0.4)
    model.training = True  # unclipped, but without batch statistics and dropout
    optimiser = torch.optim.Adam(model.parameters(), 1e-4)
    losses = []
    for _ in range(4):
        loss = (model(rgb).float() - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_ablations_of_gggan_leave_out_what_they_say() -> None:
    rgb = noise(1, 3, 16, 16)
    full = registry.build("gggan", **SMALL["gggan"])
    for config, part in (({"prenet": "none"}, "prenet"), ({"gradient_branch": False}, "gradient_head")):
        model = registry.build("gggan", **{**SMALL["gggan"], **config})
        assert any(key.startswith(part) for key in full.state_dict())
        assert not any(key.startswith(part) for key in model.state_dict())
        assert model(rgb).shape == rgb.shape
    dense = registry.build("gggan", **{**SMALL["gggan"], "block": "rrdb"})
    assert dense(rgb).shape == rgb.shape
