"""ESRGAN's generator: residual-in-residual dense blocks on the small grid, then nearest-neighbour doublings.

Wang et al. ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018 (arXiv:1809.00219), Fig. 4, without
normalisation. Real-ESRGAN (arXiv:2107.10833) makes x2 and x1 of the x4 network by a pixel-unshuffle in front. Blocks start
with a tenth of He's initialisation (section 3.1, smaller initialisation).
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from restorekit.errors import UsageError
from restorekit.models.config import Count, Scale
from restorekit.models.layers import clamp_output, conv3, kaiming_init_, leaky, pad_to_multiple, rrdb
from restorekit.models.spec import Spec
from restorekit.models.upsampling import Enlarge

spec = Spec(
    name="esrgan",
    task="sr",
    summary="23 residual-in-residual dense blocks",
    paper="Wang et al. 2018, arXiv:1809.00219; 2021, arXiv:2107.10833",
    parameters=16_697_987,
    macs_per_pixel=17_926_848,
    size_multiple=1,
    receptive_field=349,
    tiling="approximate",
    overlap=32,
    objective="pixel",
    bytes_per_pixel=15000,
    scale=4,
)

recipe = {  # of the first stage, for PSNR
    "printed": {
        "batch": 16,
        "crop": 128,
        "learning_rate": 2e-4,
        "schedule": "milestones",
        "milestones": (200_000, 400_000, 600_000, 800_000),
        "decay": 0.5,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "flips-and-turns",
        "loss_weights": {"l1": 1.0, "mse": 0.0},
    },
    "code": {"steps": 1_000_000},
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4
    doublings: Annotated[int, Field(ge=0, le=6)] = 2
    """Enlargements at the end, 2 in all that ESRGAN and Real-ESRGAN published. What they give beyond the scale is taken off
    by a pixel-unshuffle in front."""
    channels: Count = 64
    growth: Count = 32
    blocks: Count = 23
    """23, or 6 in Real-ESRGAN's small network for drawings."""

    def __post_init__(self) -> None:
        largest = 1 << self.doublings
        if largest % self.scale:
            raise UsageError(
                f"doublings={self.doublings} do not make scale={self.scale}.", f"The scale divides {largest}."
            )

    @property
    def unshuffle(self) -> int:
        """Pixels along a side that become channels."""
        return (1 << self.doublings) // self.scale


class ESRGAN(nn.Module):
    """The generator. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, self.scale, self.unshuffle = config.channels, config.scale, config.unshuffle
        self.head = conv3(3 * self.unshuffle**2, n)
        self.blocks = nn.Sequential(*(rrdb(n, config.growth) for _ in range(config.blocks)))
        self.trunk = conv3(n, n)
        self.up = nn.Sequential(*(Enlarge(n) for _ in range(config.doublings)))
        self.last = nn.Sequential(conv3(n, n), leaky(), conv3(n, 3))
        kaiming_init_(self.blocks, 0.1)

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        height, width = rgb.shape[-2:]
        x = pad_to_multiple(rgb, self.unshuffle)
        head = self.head(F.pixel_unshuffle(x, self.unshuffle))
        x = self.last(self.up(self.trunk(self.blocks(head)) + head))
        return clamp_output(x[..., : height * self.scale, : width * self.scale], self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    cell, after = config.unshuffle, 2  # the last two convolutions
    for _ in range(config.doublings):
        after = -(-(after + 1) // 2)
    radius = 15 * config.blocks + 2 + after
    return replace(
        spec,
        scale=config.scale,
        size_multiple=cell,
        receptive_field=radius * cell,
    )


def build(config: Config) -> ESRGAN:
    """Make the network with freshly initialised weights."""
    return ESRGAN(config)


LAYERS = {
    "model.0": "head",
    "conv_first": "head",
    "trunk_conv": "trunk",
    "conv_body": "trunk",
    "HRconv": "last.0",
    "conv_hr": "last.0",
    "conv_last": "last.2",
}
"""Upstream's names of single convolutions; ESRGAN's first code numbers those after the trunk."""
DENSE = re.compile(r"(?:model\.1\.sub|RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)(\d)\.conv(\d)(?:\.0)?")
NUMBERED = re.compile(r"model\.(\d+)")
UP = re.compile(r"(?:upconv|conv_up)(\d)")


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise the three public layouts; sizes are read off the tensors.

    ESRGAN's first code (`model.1.sub.N.RDB1.conv1.0`), its later one (`RRDB_trunk.N.RDB1.conv1`), and BasicSR's, in which
    Real-ESRGAN's files are (`body.N.rdb1.conv1`).
    """
    layers = {_split(key)[0] for key in state}
    names = _names(layers)
    if layers != set(names) or "head" not in names.values() or "blocks.0.blocks.0.convs.0" not in names.values():
        return None
    converted = {f"{names[layer]}.{part}": state[f"{layer}.{part}"] for layer, part in map(_split, state)}
    doublings = sum(name.startswith("up.") for name in names.values())
    unshuffle = round((converted["head.weight"].shape[1] / 3) ** 0.5)
    config: dict[str, object] = {
        "scale": 2**doublings // unshuffle,
        "doublings": doublings,
        "channels": converted["head.weight"].shape[0],
        "growth": converted["blocks.0.blocks.0.convs.0.weight"].shape[0],
        "blocks": 1 + max(int(name.split(".")[1]) for name in names.values() if name.startswith("blocks.")),
    }
    return config, converted


def _split(key: str) -> tuple[str, str]:
    layer, _, part = key.rpartition(".")
    return layer, part


def _names(layers: set[str]) -> dict[str, str]:
    """Our name of every layer that is known by upstream's."""
    names = {layer: LAYERS[layer] for layer in layers if layer in LAYERS}
    for layer in layers:
        if match := DENSE.fullmatch(layer):
            names[layer] = f"blocks.{match[1]}.blocks.{int(match[2]) - 1}.convs.{int(match[3]) - 1}"
        elif match := UP.fullmatch(layer):
            names[layer] = f"up.{int(match[1]) - 1}.conv"
        elif re.fullmatch(r"model\.1\.sub\.\d+", layer):
            names[layer] = "trunk"
    numbered = sorted((layer for layer in layers if NUMBERED.fullmatch(layer)), key=lambda layer: int(layer[6:]))[1:]
    for index, layer in enumerate(numbered[:-2]):
        names[layer] = f"up.{index}.conv"
    names |= dict(zip(numbered[-2:], ("last.0", "last.2"), strict=False))
    return names
