"""DGF, deep generative filter: a dense field of dilated blocks at full resolution with one skip from head to tail.

Ramakrishnan et al., Deep Generative Filter for Motion Deblurring, ICCVW 2017 (arXiv:1709.03481), section 3, and the authors'
Torch code (`densefield.lua`, `models2.lua`), which settles what the paper leaves open: leaky ReLUs, a normalisation behind
every 1x1 too, four times the growth in the head. Spatial and dilated convolutions take turns; the dilation rises to the
middle of the field and falls again, as the paper says (the code has 2 everywhere). The blurred image is not added: head and
tail give the whole image, through a tanh. The code drops half of every tail map in
training; `dropout` is that.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from restorekit.models.config import Count, Counts, Dropout
from restorekit.models.layers import clamp_output, conv3, kaiming_init_, leaky
from restorekit.models.spec import Spec

spec = Spec(
    name="dgf",
    task="deblur",
    summary="dense field of dilated blocks",
    paper="Ramakrishnan et al. 2017, arXiv:1709.03481",
    parameters=3_263_363,
    macs_per_pixel=3_252_672,
    size_multiple=1,
    receptive_field=17,
    tiling="exact",
    objective="dgf",
    bytes_per_pixel=12000,
)

recipe = {
    "printed": {"objective": {"layer": "vgg16.conv5_3"}},
    "code": {
        "batch": 1,
        "crop": 256,
        "learning_rate": 3e-4,
        "schedule": "constant",
        "optimizer": "adam",
        "betas": (0.5, 0.999),
        "augment": "flips",
    },
    # The code's weights, 145 for features and 170 for L1, are for another layer.
    "ours": {"steps": 500_000, "loss_weights": {"perceptual": 1.0, "l1": 10.0, "adversarial": 0.1}},
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    growth: Count = 64
    """Maps that a block adds; head, tail and the blocks' bottlenecks have four times as many."""
    dilations: Counts = (1, 1, 1, 2, 1, 3, 1, 2, 1, 1)
    """Of the blocks' 3x3 convolutions. Every second block is the dilated one."""
    dropout: Dropout = 0.5


def _squeeze(inputs: int, outputs: int) -> list[nn.Module]:
    # Not in place: `inputs` maps are the dense field's, which later blocks see too.
    return [nn.LeakyReLU(0.2), nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs)]


class Block(nn.Sequential):
    """Leaky ReLU, 1x1 to the bottleneck, normalisation, leaky ReLU, dilated 3x3 to the growth, normalisation."""

    def __init__(self, inputs: int, growth: int, dilation: int) -> None:
        dilated = nn.Conv2d(4 * growth, growth, 3, padding=dilation, dilation=dilation)
        super().__init__(*_squeeze(inputs, 4 * growth), leaky(), dilated, nn.BatchNorm2d(growth))


class DGF(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        growth, wide = config.growth, 4 * config.growth
        self.head = conv3(3, wide)
        self.field = nn.ModuleList(
            Block(wide + i * growth, growth, dilation) for i, dilation in enumerate(config.dilations)
        )
        self.tail = nn.Sequential(*_squeeze(wide + len(config.dilations) * growth, wide), nn.Dropout(config.dropout))
        self.out = nn.Sequential(conv3(wide, growth), leaky(), conv3(growth, 3))
        kaiming_init_(self)

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same."""
        head = self.head(rgb * 2 - 1)
        maps = [head]
        for block in self.field:
            maps.append(block(torch.cat(maps, dim=1)))
        restored = torch.tanh(self.out(self.tail(torch.cat(maps, dim=1)) + head))
        return clamp_output((restored + 1) / 2, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=1 + sum(config.dilations) + 2)


def build(config: Config) -> DGF:
    """Make the network with freshly initialised weights."""
    return DGF(config)
