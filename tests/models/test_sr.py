"""Super-resolution systems: sizes of their variants, what they do before training, files that others publish."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SMALL, measured_receptive_field, noise, randomise
from scipy.io import savemat
from torch import Tensor, nn

from restorekit.errors import UsageError, WeightsError
from restorekit.imaging.resize import KERNELS, resize
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models import registry
from restorekit.models.layers import kaiming_init_
from restorekit.models.model import Provenance
from restorekit.models.upsampling import enlarge
from restorekit.weights import load
from restorekit.weights.load import load_model
from restorekit.weights.manifest import Manifest, load_manifest

COUNTS = [
    ("bicubic", {}, 0),
    ("srcnn", {"middle": 1}, 8_129),
    ("srcnn", {"middle": 3}, 24_513),
    ("srcnn", {"middle": 5}, 57_281),
    ("espcn", {"scale": 2}, 21_284),
    ("espcn", {"scale": 3}, 22_729),
    ("espcn", {"scale": 4}, 24_752),
    ("vdsr", {}, 665_921),
    ("vdsr", {"bias": False}, 664_704),
    ("drrn", {}, 310_659),
    ("drrn", {"units": 9}, 302_467),
    ("dsrn", {"scale": 2}, 732_035),
    ("dsrn", {"scale": 3}, 813_955),
    ("dsrn", {"scale": 4}, 928_643),
    ("srresnet", {}, 1_549_462),
    ("srresnet", {"batch_norm": False, "trunk": "none", "slopes": "channel"}, 1_546_435),
    ("srgan-em", {"scale": 2}, 1_369_475),
    ("srgan-em", {"batch_norm": True}, 1_521_475),
    ("esrgan", {}, 16_697_987),
    ("esrgan", {"blocks": 6}, 4_467_779),
    ("esrgan", {"scale": 2}, 16_703_171),
    ("compact", {"scale": 2}, 600_652),
    ("compact", {"convolutions": 32}, 1_213_296),
    ("compact", {"convolutions": 32, "scale": 2}, 1_192_524),
    ("spsr", {}, 24_796_230),
]
"""Of weights and biases, normalisation's included: counted in the papers' tables and the authors' files."""

RECEPTIVE_FIELDS = [
    *(
        ("bicubic", {"variant": kernel, "scale": 3}, radius)
        for kernel, radius in zip(KERNELS, (2, 2, 1, 3, 0), strict=True)
    ),
    *(("srcnn", {"middle": middle, "scale": 2}, radius) for middle, radius in ((1, 5), (3, 5), (5, 6))),
    ("srcnn", {"middle": 1, "scale": 4}, 3),
    ("srcnn", {"scale": 3}, 4),
    ("srcnn", {"scale": 4}, 4),
    ("vdsr", {"scale": 2, "channels": 2}, 12),
    ("vdsr", {"scale": 3, "channels": 2}, 8),
    ("drrn", {"channels": 2}, 15),
    ("drrn", {"channels": 2, "units": 9, "scale": 2}, 12),
    ("dsrn", {"channels": 2, "scale": 2}, 12),
    ("dsrn", {"channels": 2, "scale": 3}, 12),
    ("dsrn", {"channels": 2, "scale": 4, "states": 2}, 2),
    ("dsrn", {"channels": 2, "scale": 2, "states": 9}, 16),
    ("dsrn", {"channels": 2, "scale": 1, "states": 3}, 4),
    ("srresnet", {"channels": 2, "blocks": 5, "scale": 2}, 18),
    ("srresnet", {"channels": 2, "blocks": 5, "scale": 3}, 18),
    ("srgan-em", {"channels": 2, "blocks": 2, "scale": 2}, 7),
    ("srgan-em", {"channels": 2, "blocks": 2, "scale": 3}, 7),
    ("srgan-em", {"channels": 2, "blocks": 2, "scale": 8}, 8),
    ("esrgan", {"channels": 2, "growth": 2, "blocks": 1, "scale": 2}, 2 * 19),
    ("esrgan", {"channels": 2, "growth": 2, "blocks": 1, "scale": 1}, 4 * 19),
    ("esrgan", {"channels": 2, "growth": 2, "blocks": 1, "scale": 2, "doublings": 1}, 19),
    ("spsr", {"channels": 2, "growth": 2, "blocks": 1, "taps": (1,), "scale": 2}, 44),
    ("spsr", {"channels": 2, "growth": 2, "blocks": 1, "taps": (1,), "scale": 3}, 40),
]

