"""SRResNet: the generator of SRGAN, residual blocks with batch normalisation between two convolutions of 9x9.

Ledig et al. Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network, CVPR 2017
(arXiv:1609.04802), Fig. 4: input in 0..1, output in -1..1, 16 blocks, sub-pixel stages, one slope in every PReLU. Public
files with five blocks have an activation instead of the normalisation before the long skip, and tanh at the end.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.layers import at_least_float, clamp_output, conv3
from restorekit.models.receptive_field import through_stages
from restorekit.models.spec import Spec
from restorekit.models.upsampling import STAGES, SubPixel, SubPixelScale

spec = Spec(
    name="srresnet",
    task="sr",
    summary="SRGAN's generator",
    paper="Ledig et al. 2017, arXiv:1609.04802",
    parameters=1_549_462,
    macs_per_pixel=2_218_176,
    size_multiple=1,
    receptive_field=40,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=10000,
    scale=4,
)

recipe = {
    "printed": {
        "steps": 1_000_000,
        "batch": 16,
        "crop": 96,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "optimizer": "adam",
        "betas": (0.9, 0.999),  # the paper prints the first
        "loss_weights": {"l1": 0.0, "mse": 1.0},
    },
    "ours": {"augment": "flips"},
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: SubPixelScale = 4
    channels: Count = 64
    blocks: Count = 16
    batch_norm: bool = True
    slopes: Literal["shared", "channel"] = "shared"
    """PReLU with one slope for all maps, or one for each."""
    trunk: Literal["norm", "prelu", "none"] = "norm"
    """What follows the convolution before the long skip."""
    output: Literal["none", "tanh"] = "none"


class Block(nn.Module):
    """Conv, norm, PReLU, conv, norm, plus the input."""

    def __init__(self, channels: int, batch_norm: bool, activation: nn.Module) -> None:
        super().__init__()
        norms = [nn.BatchNorm2d(channels) if batch_norm else nn.Identity() for _ in range(2)]
        self.body = nn.Sequential(conv3(channels, channels), norms[0], activation, conv3(channels, channels), norms[1])

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        return cast(Tensor, x + self.body(x))


class SRResNet(nn.Module):
    """The generator. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels

        def prelu() -> nn.PReLU:
            return nn.PReLU(n if config.slopes == "channel" else 1)

        end = {"norm": nn.BatchNorm2d(n), "prelu": prelu(), "none": nn.Identity()}[config.trunk]
        self.head = nn.Sequential(nn.Conv2d(3, n, 9, padding=4), prelu())
        self.blocks = nn.Sequential(*(Block(n, config.batch_norm, prelu()) for _ in range(config.blocks)))
        self.trunk = nn.Sequential(conv3(n, n), end)
        self.up = nn.Sequential(*(SubPixel(n, stage, prelu()) for stage in STAGES[config.scale]))
        self.out = nn.Conv2d(n, 3, 9, padding=4)
        self.tanh = config.output == "tanh"

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        head = self.head(rgb)  # (N,64,H,W)
        x = self.trunk(self.blocks(head)) + head
        x = at_least_float(self.out(self.up(x)))  # (N,3,sH,sW)
        x = torch.tanh(x) if self.tanh else x
        return clamp_output((x + 1) / 2, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    radius = 4 + 2 * config.blocks + 1 + through_stages(config.scale, after=4)
    return replace(spec, scale=config.scale, receptive_field=radius)


def build(config: Config) -> SRResNet:
    """Make the network with freshly initialised weights."""
    return SRResNet(config)


LAYERS = {
    "conv1": "body.0",
    "bn1": "body.1",
    "prelu": "body.2",
    "conv2": "body.3",
    "bn2": "body.4",
}


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise leftthomas' files (`block1` to `block8`; old PyTorch did not yet count batches)."""
    if "block1.0.weight" not in state or "block2.conv1.weight" not in state:
        return None
    numbers = sorted({int(match[1]) for key in state if (match := re.match(r"block(\d+)\.", key))})
    *inner, trunk, end = numbers[1:]
    steps = sum(key.startswith(f"block{end}.") and key.endswith(".conv.weight") for key in state)
    names = {"block1.0": "head.0", "block1.1": "head.1", f"block{end}.{steps}": "out"}
    names |= {f"block{trunk}.{i}": f"trunk.{i}" for i in range(2)}
    for index, number in enumerate(inner):
        names |= {f"block{number}.{theirs}": f"blocks.{index}.{ours}" for theirs, ours in LAYERS.items()}
    for step in range(steps):
        names |= {f"block{end}.{step}.conv": f"up.{step}.0", f"block{end}.{step}.prelu": f"up.{step}.2"}
    converted = {}
    for key, tensor in state.items():
        layer, _, part = key.rpartition(".")
        converted[f"{names.get(layer, layer)}.{part}"] = tensor
        if part == "running_mean":
            converted.setdefault(f"{names.get(layer, layer)}.num_batches_tracked", torch.tensor(0))
    config: dict[str, object] = {
        "scale": round((state[f"block{end}.0.conv.weight"].shape[0] / state["block1.0.weight"].shape[0]) ** 0.5)
        ** steps,
        "channels": state["block1.0.weight"].shape[0],
        "blocks": len(inner),
        "trunk": "norm" if f"block{trunk}.1.running_mean" in state else "prelu",
        "output": "tanh",
    }
    return config, converted
