"""SVRNN: spatially varying recurrent networks sweep over feature maps, steered by weights that a second network makes.

Zhang et al., Dynamic Scene Deblurring Using Spatially Variant Recurrent Neural Networks, CVPR 2018, Fig. 2; the survey's
eq. 22. One step of a sweep is h[k] = w[k] h[k-1] + (1 - w[k]) x[k], with a weight in (0,1) for every pixel, map and
direction. The paper's networks are larger than what is printed of them; widths are ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.layers import at_least_float, clamp_output, conv3, pad_to_multiple, relu, upsample2x, zero_init_
from restorekit.models.spec import Spec

SWEEPS = 4  # left to right, right to left, down, up

spec = Spec(
    name="svrnn",
    task="deblur",
    summary="spatially variant recurrent network",
    paper="Zhang et al., CVPR 2018",
    parameters=7_512_835,
    macs_per_pixel=170_928,
    size_multiple=16,
    receptive_field=None,
    tiling="approximate",
    overlap=128,
    objective="pixel",
    bytes_per_pixel=1200,
)


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 32
    """Maps that are swept, at a quarter of the size."""
    stages: Count = 3
    widths: tuple[Count, Count, Count, Count] = (64, 128, 256, 512)
    """Maps of the weight network at 1/2, 1/4, 1/8 and 1/16 of the size."""


def sweep(x: Tensor, weight: Tensor, dim: int, backwards: bool) -> Tensor:
    """The recursion h[k] = w[k] h[k-1] + (1 - w[k]) x[k] along one dimension, with h[-1] = 0.

    Steps are composed in pairs: h[k] = a h[k - 2^i] + b doubles its stride i with every round, so that n pixels take
    log2(n) rounds over whole maps instead of n steps.

    Args:
        x, weight: (N,C,H,W); weights in (0,1).
        dim: 2 or 3.
        backwards: from the last pixel to the first.
    """
    a, b = weight, (1 - weight) * x
    if backwards:
        a, b = a.flip(dim), b.flip(dim)
    length, stride = x.shape[dim], 1
    while stride < length:
        kept = length - stride
        earlier_a, earlier_b = a.narrow(dim, 0, kept), b.narrow(dim, 0, kept)
        later_a, later_b = a.narrow(dim, stride, kept), b.narrow(dim, stride, kept)
        b = torch.cat([b.narrow(dim, 0, stride), later_b + later_a * earlier_b], dim)
        a = torch.cat([a.narrow(dim, 0, stride), later_a * earlier_a], dim)
        stride *= 2
    return b.flip(dim) if backwards else b


class WeightNetwork(nn.Module):
    """VGG-like encoder and bilinear decoder with skips, to recurrent weights at a quarter of the size."""

    def __init__(self, widths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        first, quarter, eighth, sixteenth = widths
        self.first = nn.Sequential(nn.Conv2d(3, first, 5, stride=2, padding=2), relu(), conv3(first, first), relu())
        self.quarter, self.eighth, self.sixteenth = (
            nn.Sequential(nn.MaxPool2d(2), conv3(before, width), relu(), conv3(width, width), relu())
            for before, width in ((first, quarter), (quarter, eighth), (eighth, sixteenth))
        )
        self.merge_eighth = nn.Sequential(conv3(sixteenth + eighth, eighth), relu())
        self.merge_quarter = nn.Sequential(conv3(eighth + quarter, quarter), relu())
        self.out = conv3(quarter, outputs)

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) to (N,outputs,H/4,W/4) in (0,1)."""
        quarter = self.quarter(self.first(rgb))
        eighth = self.eighth(quarter)
        x = self.merge_eighth(torch.cat([upsample2x(self.sixteenth(eighth)), eighth], dim=1))
        x = self.merge_quarter(torch.cat([upsample2x(x), quarter], dim=1))
        return torch.sigmoid(self.out(x))


class SVRNN(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        self.weights = WeightNetwork(config.widths, config.stages * SWEEPS * n)
        self.at_full = nn.Sequential(nn.Conv2d(3, n, 5, padding=2), relu())
        self.at_half = nn.Sequential(nn.Conv2d(n, n, 3, stride=2, padding=1), relu())
        self.at_quarter = nn.Sequential(nn.Conv2d(n, n, 3, stride=2, padding=1), relu())
        self.after = nn.ModuleList(nn.Sequential(conv3(SWEEPS * n, n), relu()) for _ in range(config.stages))
        self.merge_half = nn.Sequential(conv3(2 * n, n), relu())
        self.merge_full = nn.Sequential(conv3(2 * n, n), relu())
        self.out = zero_init_(conv3(n, 3))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        padded = pad_to_multiple(rgb, spec.size_multiple)
        full = self.at_full(padded - 0.5)
        half = self.at_half(full)
        x = self.at_quarter(half)
        # In half precision the weights' long products would lose their small factors.
        maps = at_least_float(self.weights(padded - 0.5)).chunk(len(self.after) * SWEEPS, dim=1)
        for stage, after in enumerate(self.after):
            right, left, down, up = maps[SWEEPS * stage : SWEEPS * (stage + 1)]
            x = at_least_float(x)
            swept = [
                sweep(x, right, 3, backwards=False),
                sweep(x, left, 3, backwards=True),
                sweep(x, down, 2, backwards=False),
                sweep(x, up, 2, backwards=True),
            ]
            x = after(torch.cat(swept, dim=1))
        x = self.merge_half(torch.cat([upsample2x(x), half], dim=1))
        x = self.merge_full(torch.cat([upsample2x(x), full], dim=1))
        return clamp_output(rgb + self.out(x)[..., :height, :width], self.training)


def build(config: Config) -> SVRNN:
    """Make the network with freshly initialised weights."""
    return SVRNN(config)
