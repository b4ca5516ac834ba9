"""Weights published elsewhere: networks written down here as upstream lays them out must give the same images as ours."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.inference.image import restore_image
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_rgb8
from restorekit.models import registry
from restorekit.weights import state_dict
from restorekit.weights.load import load_model
from restorekit.weights.manifest import load_manifest


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def shaken(model: nn.Module) -> nn.Module:
    """Random weights that make a difference, running statistics too."""
    torch.manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if name.endswith("var") else torch.randn_like(tensor) * 0.1)
    return model


def loaded(name: str, state: dict[str, Tensor]) -> nn.Module:
    recognised = registry.from_upstream(name, state)
    assert recognised is not None
    config, converted = recognised
    model = registry.build(name, **config)
    state_dict.fit(model, converted, Path("upstream file"))
    return model.eval()


class UpstreamBlock(nn.Module):
    def __init__(self, n: int, dropout: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(n, n, 3),
            nn.InstanceNorm2d(n, track_running_stats=True),
            nn.ReLU(),
            *([nn.Dropout(0.0)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(n, n, 3),
            nn.InstanceNorm2d(n, track_running_stats=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class UpstreamDeblurGAN(nn.Module):
    def __init__(self, n: int, blocks: int, dropout: bool) -> None:
        super().__init__()

        def normed(layer: nn.Module, channels: int) -> list[nn.Module]:
            return [layer, nn.InstanceNorm2d(channels, track_running_stats=True), nn.ReLU()]

        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *normed(nn.Conv2d(3, n, 7), n),
            *normed(nn.Conv2d(n, 2 * n, 3, 2, 1), 2 * n),
            *normed(nn.Conv2d(2 * n, 4 * n, 3, 2, 1), 4 * n),
            *(UpstreamBlock(4 * n, dropout) for _ in range(blocks)),
            *normed(nn.ConvTranspose2d(4 * n, 2 * n, 3, 2, 1, output_padding=1), 2 * n),
            *normed(nn.ConvTranspose2d(2 * n, n, 3, 2, 1, output_padding=1), n),
            nn.ReflectionPad2d(3),
            nn.Conv2d(n, 3, 7),
            nn.Tanh(),
        )

    def forward(self, rgb: Tensor) -> Tensor:
        x = rgb * 2 - 1
        return ((x + self.model(x)).clamp(-1, 1) + 1) / 2


@pytest.mark.parametrize("dropout", [True, False])
def test_deblurgan_in_upstreams_layout(dropout: bool) -> None:
    theirs = shaken(UpstreamDeblurGAN(8, 3, dropout)).train()  # upstream tests in training mode
    rgb = noise(1, 3, 24, 32)
    state = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    with torch.no_grad():
        torch.testing.assert_close(loaded("deblurgan", state)(rgb), theirs(rgb), atol=1e-5, rtol=0)


class UpstreamResBlock(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(n, n, 5, padding=2), nn.ReLU(), nn.Conv2d(n, n, 5, padding=2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class UpstreamResNet(nn.Module):
    def __init__(self, inputs: int, n: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, n, 5, padding=2),
            *(UpstreamResBlock(n) for _ in range(blocks)),
            nn.Conv2d(n, 3, 5, padding=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class UpstreamUp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.uppath = nn.Sequential(nn.Conv2d(3, 12, 5, padding=2), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.uppath(x)


class UpstreamDeepDeblur(nn.Module):
    """Range 0..255 with its middle subtracted."""

    def __init__(self, n: int, blocks: int) -> None:
        super().__init__()
        self.body_models = nn.ModuleList(UpstreamResNet(inputs, n, blocks) for inputs in (6, 6, 3))
        self.conv_end_models = nn.ModuleList([nn.Identity(), UpstreamUp(), UpstreamUp()])

    def forward(self, rgb: Tensor) -> Tensor:
        levels = [F.avg_pool2d(rgb * 255, 2**level) - 127.5 for level in range(3)]
        x = levels[2]
        for level in (2, 1, 0):
            x = self.body_models[level](x)
            if level:
                x = torch.cat([levels[level - 1], self.conv_end_models[level](x)], dim=1)
        return ((x + 127.5) / 255).clamp(0, 1)


def test_deepdeblur_in_upstreams_layout() -> None:
    theirs = shaken(UpstreamDeepDeblur(8, 2)).double()
    rgb = noise(1, 3, 16, 24).double()
    with torch.no_grad():
        expected = theirs(rgb)
        assert expected.std() > 0.2  # the test would not see a wrong factor in a flat image
        torch.testing.assert_close(loaded("deepdeblur", theirs.state_dict()).double()(rgb), expected, atol=1e-5, rtol=0)


def spsr_layout(n: int, growth: int, blocks: int) -> dict[str, Tensor]:
    """Names and shapes of the official code's file for a scale of 1."""
    state: dict[str, Tensor] = {}

    def conv(name: str, before: int, after: int, side: int = 3) -> None:
        state[f"{name}.weight"] = torch.randn(after, before, side, side) * 0.1
        state[f"{name}.bias"] = torch.randn(after) * 0.1

    def rrdb(name: str, channels: int) -> None:
        for i in range(1, 4):
            for j in range(5):
                conv(f"{name}.RDB{i}.conv{j + 1}.0", channels + j * growth, growth if j < 4 else channels)

    conv("model.0", 3, n)
    for i in range(blocks):
        rrdb(f"model.1.sub.{i}", n)
    conv(f"model.1.sub.{blocks}", n, n)
    conv("HR_conv0_new.0", n, n)
    for part in ("weight", "bias"):
        state[f"model.2.{part}"] = state[f"HR_conv0_new.0.{part}"]
    conv("HR_conv1_new.0", n, n)
    state["get_g_nopadding.weight_h"] = state["get_g_nopadding.weight_v"] = torch.zeros(1, 1, 3, 3)
    conv("b_fea_conv.0", 3, n)
    for i in range(1, 5):
        rrdb(f"b_block_{i}", 2 * n)
        conv(f"b_concat_{i}.0", 2 * n, n)
    conv("b_LR_conv.0", n, n)
    conv("b_module.0", n, n)
    conv("b_module.2", n, n)
    conv("conv_w.0", n, 3, 1)
    rrdb("f_block", 2 * n)
    conv("f_concat.0", 2 * n, n)
    conv("f_HR_conv0.0", n, n)
    conv("f_HR_conv1.0", n, 3)
    return state


