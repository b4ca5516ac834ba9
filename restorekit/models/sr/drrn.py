"""DRRN: one pair of convolutions, applied again and again, corrects a bicubic enlargement.

Tai, Yang, Liu. Image Super-Resolution via Deep Recursive Residual Network, CVPR 2017, Fig. 4 and section 3; the default is
B1U25, 52 layers. Every convolution comes after batch normalisation and ReLU, the first and the last too. The units of a
recursive block share convolutions but, as in the authors' training definition, not normalisations. Each unit adds the
block's first map H0, not its own input. He's initialisation, with the last convolution at zero: the untrained network is the
bicubic enlargement of luma; chroma is enlarged bicubically.
"""

from dataclasses import dataclass, replace
from typing import cast

from torch import Tensor, nn

from restorekit.models.config import Count, Scale
from restorekit.models.layers import clamp_output, conv3, kaiming_init_, relu, zero_init_
from restorekit.models.receptive_field import through_upsampling
from restorekit.models.spec import Spec
from restorekit.models.upsampling import restore_luma

spec = Spec(
    name="drrn",
    task="sr",
    summary="52 layers of 298 thousand weights by recursion, luma, any scale",
    paper="Tai et al. 2017, doi:10.1109/CVPR.2017.298",
    parameters=310_659,
    macs_per_pixel=118_001_664,
    size_multiple=1,
    receptive_field=15,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=34000,
    scale=4,
    every_scale=True,
)

recipe = {
    "printed": {
        "batch": 128,
        "learning_rate": 0.1,
        "schedule": "milestones",
        "decay": 0.5,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "clip_over_rate": True,
        "augment": "flips-and-turns",
    },
    "code": {
        "milestones": (65_360, 130_720, 196_080, 261_440),  # every 10 epochs
        "rate_factors": {"*.bias": 0.1},
        "gradient_clip": 0.01,
        "clip_by": "norm",
    },
    "ours": {
        "steps": 326_800,  # 50 epochs
        "crop": 32,  # 31 px in the paper; ours are multiples of the scale
        "loss_weights": {"l1": 0.0, "mse": 0.5},  # of the mean over pixels; the paper sums them
    },
}  # The paper's one network learns three scales at once.


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4
    channels: Count = 128
    blocks: Count = 1
    units: Count = 25
    """Residual units of each recursive block: 25 for B1U25, 9 for B1U9."""


class Activation(nn.Sequential):
    """What precedes every convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.BatchNorm2d(channels), relu())


class RecursiveBlock(nn.Module):
    """H0 = conv(x); H_u = H0 + W_b(W_a(H_u-1)) for u = 1..units, all convolutions after normalisation and ReLU."""

    def __init__(self, inputs: int, channels: int, units: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(Activation(inputs), conv3(inputs, channels))
        self.first, self.second = conv3(channels, channels), conv3(channels, channels)
        self.before_first = nn.ModuleList(Activation(channels) for _ in range(units))
        self.before_second = nn.ModuleList(Activation(channels) for _ in range(units))

    def forward(self, x: Tensor) -> Tensor:
        """(N,inputs,H,W) to (N,channels,H,W)."""
        start: Tensor = self.enter(x)
        h = start
        for before_first, before_second in zip(self.before_first, self.before_second, strict=True):
            h = start + self.second(before_second(self.first(before_first(h))))
        return h


class DRRN(nn.Module):
    """The network. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        n = config.channels
        self.blocks = nn.Sequential(
            *(RecursiveBlock(n if index else 1, n, config.units) for index in range(config.blocks))
        )
        self.leave = nn.Sequential(Activation(n), conv3(n, 1))
        kaiming_init_(self)
        zero_init_(cast(nn.Conv2d, self.leave[1]))

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        return clamp_output(restore_luma(rgb, self.scale, lambda _, above: self.repair(above)), self.training)

    def repair(self, above: Tensor) -> Tensor:
        """Restore enlarged luma (N,1,H,W)."""
        repaired: Tensor = above + self.leave(self.blocks(above))
        return repaired


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    layers = (1 + 2 * config.units) * config.blocks + 1
    return replace(
        spec,
        scale=config.scale,
        receptive_field=through_upsampling(config.scale, layers),
    )


def build(config: Config) -> DRRN:
    """Make the network with freshly initialised weights."""
    return DRRN(config)
