"""SVRNN: spatially varying recurrent networks sweep over feature maps, steered by weights that a second network makes.

Zhang et al., Dynamic Scene Deblurring Using Spatially Variant Recurrent Neural Networks, CVPR 2018, Fig. 2; the survey's
eq. 22. Sizes are those of the authors' Caffe model (`test.prototxt` of cvpr18_rnn_deblur_matcaffe), whose 9.2 million
parameters are the paper's. One step of a sweep is h[k] = w[k] h[k-1] + (1 - w[k]) x[k], with a weight
for every pixel, map and direction. Weights come from a tanh and so lie in (-1,1): the recursion is stable, and can sharpen.

Departures: the last row and column of a doubled map are repeated, where upstream's fade to half; images whose sides do not
divide by 8 are padded, where upstream takes 1280x720 only.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Count, Halvable
from restorekit.models.layers import at_least_float, clamp_output, conv3, pad_to_multiple, relu, upsample2x_aligned
from restorekit.models.spec import Spec

SWEEPS = ((3, False), (3, True), (2, False), (2, True))
"""Dimension and whether backwards: left to right, right to left, down, up."""
LEAK = 0.1  # negative slope of the activations around the sweeps

spec = Spec(
    name="svrnn",
    task="deblur",
    summary="spatially variant recurrent network",
    paper="Zhang et al., CVPR 2018",
    parameters=9_227_027,
    macs_per_pixel=820_304,
    size_multiple=8,
    receptive_field=None,
    tiling="approximate",
    overlap=128,
    objective="pixel",
    bytes_per_pixel=1600,
    one_graph=False,  # sweeps take log2(n) rounds
)

recipe = {
    "code": {
        "steps": 200_000,
        "batch": 20,
        "crop": 128,
        "learning_rate": 1e-4,
        "schedule": "linear",
        "power": 2.0,
        "floor": 0.0,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "none",
        "loss_weights": {"l1": 0.0, "mse": 1.0},
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Halvable = 32
    """Maps that are swept, at half the size; there are half as many at full size."""
    stages: Count = 4
    widths: tuple[Halvable, Count, Halvable, Count] = (64, 128, 256, 512)
    """Maps of the weight network at full, 1/2, 1/4 and 1/8 size."""


def sweep(x: Tensor, weight: Tensor, dim: int, backwards: bool) -> Tensor:
    """The recursion h[k] = w[k] h[k-1] + (1 - w[k]) x[k] along one dimension, with h[-1] = 0.

    Steps are composed in pairs: h[k] = a h[k - 2^i] + b doubles its stride i with every round, so that n pixels take
    log2(n) rounds over whole maps instead of n steps.

    Args:
        x, weight: (N,C,H,W); weights in (-1,1).
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


def _convolutions(*widths: int) -> nn.Sequential:
    """3x3 convolutions from one width to the next, with a ReLU each."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [conv3(before, after), relu()]
    return nn.Sequential(*layers)


class WeightNetwork(nn.Module):
    """VGG-16's first ten convolutions and a bilinear decoder with two skips, to recurrent weights at half the size."""

    def __init__(self, widths: tuple[int, int, int, int], outputs: int) -> None:
        super().__init__()
        full, half, quarter, eighth = widths
        self.encode_full = _convolutions(3, full, full)
        self.encode_half = _convolutions(full, half, half)
        self.encode_quarter = _convolutions(half, quarter, quarter)
        self.encode_quarter_last = _convolutions(quarter, quarter)
        self.encode_eighth = _convolutions(quarter, eighth, eighth, quarter)
        self.merge_quarter = _convolutions(2 * quarter, quarter // 2, quarter // 2)
        self.merge_half = _convolutions(quarter // 2 + half, quarter)
        self.out = conv3(quarter, outputs)

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) to (N,outputs,H/2,W/2) in (-1,1)."""
        half = self.encode_half(F.max_pool2d(self.encode_full(rgb), 2))
        quarter = self.encode_quarter(F.max_pool2d(half, 2))
        eighth = self.encode_eighth(F.max_pool2d(self.encode_quarter_last(quarter), 2))
        x = self.merge_quarter(torch.cat([quarter, upsample2x_aligned(eighth)], dim=1))
        x = self.merge_half(torch.cat([half, upsample2x_aligned(x)], dim=1))
        return torch.tanh(self.out(x))


class SVRNN(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, sweeps = config.channels, len(SWEEPS)
        self.weights = WeightNetwork(config.widths, config.stages * sweeps * n)
        self.at_full = nn.Conv2d(3, n // 2, 11, padding=5)
        self.at_half = nn.Conv2d(n // 2, n, 7, stride=2, padding=3)
        self.after = nn.ModuleList(conv3(sweeps * n, n) for _ in range(config.stages))
        self.merge_half = nn.Conv2d(2 * n, n // 2, 9, padding=4)
        self.out = nn.Conv2d(2 * (n // 2), 3, 5, padding=2)

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        padded = pad_to_multiple(rgb, spec.size_multiple)
        full = F.leaky_relu(self.at_full(padded), LEAK)
        x = half = self.at_half(full)
        # In half precision the weights' long products would lose their small factors.
        maps = at_least_float(self.weights(padded)).chunk(len(self.after) * len(SWEEPS), dim=1)
        for stage, after in enumerate(self.after):
            x = at_least_float(x)
            weights = maps[len(SWEEPS) * stage : len(SWEEPS) * (stage + 1)]
            swept = [sweep(x, w, *direction) for w, direction in zip(weights, SWEEPS, strict=True)]
            x = F.leaky_relu(after(torch.cat(swept, dim=1)), LEAK)
        x = F.leaky_relu(self.merge_half(torch.cat([half, x], dim=1)), LEAK)
        restored = self.out(torch.cat([full, upsample2x_aligned(x)], dim=1))
        return clamp_output(restored[..., :height, :width], self.training)


def build(config: Config) -> SVRNN:
    """Make the network with freshly initialised weights."""
    return SVRNN(config)