def test_spsr_without_enlargement_in_upstreams_layout() -> None:
    state = spsr_layout(8, 4, 23)
    model = loaded("spsr-deblur", state)
    assert torch.equal(model.blocks[3].blocks[1].convs[4].weight, state["model.1.sub.3.RDB2.conv5.0.weight"])
    assert torch.equal(model.fusion[4].bias, state["f_HR_conv1.0.bias"])


def dmphn_files(levels: int, stage: str = "") -> dict[str, Tensor]:
    """Random tensors of the authors' files, which number their layers."""
    generator = torch.Generator().manual_seed(2)
    shapes: dict[str, tuple[int, ...]] = {}
    for level in range(1, levels + 1):
        encoder, decoder = (f"{part}{stage}_lv{level}.layer" for part in ("encoder", "decoder"))
        for first, before, width in ((1, 3, 32), (5, 32, 64), (9, 64, 128)):
            shapes[f"{encoder}{first}"] = (width, before, 3, 3)
            blocks = [
                f"{encoder}{first + 1}",
                f"{encoder}{first + 2}",
                f"{decoder}{22 - first}",
                f"{decoder}{23 - first}",
            ]
            for block in blocks:
                shapes[f"{block}.0"] = shapes[f"{block}.2"] = (width, width, 3, 3)
        shapes |= {f"{decoder}16": (128, 64, 4, 4), f"{decoder}20": (64, 32, 4, 4), f"{decoder}24": (3, 32, 3, 3)}
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) / (9 * shape[1]) ** 0.5
        outputs = shape[1] if "layer16" in name or "layer20" in name else shape[0]
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) / 5
    return state


