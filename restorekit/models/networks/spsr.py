"""SPSR's network: an image branch of RRDBs, a gradient branch that listens to it at four depths, and a fusion stage.

Ma et al., Structure-Preserving Super Resolution with Gradient Guidance, CVPR 2020 (arXiv:2003.13081), Fig. 2, and its code.
`sr/spsr.py` is the published form, `deblur/spsr_deblur.py` the GGGAN paper's "improved SPSR": the same without enlargement.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.gradient_guidance import Branches, check_taps, gradient_map
from restorekit.models.layers import conv3, leaky, rrdb
from restorekit.models.upsampling import Enlarge


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 64
    growth: Count = 32
    blocks: Count = 23
    taps: tuple[Count, ...] = (5, 10, 15, 20)
    """Blocks of the image branch after which the gradient branch listens."""

    def __post_init__(self) -> None:
        check_taps(self.taps, self.blocks, "blocks")


def receptive_field(config: Config, factors: tuple[int, ...] = ()) -> int:
    """Radius of the receptive field in input pixels.

    An RRDB reaches 15, so a listener of the gradient branch 16. Paths lead along the image branch, or from one of the taps
    through the listeners from there on.
    """
    image = 15 * config.blocks
    tapped = [15 * tap + 16 * (len(config.taps) - index) for index, tap in enumerate(config.taps)]
    gradient = 1 + 16 * len(config.taps)
    head, trunk, last, fusion = 1, 1, 2, 18
    after = last + fusion  # on the large grid
    for factor in factors:
        after = -(-(after + 1) // factor)
    return head + max(image, gradient, *tapped) + trunk + after


class SPSR(nn.Module):
    """The generator without its range: RGB (N,3,H,W) to both outputs, unbounded.

    Args:
        config: sizes.
        factors: enlargements in a row, e.g. (2, 2) for x4; none for deblurring.
    """

    def __init__(self, config: Config, factors: tuple[int, ...]) -> None:
        super().__init__()
        n, g = config.channels, config.growth
        self.head = conv3(3, n)
        self.blocks = nn.ModuleList(rrdb(n, g) for _ in range(config.blocks))
        self.trunk = conv3(n, n)
        self.image_up = nn.Sequential(*(Enlarge(n, factor) for factor in factors))
        self.image_last = nn.Sequential(conv3(n, n), leaky(), conv3(n, n))

        self.taps = config.taps
        self.gradient_head = conv3(3, n)
        self.gradient_blocks = nn.ModuleList(nn.Sequential(rrdb(2 * n, g), conv3(2 * n, n)) for _ in config.taps)
        self.gradient_trunk = conv3(n, n)
        self.gradient_up = nn.Sequential(*(Enlarge(n, factor) for factor in factors))
        self.gradient_last = nn.Sequential(conv3(n, n), leaky(), conv3(n, n))
        self.gradient_out = nn.Conv2d(n, 3, 1)

        self.fusion = nn.Sequential(rrdb(2 * n, g), conv3(2 * n, n), conv3(n, n), leaky(), conv3(n, 3))

    def branches(self, rgb: Tensor) -> Branches:
        """All that training compares; there is no pre-network."""
        x = head = self.head(rgb)
        g = gradient_head = self.gradient_head(gradient_map(rgb))
        listeners = dict(zip(self.taps, self.gradient_blocks, strict=True))
        for depth, block in enumerate(self.blocks, start=1):
            x = block(x)
            if depth in listeners:
                g = listeners[depth](torch.cat([g, x], dim=1))
        x = self.image_last(self.image_up(self.trunk(x) + head))
        g = self.gradient_last(self.gradient_up(self.gradient_trunk(g) + gradient_head))
        return Branches(self.fusion(torch.cat([g, x], dim=1)), None, self.gradient_out(g))


def _names(blocks: int, factors: int) -> Iterator[tuple[str, str]]:
    """Upstream's prefix of every layer, and ours."""
    yield "model.0", "head"
    for i in range(blocks):
        yield from _rrdb_names(f"model.1.sub.{i}", f"blocks.{i}")
    yield f"model.1.sub.{blocks}", "trunk"
    for i in range(factors):
        yield f"model.{3 + 3 * i}", f"image_up.{i}.conv"
        yield f"b_module.{1 + 3 * i}", f"gradient_up.{i}.conv"
    yield "HR_conv0_new.0", "image_last.0"
    yield "HR_conv1_new.0", "image_last.2"
    yield "b_fea_conv.0", "gradient_head"
    for i in range(4):
        yield from _rrdb_names(f"b_block_{i + 1}", f"gradient_blocks.{i}.0")
        yield f"b_concat_{i + 1}.0", f"gradient_blocks.{i}.1"
    yield "b_LR_conv.0", "gradient_trunk"
    yield f"b_module.{3 * factors}", "gradient_last.0"
    yield f"b_module.{3 * factors + 2}", "gradient_last.2"
    yield "conv_w.0", "gradient_out"
    yield from _rrdb_names("f_block", "fusion.0")
    yield "f_concat.0", "fusion.1"
    yield "f_HR_conv0.0", "fusion.2"
    yield "f_HR_conv1.0", "fusion.4"


def _rrdb_names(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for i in range(3):
        for j in range(5):
            yield f"{theirs}.RDB{i + 1}.conv{j + 1}.0", f"{ours}.blocks.{i}.convs.{j}"


def from_upstream(state: dict[str, Tensor], factors: int) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise the official files, or say None.

    Two fixed 3x3 kernels of the gradient (`get_g_nopadding`) are no weights, and `model` holds `HR_conv0_new` once more.

    Args:
        state: named tensors.
        factors: how many enlargements the network has.
    """
    ends = [int(match[1]) for key in state if (match := re.fullmatch(r"b_module\.(\d+)\.weight", key))]
    if "b_concat_1.0.weight" not in state or max(ends, default=-1) != 3 * factors + 2:
        return None
    blocks = max(int(match[1]) for key in state if (match := re.match(r"model\.1\.sub\.(\d+)\.", key)))
    names = dict(_names(blocks, factors))
    again = f"model.{2 + 3 * factors}"
    converted: dict[str, Tensor] = {}
    for key, tensor in state.items():
        layer, _, part = key.rpartition(".")
        if layer == "get_g_nopadding" or layer == again:
            continue
        converted[f"{names[layer]}.{part}" if layer in names else key] = tensor
    head = state["model.0.weight"] if "model.0.weight" in state else state["b_fea_conv.0.weight"]
    growth = state["model.1.sub.0.RDB1.conv1.0.weight"].shape[0]
    return {"channels": head.shape[0], "growth": growth, "blocks": blocks}, converted