SCALES = {
    "bicubic": (2, 3, 4, 5),
    "srcnn": (2, 3, 4),
    "vdsr": (2, 3, 4),
    "drrn": (2, 3, 4),
    "dsrn": (2, 3, 4),
    "srresnet": (2, 3, 4, 8),
    "srgan-em": (2, 3, 4, 8),
    "esrgan": (1, 2, 4),
    "spsr": (2, 3, 4),
}


def narrow(name: str, **config: object) -> nn.Module:
    torch.manual_seed(0)
    return randomise(registry.build(name, **SMALL.get(name, {}) | config))


@pytest.mark.parametrize(("name", "config", "count"), COUNTS)
def test_variants_have_the_parameters_of_their_papers(name: str, config: dict[str, object], count: int) -> None:
    model = registry.build(name, **config)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_drrn_without_normalisation_is_the_297k_of_its_paper() -> None:
    for units, buffers in ((9, 4_866), (25, 13_058)):
        model = registry.build("drrn", units=units)
        norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
        affine = sum(norm.weight.numel() + norm.bias.numel() for norm in norms)
        assert affine == sum(norm.running_mean.numel() + norm.running_var.numel() for norm in norms) == buffers
        assert sum(parameter.numel() for parameter in model.parameters()) - affine == 297_601


@pytest.mark.parametrize(("name", "config", "radius"), RECEPTIVE_FIELDS)
def test_receptive_field_of_a_variant_is_what_its_spec_says(name: str, config: dict[str, object], radius: int) -> None:
    _, spec = registry.configure(name, **config)
    assert spec.receptive_field == radius
    assert measured_receptive_field(registry.build(name, **config), spec.size_multiple, radius + 2) == radius


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_builds_and_others_are_refused(name: str) -> None:
    for scale in SCALES[name]:
        spec = registry.configure(name, **SMALL.get(name, {}) | {"scale": scale})[1]
        assert spec.scale == scale
        with torch.no_grad():
            assert narrow(name, scale=scale)(noise(1, 3, 5, 7)).shape == (1, 3, 5 * scale, 7 * scale)
    if not spec.every_scale and name not in ("srcnn", "dsrn"):  # those three enlarge bicubically or in one step
        with pytest.raises(UsageError):
            registry.configure(name, scale=5)


@pytest.mark.parametrize("name", ["vdsr", "drrn", "dsrn"])
@pytest.mark.parametrize("scale", [2, 3])
def test_untrained_residual_networks_are_the_bicubic_enlargement(name: str, scale: int) -> None:
    model, rgb = registry.build(name, **SMALL[name] | {"scale": scale}).eval(), noise(1, 3, 9, 12)
    with torch.no_grad():
        torch.testing.assert_close(model(rgb), enlarge(rgb, scale).clamp(0, 1), atol=1e-5, rtol=0)


def test_untrained_srcnn_is_close_to_the_bicubic_enlargement_and_alive() -> None:
    torch.manual_seed(0)
    model, rgb = registry.build("srcnn"), noise(1, 3, 9, 12)
    restored = model(rgb)
    assert float((restored - enlarge(rgb, 4)).detach().abs().mean()) < 0.05
    restored.square().sum().backward()
    for layer in (model.patches, model.mapping):
        assert (layer.bias.grad != 0).float().mean() > 0.7


@pytest.mark.parametrize("layer", [nn.Conv2d(48, 64, 3, padding=1), nn.ConvTranspose2d(48, 64, 3, stride=3)])
def test_he_keeps_the_power_of_what_a_relu_passes(layer: nn.Module) -> None:
    torch.manual_seed(0)
    kaiming_init_(layer)
    passed = torch.randn(1, 48, 60, 60)
    with torch.no_grad():
        assert float(layer(passed.relu())[..., 2:-2, 2:-2].square().mean()) == pytest.approx(1, abs=0.1)


# Bicubic


@pytest.mark.parametrize("variant", KERNELS)
@pytest.mark.parametrize("border", ["symmetric", "replicate", "cut"])
def test_bicubic_is_the_exact_resizer_under_every_name(variant: str, border: str) -> None:
    rgb = noise(1, 3, 11, 7)
    for scale in (2, 3):
        model = registry.build("bicubic", scale=scale, variant=variant, border=border)
        wanted = resize(rgb[0].permute(1, 2, 0).numpy(), (11 * scale, 7 * scale), kernel=variant, border=border)  # type: ignore[arg-type]
        np.testing.assert_allclose(model.eval()(rgb)[0].permute(1, 2, 0).numpy(), wanted.clip(0, 1), atol=1e-6)