def authors_dmphn(files: dict[str, Tensor], rgb: Tensor) -> Tensor:
    """The 1-2 hierarchy: the halves first, then the whole."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        return F.conv2d(x, files[f"{name}.weight"], files[f"{name}.bias"], stride, 1)

    def blocks(x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = conv(conv(x, f"{name}.0").relu(), f"{name}.2") + x
        return x

    def encode(x: Tensor, root: str) -> Tensor:
        x = blocks(conv(x, f"{root}1"), f"{root}2", f"{root}3")
        x = blocks(conv(x, f"{root}5", 2), f"{root}6", f"{root}7")
        return blocks(conv(x, f"{root}9", 2), f"{root}10", f"{root}11")

    def decode(x: Tensor, root: str) -> Tensor:
        for first, second, up in ((13, 14, 16), (17, 18, 20)):
            x = blocks(x, f"{root}{first}", f"{root}{second}")
            x = F.conv_transpose2d(x, files[f"{root}{up}.weight"], files[f"{root}{up}.bias"], 2, 1)
        return conv(blocks(x, f"{root}21", f"{root}22"), f"{root}24")

    image, middle = rgb - 0.5, rgb.shape[2] // 2
    upper, lower = (encode(half, "encoder_lv2.layer") for half in (image[:, :, :middle], image[:, :, middle:]))
    maps = torch.cat([upper, lower], dim=2)
    residual = decode(maps, "decoder_lv2.layer")
    return decode(encode(image + residual, "encoder_lv1.layer") + maps, "decoder_lv1.layer") + 0.5


def test_dmphn_in_the_authors_files(tmp_path: Path) -> None:
    files = dmphn_files(2)
    for part in ("encoder_lv1", "encoder_lv2", "decoder_lv1", "decoder_lv2"):
        inside = {name.removeprefix(f"{part}."): tensor for name, tensor in files.items() if name.startswith(part)}
        torch.save(inside, tmp_path / f"{part}.pkl", _use_new_zipfile_serialization=False)
    (tmp_path / "readme.txt").write_text("not weights")
    model = load_model("dmphn", f"{tmp_path}/")
    model.module.training = True  # of this module alone: the output is not clipped
    rgb = noise(1, 3, 16, 24)
    with torch.no_grad():
        torch.testing.assert_close(model(rgb), authors_dmphn(files, rgb), atol=1e-4, rtol=1e-4)


DATA = Path(os.environ.get("RESTOREKIT_DATA", "nowhere")) / "real_blur"
DMPHN = load_manifest().find_remote("dmphn")


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="RESTOREKIT_DATA names no folder with real_blur")
@pytest.mark.skipif(not DMPHN.is_here, reason="`restorekit models fetch dmphn` has not been run")
@pytest.mark.parametrize("name", ["000002.png", "000005.png", "000014.png"])
def test_dmphn_gives_what_its_authors_published(name: str) -> None:
    restored = restore_image(
        read_rgb8(DATA / "dmphn_inputs" / name), model="dmphn", settings=Settings(precision="fp32")
    )
    published = read_rgb8(DATA / "dmphn_outputs" / name).astype(int)
    assert abs(restored.astype(int) - published).max() <= 1


def test_dmphn_tells_its_levels_and_stages_by_the_names() -> None:
    stacked = dmphn_files(3, "_s1") | dmphn_files(3, "_s2")
    recognised = registry.from_upstream("dmphn", stacked)
    assert recognised is not None
    config, converted = recognised
    assert config == {"levels": 3, "stages": 2}
    assert torch.equal(converted["stages.1.decoders.2.5.bias"], stacked["decoder_s2_lv3.layer20.bias"])
    assert registry.from_upstream("dmphn", dmphn_files(4))[0] == {"levels": 4, "stages": 1}
    assert registry.from_upstream("dmphn", {"layer1.weight": noise(1)}) is None


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("deblurgan", lambda: UpstreamDeblurGAN(8, 2, True).state_dict()),
        ("deepdeblur", lambda: UpstreamDeepDeblur(8, 2).state_dict()),
        ("spsr-deblur", lambda: spsr_layout(8, 4, 20)),
    ],
)
def test_a_missing_or_strange_tensor_is_named_and_other_files_are_not_recognised(
    name: str, make: Callable[[], dict[str, Tensor]]
) -> None:
    state = dict(make())
    last = max(key for key in state if key.endswith("bias") and "model.2" not in key)
    for broken, word in (
        ({k: v for k, v in state.items() if k != last}, "missing"),
        (state | {"x": noise(1)}, "unexp"),
    ):
        recognised = registry.from_upstream(name, broken)
        assert recognised is not None
        config, converted = recognised
        with pytest.raises(WeightsError, match=word):
            state_dict.fit(registry.build(name, **config), converted, Path("file"))
    assert registry.from_upstream(name, {"some.weight": noise(2, 2)}) is None


def relu_conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 5, stride, 2), nn.ReLU())


class PortBlock(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = relu_conv(n, n), nn.Sequential(nn.Conv2d(n, n, 5, 1, 2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x))


class PortStage(nn.Module):
    """The port's encoder, decoder and output stages: a convolution before or behind three blocks."""

    def __init__(self, n: int, name: str, layer: nn.Module, first: bool) -> None:
        super().__init__()
        self.add_module(name, layer)
        self.resblock_stack = nn.Sequential(*(PortBlock(n) for _ in range(3)))
        self.name, self.first = name, first

    def forward(self, x: Tensor) -> Tensor:
        layer = getattr(self, self.name)
        return self.resblock_stack(layer(x)) if self.first else layer(self.resblock_stack(x))


