"""DGF, deep generative filter: a dense field of dilated blocks at full resolution with one skip from head to tail.

Ramakrishnan et al., Deep Generative Filter for Motion Deblurring, ICCVW 2017 (arXiv:1709.03481). A block is ReLU, 1x1,
3x3, batch normalisation; dilation rises to the middle of the field and falls again. Ten blocks, growth 64 after a
bottleneck of 256 and the dilations are our choice; that the result is added to the blurred image too.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from restorekit.models.config import Count, Counts
from restorekit.models.layers import clamp_output, conv3, zero_init_
from restorekit.models.spec import Spec

spec = Spec(
    name="dgf",
    task="deblur",
    summary="dense field of dilated blocks",
    paper="Ramakrishnan et al. 2017, arXiv:1709.03481",
    parameters=2_382_339,
    macs_per_pixel=2_377_792,
    size_multiple=1,
    receptive_field=18,
    tiling="exact",
    objective="dgf",
    bytes_per_pixel=12000,
)


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 64
    growth: Count = 64
    bottleneck: Count = 256
    dilations: Counts = (1, 1, 2, 1, 3, 2, 3, 1, 2, 1)


class Block(nn.Sequential):
    """ReLU, 1x1 to the bottleneck, dilated 3x3 to the growth, batch normalisation."""

    def __init__(self, inputs: int, config: Config, dilation: int) -> None:
        dilated = nn.Conv2d(config.bottleneck, config.growth, 3, padding=dilation, dilation=dilation)
        super().__init__(nn.ReLU(), nn.Conv2d(inputs, config.bottleneck, 1), dilated, nn.BatchNorm2d(config.growth))


class DGF(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, growth = config.channels, config.growth
        self.head = conv3(3, n)
        self.field = nn.ModuleList(
            Block(n + i * growth, config, dilation) for i, dilation in enumerate(config.dilations)
        )
        self.tail = zero_init_(nn.Conv2d(n + growth, 3, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same."""
        head = self.head(rgb * 2 - 1)
        maps = [head]
        for block in self.field:
            maps.append(block(torch.cat(maps, dim=1)))
        correction = torch.tanh(self.tail(torch.cat([head, maps[-1]], dim=1)))
        # Added on -1..1, where everything is twice as large.
        return clamp_output(rgb + correction / 2, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=1 + sum(config.dilations))


def build(config: Config) -> DGF:
    """Make the network with freshly initialised weights."""
    return DGF(config)
