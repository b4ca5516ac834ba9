"""How networks begin: the deviations that their papers or code give, computed here from the sizes of their layers."""

import math

import pytest
import torch
from torch import nn

from restorekit.models import registry


def untrained(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return registry.build(name, **options)


def deviation(layer: nn.Module) -> float:
    """Of a convolution's weights; its biases are zero."""
    assert layer.bias is None or not layer.bias.any()
    return float(layer.weight.detach().square().mean().sqrt())


def test_srgan_em_begins_with_a_deviation_of_a_fiftieth() -> None:
    model = untrained("srgan-em", batch_norm=True)
    weights = torch.cat([part.weight.detach().flatten() for part in model.modules() if isinstance(part, nn.Conv2d)])
    scales = torch.cat([part.weight.detach() for part in model.modules() if isinstance(part, nn.BatchNorm2d)])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.01)
    assert float(scales.mean()) == pytest.approx(1, abs=0.002)
    assert float(scales.std()) == pytest.approx(0.02, rel=0.1)
    assert not any(part.bias.any() for part in model.modules() if isinstance(part, (nn.Conv2d, nn.BatchNorm2d)))


@pytest.mark.parametrize(
    ("name", "layer", "inputs", "gain"),
    [
        # He et al.: the root of 2 / inputs of an output.
        ("vdsr", "body.2", 64 * 9, 1.0),
        ("drrn", "blocks.0.first", 128 * 9, 1.0),
        ("dsrn", "small.2", 128 * 9, 1.0),
        ("dsrn", "up", 128, 1.0),  # a transposed convolution whose windows do not overlap: one tap for an output
        ("dgf", "field.3.4", 256 * 9, 1.0),
        ("srcnn", "mapping", 64 * 25, 1.0),
        ("esrgan", "blocks.7.blocks.1.convs.2", 128 * 9, 0.1),  # ESRGAN, section 3.1
        # PyTorch's form of He's for a slope of 0.25, which compact's PReLUs begin with.
        ("compact", "body.4", 64 * 9, 1 / math.sqrt(1 + 0.25**2)),
    ],
)
def test_convolutions_begin_as_he_et_al_say(name: str, layer: str, inputs: int, gain: float) -> None:
    found = deviation(untrained(name).get_submodule(layer))
    assert found == pytest.approx(gain * math.sqrt(2 / inputs), rel=0.03)


def test_srcnns_first_maps_pass_the_enlargement_on() -> None:
    model = untrained("srcnn")
    for layer, side in ((model.patches, 9), (model.mapping, 5), (model.reconstruction, 5)):
        passed = torch.zeros(side, side)
        passed[side // 2, side // 2] = 1
        assert torch.equal(layer.weight[0, 0].detach(), passed)
    assert not model.mapping.weight[0, 1:].any()
    others = float(model.reconstruction.weight[0, 1:].detach().square().mean().sqrt())
    assert others == pytest.approx(0.01 * math.sqrt(2 / (32 * 25)), rel=0.05)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("gggan-lite", ["prenet_out", "advice", "fusion"]),
        ("noroozi", ["coarse.20", "middle.20", "fine.20"]),
        ("dn", ["out"]),
        ("msdn", ["out"]),
        ("deblurgan", ["out.1"]),
        ("deblurgan-v2", ["final"]),
        ("compact", ["body.34"]),
        ("vdsr", ["last"]),
        ("drrn", ["leave.1"]),
        ("dsrn", ["leave"]),
    ],
)
def test_what_corrects_begins_at_zero_and_nothing_else_does(name: str, layers: list[str]) -> None:
    parts = dict(untrained(name).named_modules())
    convolutions = {key for key, part in parts.items() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d))}
    assert {key for key in convolutions if not parts[key].weight.any()} == set(layers)
    for layer in layers:
        assert not parts[layer].bias.any()


@pytest.mark.parametrize(
    ("name", "layer", "deviation_of_a_weight"),
    [
        # Eight times what He et al. say, and for gong, which sees values up to 255, 128 times less.
        ("gong", "conv1", 8 / 128 * math.sqrt(2 / 147)),
        ("sun", "conv1", 8 * math.sqrt(2 / 147)),
    ],
)
def test_what_looks_for_blur_begins_blind_to_brightness(name: str, layer: str, deviation_of_a_weight: float) -> None:
    convolution = untrained(name).get_submodule(layer)
    assert deviation(convolution) == pytest.approx(deviation_of_a_weight, rel=0.05)
    weight = convolution.weight.detach()
    assert (weight.sum((2, 3)).abs() < 1e-4 * weight.abs().sum((2, 3))).all()


def test_schuler_begins_with_steep_edges_of_what_it_restored_and_straight_ones_of_what_is_blurred() -> None:
    first, second = untrained("schuler").stages[:2]
    ramp = torch.arange(9.0) - 4
    for stage, image in ((first, 0), (second, 1)):
        filters = stage.filter.weight.detach()
        assert not filters[:8, : image and 1].any()
        assert (filters.sum((2, 3)).abs() < 1e-3).all()
        steep, straight = filters[:8, image], filters[8:16, 0]
        torch.testing.assert_close(steep, 75 * straight)
        torch.testing.assert_close(straight.abs().sum((1, 2)), torch.full((8,), 4.0))
        across, down = ((straight * along).sum((1, 2)) for along in (ramp, ramp[:, None]))
        turn = torch.rad2deg(torch.atan2(-down, -across))  # convolution would turn them by 180 degrees
        torch.testing.assert_close(turn, torch.arange(8) * 22.5)
        others = torch.ones(32, dtype=torch.bool)
        others[:16] = False
        random = filters[others]
        assert float(random.square().mean().sqrt()) == pytest.approx(8 / math.sqrt(3 * 81 * (image + 1)), rel=0.05)
        for mix, start in ((stage.sharp, 0), (stage.blurred, 8)):
            chosen = mix.weight[:, start : start + 8, 0, 0].detach()
            assert (chosen.argmax(1) == torch.arange(8)).all()
            assert (chosen.diagonal() > 0.9).all()


@pytest.mark.parametrize(("name", "head", "still"), [("gong", "score", [0, 39 + 36]), ("sun", "label", [0])])
def test_labels_begin_with_no_motion_by_little(name: str, head: str, still: list[int]) -> None:
    layer = untrained(name).get_submodule(head)
    assert not layer.weight.any()
    assert layer.bias.nonzero()[:, 0].tolist() == still
    # Adam moves it by its rate, a thousandth a step: a large one is learned away instead of the motion.
    assert (layer.bias[still] <= 1).all()
    assert (layer.bias[still] > 0).all()


def test_slopes_begin_at_a_quarter() -> None:
    for name, options in (("srgan-em", {}), ("compact", {}), ("msdn", {"levels": 1, "layers": 1})):
        slopes = [value for key, value in untrained(name, **options).named_parameters() if "slope" in key]
        slopes += [part.weight for part in untrained(name, **options).modules() if isinstance(part, nn.PReLU)]
        assert slopes
        assert all((slope == 0.25).all() for slope in slopes)
