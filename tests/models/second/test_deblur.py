"""Second writings of the deblurring networks: plain functions of the weights, from the papers' figures and sizes.

DeblurGAN, DeepDeblur and SRN are compared with their authors' layers in `test_upstream.py`, Gong and Sun in their own files;
Schuler is written twice in `test_schuler.py`.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from helpers import noise
from plain_layers import Layers, gradient, join, leaky, nearest, rrdb, spsr, with_random_weights
from torch import Tensor

from restorekit.models import registry


def dgf(layers: Layers, rgb: Tensor) -> Tensor:
    head = maps = layers.conv(2 * rgb - 1, "head")
    for index, dilation in enumerate((1, 1, 1, 2, 1, 3, 1, 2, 1, 1)):
        narrow = layers.norm(layers.conv(leaky(maps), f"field.{index}.1"), f"field.{index}.2")
        grown = layers.conv(leaky(narrow), f"field.{index}.4", dilation=dilation)
        maps = join(maps, layers.norm(grown, f"field.{index}.5"))
    tail = layers.norm(layers.conv(leaky(maps), "tail.1"), "tail.2")
    image = layers.conv(leaky(layers.conv(head + tail, "out.0")), "out.2").tanh()
    return (image + 1) / 2


def dmphn(layers: Layers, rgb: Tensor, levels: int, stages: int) -> Tensor:
    """Maps stay those of the whole image; what sees a part of it is given that part alone."""
    grids = ((1, 1), (2, 1), (2, 2), (4, 2))  # parts down and across by level

    def residual_block(x: Tensor, name: str) -> Tensor:
        return x + layers.conv(layers.conv(x, f"{name}.body.0").relu(), f"{name}.body.2")

    def encode(x: Tensor, name: str) -> Tensor:
        for first in (0, 3, 6):
            x = layers.conv(x, f"{name}.{first}", stride=2 if first else 1)
            x = residual_block(residual_block(x, f"{name}.{first + 1}"), f"{name}.{first + 2}")
        return x

    def decode(x: Tensor, name: str) -> Tensor:
        for first in (0, 3, 6):
            x = residual_block(residual_block(x, f"{name}.{first}"), f"{name}.{first + 1}")
            x = layers.conv(x, f"{name}.8") if first == 6 else layers.transposed(x, f"{name}.{first + 2}", padding=1)
        return x

    def by_part(function: Callable[[Tensor, str], Tensor], x: Tensor, name: str, level: int) -> Tensor:
        down, across = grids[level]
        rows = [[function(part, name) for part in row.chunk(across, dim=3)] for row in x.chunk(down, dim=2)]
        return torch.cat([torch.cat(row, dim=3) for row in rows], dim=2)

    image, first, before = rgb - 0.5, None, [0.0] * levels
    for stage in range(stages):
        maps, correction = 0.0, 0.0
        for level in reversed(range(levels)):
            name = f"stages.{stage}.{{}}.{level}"
            maps = by_part(encode, image + correction, name.format("encoders"), level) + maps + before[level]
            correction = by_part(decode, maps, name.format("decoders"), max(level - 1, 0))
            if level == 1 and first is not None:
                correction = correction + first
            before[level] = maps
        image = correction
        first = image if first is None else first
    return image + 0.5


def noroozi(layers: Layers, rgb: Tensor) -> Tensor:
    def area(factor: int) -> Tensor:
        height, width = (side // factor for side in rgb.shape[-2:])
        return rgb.reshape(1, 3, height, factor, width, factor).mean((3, 5))

    x = layers.conv(rgb, "coarse.0", stride=2).relu()
    x = layers.conv(x, "coarse.2", stride=2).relu()
    for index in range(4, 20, 2):  # eight 3x3
        x = layers.conv(x, f"coarse.{index}").relu()
    estimate = layers.conv(x, "coarse.20") + area(4)
    for stage, blurred in (("middle", area(2)), ("fine", rgb)):
        x = layers.conv(estimate, f"{stage}.0").relu()
        for index in (2, 4, 6, 8):
            x = layers.conv(x, f"{stage}.{index}").relu()
        x = layers.transposed(x, f"{stage}.10", padding=1).relu()
        for index in (12, 14, 16, 18):
            x = layers.conv(x, f"{stage}.{index}").relu()
        estimate = layers.conv(x, f"{stage}.20") + blurred
    return estimate


def svrnn(layers: Layers, rgb: Tensor) -> Tensor:
    def swept(x: Tensor, weight: Tensor, direction: str) -> Tensor:
        turned = [side.transpose(2, 3) if direction in ("down", "up") else side for side in (x, weight)]
        x, weight = (side.flip(3) if direction in ("left", "up") else side for side in turned)
        columns = [(1 - weight[..., 0]) * x[..., 0]]
        for k in range(1, x.shape[3]):
            columns.append(weight[..., k] * columns[-1] + (1 - weight[..., k]) * x[..., k])
        h = torch.stack(columns, dim=3)
        h = h.flip(3) if direction in ("left", "up") else h
        return h.transpose(2, 3) if direction in ("down", "up") else h

    def doubled(x: Tensor) -> Tensor:
        for dim in (2, 3):
            place = torch.arange(2 * x.shape[dim])
            after = ((place + 1) // 2).clamp(max=x.shape[dim] - 1)
            x = (x.index_select(dim, place // 2) + x.index_select(dim, after)) / 2
        return x

    def vgg(x: Tensor, name: str, count: int) -> Tensor:
        for index in range(count):
            x = layers.conv(x, f"weights.{name}.{2 * index}").relu()
        return x

    half = vgg(F.max_pool2d(vgg(rgb, "encode_full", 2), 2), "encode_half", 2)
    quarter = vgg(F.max_pool2d(half, 2), "encode_quarter", 2)
    eighth = vgg(F.max_pool2d(vgg(quarter, "encode_quarter_last", 1), 2), "encode_eighth", 3)
    x = vgg(join(quarter, doubled(eighth)), "merge_quarter", 2)
    x = vgg(join(half, doubled(x)), "merge_half", 1)
    weights = layers.conv(x, "weights.out").tanh()

    full = leaky(layers.conv(rgb, "at_full"), 0.1)
    x = entered = layers.conv(full, "at_half", stride=2)
    n = x.shape[1]
    for stage in range(4):
        parts = [
            swept(x, weights[:, (4 * stage + index) * n : (4 * stage + index + 1) * n], direction)
            for index, direction in enumerate(("right", "left", "down", "up"))
        ]
        x = leaky(layers.conv(join(*parts), f"after.{stage}"), 0.1)
    x = leaky(layers.conv(join(entered, x), "merge_half"), 0.1)
    return layers.conv(join(full, doubled(x)), "out")


class DenseLayers(Layers):
    """Layers of Song and Wu."""

    def named(self, x: Tensor, name: str, up: bool = False) -> Tensor:
        """Convolution with weight norm, TPReLU."""
        length = self.state[f"{name}.0.parametrizations.weight.original0"]
        direction = self.state[f"{name}.0.parametrizations.weight.original1"]
        over = (0, 2, 3) if up else (1, 2, 3)
        weight = length * direction / (direction**2).sum(over, keepdim=True).sqrt()
        bias = self.state[f"{name}.0.bias"]
        if up:
            x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        else:
            x = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        slope, shift = (self.state[f"{name}.1.{part}"].view(1, -1, 1, 1) for part in ("slope", "shift"))
        return (x - shift).clamp(min=0) + slope * (x - shift).clamp(max=0) + shift

    def dense(self, x: Tensor, name: str, count: int) -> Tensor:
        """What a dense block adds to its input."""
        maps = x
        for index in range(count):
            maps = join(maps, self.named(maps, f"{name}.layers.{index}"))
        return maps[:, x.shape[1] :]


def dense(layers: Layers, rgb: Tensor, multi_scale: bool, decoder: str) -> Tensor:
    song = DenseLayers(layers.state)
    x = song.conv(2 * rgb - 1, "head")
    skips = []
    for level in range(4):
        x = song.named(join(x, song.dense(x, f"dense_down.{level}", 4)), f"down.{level}")
        skips.append(x)
        x = F.max_pool2d(x, 2)
    x = song.dense(x, "bottleneck", 8)
    for level in range(4):
        x = join(song.named(x, f"up.{level}", up=True), skips[3 - level])
        if decoder == "dense":
            x = song.dense(x, f"dense_up.{level}", 4)
    if multi_scale:
        pooled = []
        for index, window in enumerate((32, 16, 8, 4)):
            small = song.conv(F.avg_pool2d(x, window), f"multi_scale.branches.{index}")
            pooled.append(F.interpolate(small, size=x.shape[-2:], mode="bilinear"))
        x = join(x, *pooled)
    return rgb + song.conv(x, "out").tanh() / 2


def sang(layers: Layers, rgb: Tensor) -> Tensor:
    x = layers.conv(rgb, "body.0").relu()
    for block in range(2, 21):
        x = x + layers.conv(layers.conv(x, f"body.{block}.body.0").relu(), f"body.{block}.body.2")
    return layers.conv(x, "body.21").relu()


def cells(image: Tensor) -> Tensor:
    """Channel c of row y and column x in a 4x4 cell becomes map 16c + 4y + x."""
    height, width = (side // 4 for side in image.shape[-2:])
    return image.reshape(1, 3, height, 4, width, 4).permute(0, 1, 3, 5, 2, 4).reshape(1, 48, height, width)


def pixels(maps: Tensor) -> Tensor:
    """The other way round."""
    height, width = maps.shape[-2:]
    return maps.reshape(1, 3, 4, 4, height, width).permute(0, 1, 4, 2, 5, 3).reshape(1, 3, 4 * height, 4 * width)


def gggan(layers: Layers, rgb: Tensor, prenet: str, gradient_branch: bool, block: str) -> tuple[Tensor, ...]:
    """Restored image, the pre-network's, and the gradient map."""

    def plain(x: Tensor, name: str) -> Tensor:
        return x + layers.conv(leaky(layers.conv(x, f"{name}.body.0")), f"{name}.body.2")

    def res2net(x: Tensor, name: str) -> Tensor:
        """Four groups: the first passes, every other hears of the one before."""
        z1, z2, z3, z4 = leaky(layers.conv(x, f"{name}.enter")).chunk(4, dim=1)
        y2 = leaky(layers.conv(z2, f"{name}.convs.0"))
        y3 = leaky(layers.conv(z3 + y2, f"{name}.convs.1"))
        y4 = leaky(layers.conv(z4 + y3, f"{name}.convs.2"))
        body = 0.2 * layers.conv(join(z1, y2, y3, y4), f"{name}.leave")
        return body + (layers.conv(x, f"{name}.shortcut") if f"{name}.shortcut.weight" in layers.state else x)

    def row(x: Tensor, name: str, count: int) -> Tensor:
        y = x
        for index in range(count):
            y = res2net(y, f"{name}.blocks.{index}")
        return x + 0.2 * y

    def module(x: Tensor, name: str) -> Tensor:
        return rrdb(layers, x, name) if block == "rrdb" else row(x, name, 3)

    def listener(x: Tensor, name: str) -> Tensor:
        if block == "rrdb":
            return layers.conv(rrdb(layers, x, f"{name}.0"), f"{name}.1")
        return row(res2net(x, f"{name}.0"), f"{name}.1", 2)

    def on_cells() -> Tensor:
        def blocks(x: Tensor, name: str, first: int, count: int) -> Tensor:
            for index in range(first, first + count):
                x = plain(x, f"prenet.{name}.{index}")
            return x

        fine = blocks(layers.conv(cells(4 * (rgb - 0.5)), "prenet.head.0"), "head", 1, 1)
        middle = blocks(layers.conv(fine, "prenet.to_middle.0", stride=2, padding=0), "to_middle", 1, 1)
        low = blocks(layers.conv(middle, "prenet.to_low.0", stride=2, padding=0), "to_low", 1, 3)
        middle = blocks(layers.transposed(low, "prenet.from_low") + middle, "middle", 0, 2)
        fine = blocks(layers.transposed(middle, "prenet.from_middle") + fine, "fine", 0, 4)
        return pixels(0.1 * layers.conv(fine, "prenet.out"))

    def on_pixels() -> Tensor:
        def level(x: Tensor, name: str) -> Tensor:
            return leaky(layers.conv(leaky(layers.conv(x, f"prenet.{name}.0")), f"prenet.{name}.2"))

        full = level(rgb, "down.0")
        half = level(F.max_pool2d(full, 2), "down.1")
        quarter = level(F.max_pool2d(half, 2), "down.2")
        raised = layers.transposed(quarter, "prenet.up.0")
        x = level(join(raised, half), "merge.0") + raised
        raised = layers.transposed(x, "prenet.up.1")
        x = level(join(raised, full), "merge.1") + raised
        return layers.conv(x, "prenet.out")

    start = {"cells": lambda: rgb + on_cells(), "pixels": lambda: rgb + on_pixels(), "none": lambda: rgb}[prenet]()
    x = head = layers.conv(start, "image_head")
    g = gradient_head = layers.conv(gradient(start), "gradient_head") if gradient_branch else x
    for index in range(23):
        x = module(x, f"image_modules.{index}")
        if gradient_branch and index + 1 in (5, 10, 15, 20):
            g = listener(join(g, x), f"gradient_modules.{(index + 1) // 5 - 1}")
    x = layers.conv(x, "image_trunk") + head
    x = layers.conv(leaky(layers.conv(x, "image_tail.0")), "image_tail.2")
    edges = None
    if gradient_branch:
        g = layers.conv(g, "gradient_trunk") + gradient_head
        g = layers.conv(leaky(layers.conv(g, "gradient_tail.0")), "gradient_tail.2")
        edges = layers.conv(g, "gradient_out")
        x = layers.conv(module(join(g, x), "fusion.0"), "fusion.1")
    image = start + layers.conv(leaky(layers.conv(x, "reconstruct.0")), "reconstruct.2")
    return image, None if prenet == "none" else start, edges