def test_bicubic_needs_no_weights_and_takes_none(tmp_path: Path) -> None:
    loaded = load_model("bicubic", scale=3)
    assert (loaded.provenance, loaded.spec.scale) == (Provenance("none needed", config={"scale": 3}), 3)
    rgb = (noise(20, 30, 3).numpy() * 255).round().astype(np.uint8)
    restored = Engine(load_model("bicubic", scale=3), Settings("cpu", tile=12))(rgb).pixels
    wanted = resize(rgb, (60, 90), round_each_axis=False)
    assert np.abs(restored.astype(int) - wanted).max() == 0
    assert load_model("bicubic", None).provenance.weights == "none needed"
    with pytest.raises(WeightsError, match="bicubic has no weights"):
        load_model("bicubic", tmp_path / "some.pth")
    with pytest.raises(UsageError, match="cubic-opencv"):
        registry.build("bicubic", variant="quintic")


# SRCNN's border


def test_srcnn_repeats_the_border_of_the_image_before_every_convolution() -> None:
    model, flat = narrow("srcnn"), torch.full((1, 1, 20, 20), 0.4)
    with torch.no_grad():
        repaired = model.repair(flat)
    assert float(repaired.max() - repaired.min()) < 1e-6


# The scale of weights


def saved(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, tmp_path / "x.pth")
    return tmp_path / "x.pth"


def test_weights_are_refused_for_another_scale_unless_they_serve_all(tmp_path: Path) -> None:
    leftthomas = saved(tmp_path, leftthomas_state(blocks=1, scale=2, channels=4))
    assert load_model("srresnet", leftthomas).spec.scale == 2
    assert load_model("srresnet", leftthomas, scale=2).spec.scale == 2
    with pytest.raises(WeightsError, match="enlarge by 2, not by 4"):
        load_model("srresnet", leftthomas, scale=4)
    vdsr = saved(tmp_path, vdsr_state())
    assert [load_model("vdsr", vdsr, scale=scale).spec.scale for scale in (2, 3, 4)] == [2, 3, 4]


def test_the_manifest_tells_the_scale_where_a_file_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path))
    entry = load_manifest().find_remote("srcnn", "9-1-5-x3").model_copy(update={"sha256": None})
    entry.path.parent.mkdir(parents=True)
    savemat(entry.path, matlab_arrays(1))
    monkeypatch.setattr(load, "load_manifest", lambda: Manifest(remote=(entry,)))
    assert load_model("srcnn").spec.scale == load_model("srcnn", scale=3).spec.scale == 3
    with pytest.raises(WeightsError, match="enlarge by 3, not by 2"):
        load_model("srcnn", "9-1-5-x3", scale=2)
    with pytest.raises(WeightsError):
        load_model("srcnn", scale=2)


# Files that others publish


def vdsr_state(layers: int = 5, channels: int = 4, bias: bool = False) -> dict[str, Tensor]:
    state = {"input.weight": torch.randn(channels, 1, 3, 3), "output.weight": torch.randn(1, channels, 3, 3)}
    state |= {f"residual_layer.{i}.conv.weight": torch.randn(channels, channels, 3, 3) for i in range(layers - 2)}
    biases = {key.replace("weight", "bias"): torch.randn(len(value)) for key, value in state.items()}
    return state | biases if bias else state


@pytest.mark.parametrize("bias", [False, True])
def test_vdsr_files_of_the_pytorch_port(tmp_path: Path, bias: bool) -> None:
    torch.manual_seed(0)
    state = vdsr_state(bias=bias)
    model = load_model("vdsr", saved(tmp_path, state)).module
    x = noise(1, 1, 8, 8)
    y = x
    for layer in ("input", *(f"residual_layer.{i}.conv" for i in range(3)), "output"):
        y = nn.functional.conv2d(y, state[f"{layer}.weight"], state.get(f"{layer}.bias"), padding=1)
        y = y if layer == "output" else y.relu()
    with torch.no_grad():
        torch.testing.assert_close(model.repair(x), x + y)


