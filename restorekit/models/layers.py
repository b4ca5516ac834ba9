"""Blocks that several systems share."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2  # negative slope of every leaky ReLU, as in ESRGAN and SPSR
RESIDUAL_SCALE = 0.2  # what a residual body adds to its input, as in ESRGAN


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def zero_init_(convolution: nn.Conv2d) -> nn.Conv2d:
    """The same convolution, starting at zero: as the last one before a global residual it makes the start the identity."""
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


def kaiming_init_(model: nn.Module, gain: float = 1.0) -> None:
    """Start all convolutions as He et al. do (arXiv:1502.01852): variance 2 / inputs of an output, biases zero.

    Args:
        model: changed in place.
        gain: factor on the weights; ESRGAN starts its blocks with 0.1.
    """
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            taps = math.prod(layer.kernel_size)
            if isinstance(layer, nn.ConvTranspose2d):  # they are spread over the outputs of one input
                taps //= math.prod(layer.stride)
            nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / (layer.in_channels * taps)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def ignore_brightness_(convolution: nn.Conv2d, gain: float) -> None:
    """Start filters that sum to zero for each of their inputs, `gain` times as large as they were.

    Blur shows in small differences of neighbours, and brightness would drown them.
    """
    with torch.no_grad():
        weight = convolution.weight
        weight.sub_(weight.mean(dim=(2, 3), keepdim=True)).mul_(gain)


def relu() -> nn.ReLU:
    """ReLU that works in place, as `leaky`."""
    return nn.ReLU(inplace=True)


def leaky() -> nn.LeakyReLU:
    """Leaky ReLU that works in place: on large maps memory traffic costs as much as the convolution."""
    return nn.LeakyReLU(LEAK, inplace=True)


def at_least_float(x: Tensor) -> Tensor:
    """The same values in float32, or in float64 if they are: for sums and products that half precision would spoil."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Where no type is chosen automatically, on the device of `x`; on shapes alone there is nothing to choose."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def clamp_output(rgb: Tensor, training: bool) -> Tensor:
    """Clip to 0..1, but not in training: a clipped value has no gradient and would never come back."""
    return rgb if training else rgb.clamp(0, 1)