def gggan_lite(layers: Layers, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Restored image, the pre-network's, and the gradient map."""

    def residual(x: Tensor, name: str) -> Tensor:
        return x + layers.conv(leaky(layers.conv(x, f"{name}.body.0")), f"{name}.body.2")

    entered = cells(4 * (rgb - 0.5))
    middle = residual(layers.conv(entered, "prenet.to_middle.0", stride=2, padding=0), "prenet.to_middle.1")
    low = layers.conv(middle, "prenet.to_low.0", stride=2, padding=0)
    low = residual(residual(low, "prenet.to_low.1"), "prenet.to_low.2")
    middle = residual(layers.transposed(low, "prenet.from_low") + middle, "prenet.from_middle.0")
    features = layers.transposed(middle, "prenet.from_middle.1")
    pre = rgb + pixels(0.1 * layers.conv(features, "prenet_out"))

    x = head = layers.conv(entered, "image_head") + layers.conv(features, "advice")
    g = layers.conv(cells(4 * gradient(pre)), "gradient_head")
    for block in range(6):
        x = residual(x, f"image_blocks.{block}")
        if block in (2, 5):
            name = f"gradient_blocks.{(block - 2) // 3}"
            g = g + layers.conv(leaky(layers.conv(join(g, x), f"{name}.0")), f"{name}.2")
    image = rgb + pixels(0.1 * layers.conv(join(g, x + head), "fusion"))
    return image, pre, pixels(layers.conv(g, "gradient_out"))


def top_down(layers: Layers, maps: list[Tensor], rgb: Tensor) -> Tensor:
    """DeblurGAN-v2 behind its backbone: five maps, finest first, already as large as the image's shares."""

    def smooth(x: Tensor, name: str) -> Tensor:
        return layers.image_norm(layers.conv(x, f"{name}.0"), f"{name}.1").relu()

    l0, l1, l2, l3, m4 = maps
    m3 = smooth(l3 + nearest(m4, 2), "fpn.td1")
    m2 = smooth(l2 + nearest(m3, 2), "fpn.td2")
    m1 = smooth(l1 + nearest(m2, 2), "fpn.td3")
    heads = [
        nearest(layers.conv(layers.conv(m, f"head{k}.block0").relu(), f"head{k}.block1").relu(), 2 ** (k - 1))
        for k, m in ((4, m4), (3, m3), (2, m2), (1, m1))
    ]
    x = nearest(smooth(join(*heads), "smooth"), 2) + l0
    x = nearest(smooth(x, "smooth2"), 2)
    return rgb + layers.conv(x, "final").tanh() / 2


def deblurgan_v2(layers: Layers, rgb: Tensor) -> Tensor:
    def unit(x: Tensor, name: str, at: int, stride: int = 1) -> Tensor:
        return layers.image_norm(layers.conv(x, f"{name}.{at}", stride=stride), f"{name}.{at + 1}")

    x = unit(2 * rgb - 1, "fpn.features.0", 0, stride=2).clamp(0, 6)
    name = "fpn.features.1.conv"  # nothing is widened here
    x = unit(unit(x, name, 0).clamp(0, 6), name, 3)
    levels = [x]
    strides = [2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1]  # of the blocks 2 to 15
    for block, stride in enumerate(strides, start=2):
        name = f"fpn.features.{block}.conv"
        wide = unit(unit(x, name, 0).clamp(0, 6), name, 3, stride).clamp(0, 6)
        narrow = unit(wide, name, 6)
        x = x + narrow if stride == 1 and block != 11 else narrow  # block 11 changes the number of maps
        if block in (3, 6, 10, 15):
            levels.append(x)
    return top_down(layers, [layers.conv(level, f"fpn.lateral{k}") for k, level in enumerate(levels)], rgb)


def deblurgan_v2_inception(layers: Layers, rgb: Tensor) -> Tensor:
    """With one block of each kind."""
    root = "fpn.inception"

    def unit(x: Tensor, name: str, stride: int = 1, padding: int | None = None) -> Tensor:
        x = layers.conv(x, f"{root}.{name}.conv", stride, padding=padding)
        return layers.image_norm(x, f"{root}.{name}.bn", 1e-3).relu()

    def row(x: Tensor, name: str, count: int, last_stride: int = 1) -> Tensor:
        for index in range(count):
            strided = index == count - 1 and last_stride == 2
            x = unit(x, f"{name}.{index}", 2 if strided else 1, 0 if strided else None)
        return x

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2)

    half = unit(2 * rgb - 1, "conv2d_1a", 2, 0)
    quarter = pool(unit(unit(half, "conv2d_2a", padding=0), "conv2d_2b"))
    eighth = pool(unit(unit(quarter, "conv2d_3b"), "conv2d_4a", padding=0))
    ones = F.avg_pool2d(torch.ones_like(eighth), 3, 1, 1)
    mean = F.avg_pool2d(eighth, 3, 1, 1) / ones  # of the pixels inside
    x = join(
        unit(eighth, "mixed_5b.branch0"),
        row(eighth, "mixed_5b.branch1", 2),
        row(eighth, "mixed_5b.branch2", 3),
        unit(mean, "mixed_5b.branch3.1"),
    )
    branches = join(unit(x, "repeat.0.branch0"), row(x, "repeat.0.branch1", 2), row(x, "repeat.0.branch2", 3))  # 35x35
    x = (x + 0.17 * layers.conv(branches, f"{root}.repeat.0.conv2d")).relu()
    sixteenth = join(unit(x, "mixed_6a.branch0", 2, 0), row(x, "mixed_6a.branch1", 3, 2), pool(x))
    x = sixteenth
    branches = join(unit(x, "repeat_1.0.branch0"), row(x, "repeat_1.0.branch1", 3))  # 17x17
    x = (x + 0.1 * layers.conv(branches, f"{root}.repeat_1.0.conv2d")).relu()
    deepest = join(
        row(x, "mixed_7a.branch0", 2, 2), row(x, "mixed_7a.branch1", 2, 2), row(x, "mixed_7a.branch2", 3, 2), pool(x)
    )
    pads = ((0, 1, 0, 1), (1, 1, 1, 1), (1, 2, 1, 2), (1, 1, 1, 1), (1, 1, 1, 1))
    maps = [
        F.pad(layers.conv(level, f"fpn.lateral{k}"), pad, mode="reflect")
        for k, (level, pad) in enumerate(zip((half, quarter, eighth, sixteenth, deepest), pads, strict=True))
    ]
    return top_down(layers, maps, rgb)