class PortLSTM(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * n, 4 * n, 5, 1, 2)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = self.conv(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell


class PortSRN(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()

        def wide(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(nn.ConvTranspose2d(before, after, 5, 2, 2, 1), nn.ReLU())

        self.inblock = PortStage(n, "conv", relu_conv(6, n), True)
        self.eblock1 = PortStage(2 * n, "conv", relu_conv(n, 2 * n, 2), True)
        self.eblock2 = PortStage(4 * n, "conv", relu_conv(2 * n, 4 * n, 2), True)
        self.convlstm = PortLSTM(4 * n)
        self.dblock1 = PortStage(4 * n, "deconv", wide(4 * n, 2 * n), False)
        self.dblock2 = PortStage(2 * n, "deconv", wide(2 * n, n), False)
        self.outblock = PortStage(n, "conv", nn.Sequential(nn.Conv2d(n, 3, 5, 1, 2)), False)
        self.n = n

    def forward(self, rgb: Tensor) -> Tensor:
        def half(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)

        def double(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

        full = rgb * 2 - 1
        levels = [half(half(full)), half(full), full]
        estimate, hidden = (
            torch.zeros_like(levels[0]),
            torch.zeros(1, 4 * self.n, *(s // 16 for s in rgb.shape[2:])).to(rgb),
        )
        cell = hidden
        for level in levels:
            if level is not levels[0]:
                estimate, hidden, cell = double(estimate), double(hidden), double(cell)
            e1 = self.inblock(torch.cat([level, estimate], 1))
            e2 = self.eblock1(e1)
            hidden, cell = self.convlstm(self.eblock2(e2), hidden, cell)
            estimate = self.outblock(self.dblock2(self.dblock1(hidden) + e2) + e1)
        return ((estimate + 1) / 2).clamp(0, 1)


def test_srn_in_the_layout_of_its_pytorch_port() -> None:
    # In double: three scales of random layers blow up rounding.
    theirs, rgb = shaken(PortSRN(4)).double(), noise(1, 3, 32, 48).double()
    with torch.no_grad():
        expected = theirs(rgb)
        assert expected.std() > 0.05
        torch.testing.assert_close(loaded("srn", theirs.state_dict()).double()(rgb), expected, atol=1e-5, rtol=0)
    assert registry.from_upstream("srn", {"inblock.conv.0.weight": noise(1)}) is None


def tensorflow_variables(n: int, channels: int, lstm: bool) -> dict[str, Tensor]:
    """Names and shapes of the authors' variables: kernels (height, width, inputs, outputs)."""
    generator = torch.Generator().manual_seed(0)
    variables: dict[str, Tensor] = {}

    def add(scope: str, before: int, after: int, side: int = 5, transposed: bool = False) -> None:
        shape = (side, side, after, before) if transposed else (side, side, before, after)
        variables[f"g_net/{scope}/weights"] = torch.randn(shape, generator=generator) / (side * before**0.5)
        variables[f"g_net/{scope}/biases"] = torch.randn(after, generator=generator) / 10

    for level, (before, width) in enumerate(((2 * channels, n), (n, 2 * n), (2 * n, 4 * n)), start=1):
        add(f"enc{level}_1", before, width)
        for part in ("enc{}_2", "enc{}_3", "enc{}_4", "dec{}_3", "dec{}_2", "dec{}_1"):
            for index in (1, 2):
                add(f"{part.format(level)}/conv{index}", width, width)
    add("dec2_4", 4 * n, 2 * n, 4, transposed=True)
    add("dec1_4", 2 * n, n, 4, transposed=True)
    add("dec1_0", n, channels)
    if lstm:
        add("convLSTM/LSTM_conv", 8 * n, 16 * n, 3)
    return variables


def tensorflow_srn(variables: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """The authors' `generator`, layer by layer: (N,C,H,W) to the restored images of three scales."""

    def conv(x: Tensor, scope: str, stride: int = 1, padding: tuple[int, int] = (2, 2)) -> Tensor:
        kernel, bias = variables[f"g_net/{scope}/weights"], variables[f"g_net/{scope}/biases"]
        return F.conv2d(F.pad(x, (*padding, *padding)), kernel.permute(3, 2, 0, 1), bias, stride)

    def transposed(x: Tensor, scope: str) -> Tensor:
        kernel, bias = variables[f"g_net/{scope}/weights"], variables[f"g_net/{scope}/biases"]
        height, width = x.shape[-2:]
        total = torch.zeros(len(x), kernel.shape[2], 2 * height + 2, 2 * width + 2, dtype=x.dtype)
        for row in range(4):  # every input pixel is spread over 4x4 outputs, two apart
            for column in range(4):
                spread = torch.einsum("nihw,oi->nohw", x, kernel[row, column])
                total[..., row : row + 2 * height : 2, column : column + 2 * width : 2] += spread
        return total[..., 1:-1, 1:-1] + bias.view(1, -1, 1, 1)

    def blocks(x: Tensor, *scopes: str) -> Tensor:
        for scope in scopes:
            x = conv(conv(x, f"{scope}/conv1").relu(), f"{scope}/conv2") + x
        return x

    def resized(x: Tensor, factor: float) -> Tensor:
        """Source index = destination index / factor, without half pixels; clamped at the end."""
        for dim in (2, 3):
            position = torch.arange(int(x.shape[dim] * factor)) / factor
            low = position.floor().long()
            high = (low + 1).clamp(max=x.shape[dim] - 1)
            share = (position - low).to(x).view(-1, *[1] * (3 - dim))
            x = x.index_select(dim, low) * (1 - share) + x.index_select(dim, high) * share
        return x

    estimate, state, restored = image, None, []
    for factor in (0.25, 0.5, 1):
        blurred = resized(image, factor)
        estimate = resized(estimate, factor if not restored else 2)
        one = blocks(conv(torch.cat([blurred, estimate], 1), "enc1_1").relu(), "enc1_2", "enc1_3", "enc1_4")
        two = blocks(conv(one, "enc2_1", 2, (1, 2)).relu(), "enc2_2", "enc2_3", "enc2_4")
        three = blocks(conv(two, "enc3_1", 2, (1, 2)).relu(), "enc3_2", "enc3_3", "enc3_4")
        if "g_net/convLSTM/LSTM_conv/weights" in variables:
            cell, hidden = (torch.zeros_like(three),) * 2 if state is None else (resized(part, 2) for part in state)
            i, j, f, o = conv(torch.cat([three, hidden], 1), "convLSTM/LSTM_conv", 1, (1, 1)).chunk(4, 1)
            cell = cell * (f + 1).sigmoid() + i.sigmoid() * j.tanh()
            three = cell.tanh() * o.sigmoid()
            state = (cell, three)
        two = transposed(blocks(three, "dec3_3", "dec3_2", "dec3_1"), "dec2_4").relu() + two
        one = transposed(blocks(two, "dec2_3", "dec2_2", "dec2_1"), "dec1_4").relu() + one
        estimate = conv(blocks(one, "dec1_3", "dec1_2", "dec1_1"), "dec1_0")
        restored.append(estimate)
    return restored


@pytest.mark.parametrize(("channels", "lstm"), [(1, True), (1, False), (3, False)])
def test_srn_in_the_layout_of_the_authors_variables(channels: int, lstm: bool) -> None:
    variables = {name: value.double() for name, value in tensorflow_variables(2, channels, lstm).items()}
    rgb = noise(2, 3, 16, 32).double()
    planes = [rgb] if channels == 3 else [rgb[:, index : index + 1] for index in range(3)]
    model = loaded("srn", variables).double()
    with torch.no_grad():
        scales = zip(*(tensorflow_srn(variables, plane) for plane in planes), strict=True)
        expected = [torch.cat(scale, dim=1) for scale in scales]
        assert all(image.std() > 0.05 for image in expected)
        for ours, theirs in zip(model.pyramid(rgb), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_variable_of_srn_that_is_missing_is_named() -> None:
    variables = tensorflow_variables(1, 1, True)
    del variables["g_net/dec2_3/conv1/weights"]
    with pytest.raises(WeightsError, match=r"up1\.0\.0\.body\.0\.weight"):
        loaded("srn", variables)