def matlab_arrays(middle: int) -> dict[str, np.ndarray]:
    shapes = {"weights_conv1": (81, 64), "weights_conv2": (64, middle**2, 32), "weights_conv3": (32, 25)}
    shapes |= {"biases_conv1": (64, 1), "biases_conv2": (32, 1), "biases_conv3": (1, 1)}
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("middle", [1, 3, 5])
def test_srcnn_files_of_matlab_are_unrolled_by_columns(tmp_path: Path, middle: int) -> None:
    arrays = matlab_arrays(middle)
    savemat(tmp_path / "x.mat", arrays)
    loaded = load_model("srcnn", tmp_path / "x.mat", scale=3)
    assert loaded.spec.scale == 3
    filters = {name: value.numpy() for name, value in loaded.module.state_dict().items()}
    # MATLAB's reshape(v, 9, 9) fills columns first: element (row, column) is v[row + 9 * column].
    assert filters["patches.weight"][7, 0, 2, 5] == arrays["weights_conv1"][2 + 9 * 5, 7]
    row, column = middle - 1, middle // 2
    assert filters["mapping.weight"][30, 11, row, column] == arrays["weights_conv2"][11, row + middle * column, 30]
    assert filters["reconstruction.weight"][0, 9, 1, 3] == arrays["weights_conv3"][9, 1 + 5 * 3]
    assert filters["mapping.bias"][3] == arrays["biases_conv2"][3, 0]


def leftthomas_state(blocks: int, scale: int, channels: int) -> dict[str, Tensor]:
    def conv(name: str, outputs: int, inputs: int, window: int) -> dict[str, Tensor]:
        weight = torch.randn(outputs, inputs, window, window) * (inputs * window**2) ** -0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.randn(outputs) * 0.1}

    n = channels
    state = conv("block1.0", n, 3, 9) | {"block1.1.weight": torch.rand(1)}
    for number in range(2, blocks + 2):
        for i in (1, 2):
            state |= conv(f"block{number}.conv{i}", n, n, 3)
            state |= {f"block{number}.bn{i}.{part}": torch.rand(n) for part in ("weight", "bias", "running_mean")}
            state |= {f"block{number}.bn{i}.running_var": torch.rand(n) + 0.5}
        state |= {f"block{number}.prelu.weight": torch.rand(1)}
    state |= conv(f"block{blocks + 2}.0", n, n, 3) | {f"block{blocks + 2}.1.weight": torch.rand(1)}
    end, steps = f"block{blocks + 3}", scale.bit_length() - 1
    for step in range(steps):
        state |= conv(f"{end}.{step}.conv", 4 * n, n, 3) | {f"{end}.{step}.prelu.weight": torch.rand(1)}
    return state | conv(f"{end}.{steps}", 3, n, 9)