Writing = Callable[[Layers, Tensor], Tensor]

THIN = {"channels": 4, "growth": 3}
THIN_GGGAN = {"channels": 4, "prenet_widths": (5, 6, 7)}
THIN_LITE = {"channels": 6, "gradient_channels": 4, "prenet_widths": (6, 5)}
WRITINGS: list[tuple[str, dict[str, object], int, Writing]] = [
    ("dgf", {"growth": 3}, 16, dgf),
    ("dmphn", {}, 16, lambda layers, rgb: dmphn(layers, rgb, 3, 1)),
    ("dmphn", {"levels": 4}, 32, lambda layers, rgb: dmphn(layers, rgb, 4, 1)),
    ("dmphn", {"levels": 2, "stages": 3}, 8, lambda layers, rgb: dmphn(layers, rgb, 2, 3)),
    ("noroozi", {"widths": (8, 6, 4)}, 16, noroozi),
    ("svrnn", {"channels": 4, "widths": (4, 6, 8, 10)}, 16, svrnn),
    ("msdn", THIN, 32, lambda layers, rgb: dense(layers, rgb, True, "dense")),
    ("msdn", {**THIN, "multi_scale": False}, 32, lambda layers, rgb: dense(layers, rgb, False, "dense")),
    ("dn", THIN, 32, lambda layers, rgb: dense(layers, rgb, False, "dense")),
    ("dn", {**THIN, "decoder": "plain"}, 32, lambda layers, rgb: dense(layers, rgb, False, "plain")),
    ("sang", {"channels": 3}, 12, sang),
    ("spsr-deblur", THIN, 12, lambda layers, rgb: spsr(layers, rgb)[0]),
    ("gggan", THIN_GGGAN, 32, lambda layers, rgb: gggan(layers, rgb, "cells", True, "res2net")[0]),
    ("gggan-lite", THIN_LITE, 32, lambda layers, rgb: gggan_lite(layers, rgb)[0]),
    ("deblurgan-v2", {"filters": 8}, 128, deblurgan_v2),
    ("deblurgan-v2-inception", {"filters": 8, "blocks": (1, 1, 0)}, 128, deblurgan_v2_inception),
]
"""System, options, side of the image, and what it should do."""