def upsample2x(x: Tensor) -> Tensor:
    """(N,C,H,W) to (N,C,2H,2W), bilinear with half-pixel centres, as PyTorch and OpenCV do it."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def upsample2x_aligned(x: Tensor) -> Tensor:
    """(N,C,H,W) to (N,C,2H,2W), bilinear as TensorFlow 1 and old Caffe code did it.

    Pixel i stays at 2i and means of two come between; the last row and column are repeated.
    """
    for dim in (2, 3):
        after = torch.cat([x.narrow(dim, 1, x.shape[dim] - 1), x.narrow(dim, x.shape[dim] - 1, 1)], dim)
        x = torch.stack([x, (x + after) / 2], dim + 1).flatten(dim, dim + 1)
    return x


def pad_to_multiple(rgb: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Continue a batch (N,C,H,W) at the right and bottom until both sides are multiples of `multiple`, and at least `least`.

    Mirrored where the image is large enough for it, repeated where it is not, so that 1x1 works too.
    """
    height, width = rgb.shape[-2:]
    down, right = (max(-side % multiple, -(-least // multiple) * multiple - side) for side in (height, width))
    if not down and not right:
        return rgb
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(rgb, (0, right, 0, down), mode=mode)


class ResidualBlock(nn.Module):
    """Two convolutions with an activation between, added to the input; no normalisation, nothing after the sum.

    Args:
        channels: maps in and out.
        kernel: side of the convolutions' windows, odd.
        activation: makes the layer between them.
    """

    def __init__(self, channels: int, kernel: int = 3, activation: Callable[[], nn.Module] = leaky) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, kernel, padding=kernel // 2) for _ in range(2))
        self.body = nn.Sequential(first, activation(), second)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        return cast(Tensor, x + self.body(x))


class Res2NetBlock(nn.Module):
    """Res2Net block without normalisation: groups of channels see growing receptive fields.

    Gao et al., Res2Net: A New Multi-scale Backbone Architecture, TPAMI 2021 (arXiv:1904.01169), Fig. 2b. Batch
    normalisation is left out and the body scaled by 0.2, as ESRGAN does with its residual blocks.

    Args:
        channels: maps in.
        width: maps of each group.
        outputs: maps out, if they are fewer or more than come in: then a 1x1 convolution takes the shortcut's place.
        groups: number of groups (the paper's "scale"); the first one is passed on untouched.
    """

    def __init__(self, channels: int, width: int, outputs: int | None = None, groups: int = 4) -> None:
        super().__init__()
        self.groups = groups
        self.enter = nn.Conv2d(channels, groups * width, 1)
        self.convs = nn.ModuleList(conv3(width, width) for _ in range(groups - 1))
        self.leave = nn.Conv2d(groups * width, outputs or channels, 1)
        self.shortcut = nn.Conv2d(channels, outputs, 1) if outputs else nn.Identity()
        self.act = leaky()

    def forward(self, x: Tensor) -> Tensor:
        """(N,channels,H,W) to (N,outputs,H,W)."""
        first, *rest = self.act(self.enter(x)).chunk(self.groups, dim=1)
        outputs = [first]
        for index, (group, conv) in enumerate(zip(rest, self.convs, strict=True)):
            outputs.append(self.act(conv(group if index == 0 else group + outputs[-1])))
        return torch.add(self.shortcut(x), self.leave(torch.cat(outputs, dim=1)), alpha=RESIDUAL_SCALE)


class DenseBlock(nn.Module):
    """ESRGAN's residual dense block: five 3x3 convolutions, each fed by all before it."""

    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3(channels + i * growth, growth if i < 4 else channels) for i in range(5))
        self.act = leaky()

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        maps = [x]
        for conv in self.convs[:-1]:
            maps.append(self.act(conv(torch.cat(maps, dim=1))))
        return torch.add(x, self.convs[-1](torch.cat(maps, dim=1)), alpha=RESIDUAL_SCALE)


class ResidualInResidual(nn.Module):
    """Blocks in a row, with 0.2 of their result added to the input (ESRGAN's RRDB when the blocks are dense)."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        return torch.add(x, self.blocks(x), alpha=RESIDUAL_SCALE)


def rrdb(channels: int, growth: int = 32) -> ResidualInResidual:
    """ESRGAN's residual-in-residual dense block (arXiv:1809.00219, Fig. 4). It reaches 15 pixels."""
    return ResidualInResidual(*(DenseBlock(channels, growth) for _ in range(3)))


class ResidualUNet(nn.Module):
    """U-Net whose decoder levels add the upsampled tensor back: the GGGAN paper's pre-network.

    Each level is two 3x3 convolutions with leaky ReLU; 2x2 max-pooling down, 2x2 stride-2 transposed convolution up.

    Args:
        inputs, outputs: maps in and out.
        widths: maps of the levels, finest first.
    """

    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.down = nn.ModuleList(self._level(before, width) for before, width in pairwise((inputs, *widths)))
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.merge = nn.ModuleList(self._level(2 * fine, fine) for fine, _ in pairs)
        self.out = zero_init_(conv3(widths[0], outputs))  # the untrained network corrects nothing

    @staticmethod
    def _level(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(conv3(inputs, outputs), leaky(), conv3(outputs, outputs), leaky())

    def forward(self, x: Tensor) -> Tensor:
        """(N,inputs,H,W) to (N,outputs,H,W); H and W are multiples of 2^(levels - 1)."""
        skips: list[Tensor] = []
        for depth, level in enumerate(self.down):
            x = level(F.max_pool2d(x, 2) if depth else x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            raised = up(x)
            x = merge(torch.cat([raised, skip], dim=1)) + raised
        return cast(Tensor, self.out(x))
