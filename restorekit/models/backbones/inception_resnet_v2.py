"""Inception-ResNet-v2.

Szegedy, Ioffe, Vanhoucke, Alemi. Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning.
AAAI 2017 (arXiv:1602.07261). Sizes and names of tensors are those of the PyTorch form that DeblurGAN-v2 used (the
`pretrainedmodels` package, weights from TensorFlow), which differs from the paper in the stem and in widths.

Convolutions and pools that halve the size pad nothing, so the maps are a few pixels smaller than the image's share.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.image_norm import ImageNorm, Statistics

EPS = 1e-3  # of the normalisations, TensorFlow's value

Side = int | tuple[int, int]


class Unit(nn.Module):
    """Convolution without bias, normalisation, ReLU.

    Args:
        inputs, outputs: maps in and out.
        kernel: side of the filter, or (height, width).
        statistics: what the normalisation uses.
        stride: step in pixels; units with stride 2 pad nothing.
        padded: whether zeros around the map keep its size.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Side, statistics: Statistics, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2) if padded and stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
        self.bn = ImageNorm(outputs, affine=True, statistics=statistics, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(N,inputs,H,W) to (N,outputs,H',W')."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _row(statistics: Statistics, first: int, *units: tuple[Side, int], last_stride: int = 1) -> nn.Sequential:
    """Units in a row: `first` maps go in, then (kernel, maps) of every unit."""
    widths = [first, *(maps for _, maps in units)]
    last = len(units) - 1
    return nn.Sequential(
        *(
            Unit(widths[i], maps, kernel, statistics, last_stride if i == last else 1)
            for i, (kernel, maps) in enumerate(units)
        )
    )


class Mixed5b(nn.Module):
    """192 maps to 320 of the same size."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.branch0 = Unit(192, 96, 1, statistics)
        self.branch1 = _row(statistics, 192, (1, 48), (5, 64))
        self.branch2 = _row(statistics, 192, (1, 64), (3, 96), (3, 96))
        self.branch3 = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), Unit(192, 64, 1, statistics)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N,192,H,W) to (N,320,H,W)."""
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)


class Mixed6a(nn.Module):
    """320 maps to 1088 of half the size."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.branch0 = Unit(320, 384, 3, statistics, stride=2)
        self.branch1 = _row(statistics, 320, (1, 256), (3, 256), (3, 384), last_stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N,320,H,W) to (N,1088,(H-1)//2,(W-1)//2)."""
        return torch.cat([self.branch0(x), self.branch1(x), F.max_pool2d(x, 3, stride=2)], dim=1)


class Mixed7a(nn.Module):
    """1088 maps to 2080 of half the size."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.branch0 = _row(statistics, 1088, (1, 256), (3, 384), last_stride=2)
        self.branch1 = _row(statistics, 1088, (1, 256), (3, 288), last_stride=2)
        self.branch2 = _row(statistics, 1088, (1, 256), (3, 288), (3, 320), last_stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N,1088,H,W) to (N,2080,(H-1)//2,(W-1)//2)."""
        pooled = F.max_pool2d(x, 3, stride=2)
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), pooled], dim=1)


class Residual(nn.Module):
    """Inception block whose branches, joined by a 1x1 convolution and scaled down, are added to the input; then ReLU.

    Args:
        channels: maps in and out.
        branches: for each branch, (kernel, maps) of its units.
        scale: what the joined branches are multiplied with.
        statistics: what the normalisations use.
        rectified: whether a ReLU follows the sum.
    """

    def __init__(
        self,
        channels: int,
        branches: tuple[tuple[tuple[Side, int], ...], ...],
        scale: float,
        statistics: Statistics,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        (alone,), *rows = branches
        self.branch0 = Unit(channels, alone[1], alone[0], statistics)
        self.rows = [f"branch{index}" for index in range(1, len(branches))]
        for name, units in zip(self.rows, rows, strict=True):
            self.add_module(name, _row(statistics, channels, *units))
        self.conv2d = nn.Conv2d(sum(units[-1][1] for units in branches), channels, 1)
        self.scale, self.rectified = scale, rectified

    def forward(self, x: Tensor) -> Tensor:
        """(N,channels,H,W) to the same shape."""
        branches = [self.branch0(x), *(self.get_submodule(name)(x) for name in self.rows)]
        total = torch.add(x, self.conv2d(torch.cat(branches, dim=1)), alpha=self.scale)
        return F.relu(total, inplace=True) if self.rectified else total


def _block35(statistics: Statistics) -> Residual:
    return Residual(320, (((1, 32),), ((1, 32), (3, 32)), ((1, 32), (3, 48), (3, 64))), 0.17, statistics)


def _block17(statistics: Statistics) -> Residual:
    return Residual(1088, (((1, 192),), ((1, 128), ((1, 7), 160), ((7, 1), 192))), 0.10, statistics)


def _block8(statistics: Statistics, last: bool = False) -> Residual:
    branches: tuple[tuple[tuple[Side, int], ...], ...] = (((1, 192),), ((1, 192), ((1, 3), 224), ((3, 1), 256)))
    return Residual(2080, branches, 1.0 if last else 0.20, statistics, rectified=not last)


class InceptionResNetV2(nn.Module):
    """The feature maps of five sizes that a pyramid is built on.

    The blocks after Mixed-7a and the classifier are there because published weight files hold them; nothing runs them.

    Args:
        blocks: number of 35x35, 17x17 and 8x8 blocks (10, 20 and 9 in the paper's network; the last 8x8 one comes on top).
        statistics: "image" or "running", see `ImageNorm`.
        classes: outputs of the classifier.
    """

    WIDTHS = (32, 64, 192, 1088, 2080)
    """Maps of the five sizes, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image."""

    def __init__(self, blocks: tuple[int, int, int], statistics: Statistics, classes: int = 1000) -> None:
        super().__init__()
        self.conv2d_1a = Unit(3, 32, 3, statistics, stride=2)
        self.conv2d_2a = Unit(32, 32, 3, statistics, padded=False)
        self.conv2d_2b = Unit(32, 64, 3, statistics)
        self.conv2d_3b = Unit(64, 80, 1, statistics)
        self.conv2d_4a = Unit(80, 192, 3, statistics, padded=False)
        self.mixed_5b = Mixed5b(statistics)
        self.repeat = nn.Sequential(*(_block35(statistics) for _ in range(blocks[0])))
        self.mixed_6a = Mixed6a(statistics)
        self.repeat_1 = nn.Sequential(*(_block17(statistics) for _ in range(blocks[1])))
        self.mixed_7a = Mixed7a(statistics)
        self.repeat_2 = nn.Sequential(*(_block8(statistics) for _ in range(blocks[2])))
        self.block8 = _block8(statistics, last=True)
        self.conv2d_7b = Unit(2080, 1536, 1, statistics)
        self.last_linear = nn.Linear(1536, classes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [-1,1], sides of at least 107, to the five maps, finest first; see `WIDTHS`."""
        half = self.conv2d_1a(x)
        quarter = F.max_pool2d(self.conv2d_2b(self.conv2d_2a(half)), 3, stride=2)
        eighth = F.max_pool2d(self.conv2d_4a(self.conv2d_3b(quarter)), 3, stride=2)
        sixteenth = self.mixed_6a(self.repeat(self.mixed_5b(eighth)))
        return [half, quarter, eighth, cast(Tensor, sixteenth), self.mixed_7a(self.repeat_1(sixteenth))]