@pytest.mark.parametrize(
    ("name", "options", "side", "writing"), WRITINGS, ids=[f"{name}-{at}" for at, (name, *_) in enumerate(WRITINGS)]
)
def test_a_network_is_what_its_paper_draws(name: str, options: dict[str, object], side: int, writing: Writing) -> None:
    model = with_random_weights(registry.build(name, **options))
    rgb = noise(1, 3, side, 2 * side).double()
    with torch.no_grad():
        restored, expected = model(rgb), writing(Layers(model.state_dict()), rgb)
    assert 0.02 < expected.std() < 1000
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=1e-6)


def test_every_deblurring_system_is_written_twice() -> None:
    with_authors_layers = {"deblurgan", "deepdeblur", "gong", "srn", "sun"}
    elsewhere = {"chakrabarti", "epll", "schuler"}
    systems = {
        name
        for name in registry.names()
        if registry.spec_of(name).task == "deblur" and registry.spec_of(name).parameters
    }
    assert systems == {name for name, *_ in WRITINGS} | with_authors_layers | elsewhere


def test_gggan_lite_gives_its_branches_to_training() -> None:
    model = with_random_weights(registry.build("gggan-lite", **THIN_LITE))
    rgb = noise(1, 3, 32, 32).double()
    with torch.no_grad():
        ours, expected = model.branches(rgb), gggan_lite(Layers(model.state_dict()), rgb)
    for branch, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(branch, other, atol=1e-5, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prenet", "gradient_branch", "block"),
    [
        ("cells", True, "res2net"),
        ("pixels", True, "res2net"),
        ("none", True, "rrdb"),
        ("cells", False, "res2net"),
    ],
)
def test_gggan_gives_its_branches_to_training_in_every_ablation(prenet: str, gradient_branch: bool, block: str) -> None:
    options = {**THIN_GGGAN, "prenet": prenet, "gradient_branch": gradient_branch, "block": block}
    model = with_random_weights(registry.build("gggan", **options))
    rgb = noise(1, 3, 16, 32).double()
    with torch.no_grad():
        ours = model.branches(rgb)
        expected = gggan(Layers(model.state_dict()), rgb, prenet, gradient_branch, block)
    assert (ours.pre is None, ours.gradient is None) == (prenet == "none", not gradient_branch)
    for branch, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(branch, other, atol=1e-5, rtol=1e-6)