def test_srgan_files_without_batch_counters(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = leftthomas_state(blocks=2, scale=4, channels=4)
    model = load_model("srresnet", saved(tmp_path, state)).module

    def conv(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.weight"]
        return nn.functional.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return nn.functional.batch_norm(x, mean, variance, weight, bias)

    rgb = noise(1, 3, 6, 5)
    x = head = nn.functional.prelu(conv(rgb, "block1.0"), state["block1.1.weight"])
    for block in ("block2", "block3"):
        y = nn.functional.prelu(norm(conv(x, f"{block}.conv1"), f"{block}.bn1"), state[f"{block}.prelu.weight"])
        x = x + norm(conv(y, f"{block}.conv2"), f"{block}.bn2")
    x = head + nn.functional.prelu(conv(x, "block4.0"), state["block4.1.weight"])
    for step in range(2):
        x = nn.functional.pixel_shuffle(conv(x, f"block5.{step}.conv"), 2)
        x = nn.functional.prelu(x, state[f"block5.{step}.prelu.weight"])
    with torch.no_grad():
        torch.testing.assert_close(model(rgb), (torch.tanh(conv(x, "block5.2")) + 1) / 2)


def esrgan_names(layout: str, blocks: int, doublings: int) -> dict[str, str]:
    """Our layers by the names that one public layout gives them."""
    dense = {
        "first": "model.1.sub.{}.RDB{}.conv{}.0",
        "later": "RRDB_trunk.{}.RDB{}.conv{}",
        "basicsr": "body.{}.rdb{}.conv{}",
    }[layout]
    names = {
        dense.format(i, j + 1, k + 1): f"blocks.{i}.blocks.{j}.convs.{k}"
        for i in range(blocks)
        for j in range(3)
        for k in range(5)
    }
    if layout == "first":
        names |= {"model.0": "head", f"model.1.sub.{blocks}": "trunk"}
        names |= {f"model.{3 + 3 * i}": f"up.{i}.conv" for i in range(doublings)}
        return names | {f"model.{2 + 3 * doublings}": "last.0", f"model.{4 + 3 * doublings}": "last.2"}
    trunk, up, large = ("trunk_conv", "upconv", "HRconv") if layout == "later" else ("conv_body", "conv_up", "conv_hr")
    names |= {"conv_first": "head", trunk: "trunk", large: "last.0", "conv_last": "last.2"}
    return names | {f"{up}{i + 1}": f"up.{i}.conv" for i in range(doublings)}


@pytest.mark.parametrize(
    ("layout", "scale", "doublings"),
    [
        ("first", 4, 2),
        ("first", 2, 1),
        ("first", 1, 0),
        ("later", 4, 2),
        ("basicsr", 4, 2),
        ("basicsr", 2, 2),
        ("basicsr", 1, 2),
    ],
)
def test_esrgan_files_of_all_layouts(tmp_path: Path, layout: str, scale: int, doublings: int) -> None:
    original = narrow("esrgan", scale=scale, doublings=doublings)
    ours = original.state_dict()
    theirs = {
        f"{name}.{part}": ours[f"{layer}.{part}"]
        for name, layer in esrgan_names(layout, 2, doublings).items()
        for part in ("weight", "bias")
    }
    assert len(theirs) == len(ours)
    torch.save({"params_ema": theirs}, tmp_path / "x.pth")
    loaded = load_model("esrgan", tmp_path / "x.pth")
    rgb = noise(1, 3, 8, 12)
    with torch.no_grad():
        assert torch.equal(loaded(rgb), original(rgb))
    assert (loaded.spec.scale, loaded.spec.size_multiple) == (scale, 2**doublings // scale)


SPSR = {"channels": 2, "growth": 2, "blocks": 20, "taps": (5, 10, 15, 20)}


def spsr_state(model: nn.Module, factors: int) -> dict[str, Tensor]:
    """The official names; upstream's `model` holds HR_conv0_new once more, and the gradient's kernels are no weights."""

    def dense(theirs: str, ours: str) -> dict[str, str]:
        return {
            f"{theirs}.RDB{j + 1}.conv{k + 1}.0": f"{ours}.blocks.{j}.convs.{k}" for j in range(3) for k in range(5)
        }

    names = {"model.0": "head", "model.1.sub.20": "trunk", "HR_conv0_new.0": "image_last.0"}
    names |= {f"model.{2 + 3 * factors}": "image_last.0", "HR_conv1_new.0": "image_last.2", "conv_w.0": "gradient_out"}
    names |= {"b_fea_conv.0": "gradient_head", "b_LR_conv.0": "gradient_trunk"}
    names |= {"f_concat.0": "fusion.1", "f_HR_conv0.0": "fusion.2", "f_HR_conv1.0": "fusion.4"}
    names |= dense("f_block", "fusion.0")
    for i in range(20):
        names |= dense(f"model.1.sub.{i}", f"blocks.{i}")
    for i in range(4):
        names |= dense(f"b_block_{i + 1}", f"gradient_blocks.{i}.0") | {f"b_concat_{i + 1}.0": f"gradient_blocks.{i}.1"}
    for i in range(factors):
        names |= {f"model.{3 + 3 * i}": f"image_up.{i}.conv", f"b_module.{1 + 3 * i}": f"gradient_up.{i}.conv"}
    names |= {f"b_module.{3 * factors}": "gradient_last.0", f"b_module.{3 * factors + 2}": "gradient_last.2"}
    ours = model.state_dict()
    kernels = {f"get_g_nopadding.weight_{way}": torch.zeros(1, 1, 3, 3) for way in "hv"}
    parts = ("weight", "bias")
    return kernels | {f"{name}.{part}": ours[f"{layer}.{part}"] for name, layer in names.items() for part in parts}


@pytest.mark.parametrize(("name", "scale", "factors"), [("spsr", 4, 2), ("spsr", 2, 1), ("spsr-deblur", 1, 0)])
def test_spsr_files_are_known_by_their_number_of_enlargements(
    tmp_path: Path, name: str, scale: int, factors: int
) -> None:
    original = narrow(name, **SPSR, **({"scale": scale} if factors else {}))
    state = spsr_state(original, factors)
    other = "spsr-deblur" if name == "spsr" else "spsr"
    assert registry.from_upstream(other, state) is None
    assert registry.from_upstream("esrgan", state) is None
    loaded = load_model(name, saved(tmp_path, state))
    rgb = noise(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(loaded(rgb), original(rgb))
    assert loaded.spec.scale == scale