def test_spsr_gives_its_gradient_map_to_training() -> None:
    model = with_random_weights(registry.build("spsr-deblur", **THIN))
    rgb = noise(1, 3, 12, 16).double()
    with torch.no_grad():
        ours, expected = model.branches(rgb), spsr(Layers(model.state_dict()), rgb)
    assert ours.pre is None
    torch.testing.assert_close(ours.image, expected[0], atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(ours.gradient, expected[1], atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("deblurgan", {}, 11_378_179),
        ("deblurgan-v2", {}, 3_312_707),
        ("deblurgan-v2-inception", {}, 60_929_291),
        ("deepdeblur", {}, 11_721_321),
        ("dgf", {}, 3_263_363),
        ("dmphn", {}, 5_424_393),
        ("sang", {}, 3_903_299),
        ("spsr-deblur", {}, 24_648_518),
        ("srn", {}, 8_056_609),
        ("srn", {"lstm": False}, 6_876_449),
        ("srn", {"lstm": False, "planes": "together"}, 6_881_251),
        ("svrnn", {}, 9_227_027),
    ],
)
def test_parameters_are_as_many_as_in_the_published_networks(
    name: str, options: dict[str, object], parameters: int
) -> None:
    with torch.device("meta"):
        model = registry.build(name, **options)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
