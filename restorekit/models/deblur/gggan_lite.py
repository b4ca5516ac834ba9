"""GGGAN-lite: GGGAN's parts on a grid of 4x4 pixel cells, small enough for a CPU and for video.

Our own design, after Shi et al. (see `gggan`). The image is pixel-unshuffled by 4, so that every convolution sees one
sixteenth of the positions; pre-network, image branch, gradient branch and fusion keep their roles. What differs, and why:

- The pre-network works on cells of 8x8 and 16x16 pixels only: long motion needs context, at little cost. Its image
  feeds the gradient branch and the loss; the image branch starts from the blurred image and takes the pre-network's
  features as advice, through a convolution that starts at zero. Two corrections in a row learned much more slowly.
- The gradient map is taken at full resolution, where the edges are, and then unshuffled too.
- Plain residual blocks with dense 3x3 convolutions and multiples of 16 maps: CPUs run many thin ones far below their peak.
- Images enter centred and scaled by 4 (about unit variance), corrections leave scaled by 0.1: without both, training
  stays with the identity for long.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.gradient_guidance import Branches, check_taps, gradient_map
from restorekit.models.layers import ResidualBlock, clamp_output, conv3, leaky, pad_to_multiple, zero_init_
from restorekit.models.networks.cell_unet import CELL, GAIN, SHARE
from restorekit.models.receptive_field import Window
from restorekit.models.spec import Spec

spec = Spec(
    name="gggan-lite",
    task="deblur",
    summary="gradient-guided generator on 4x4 cells",
    paper="ours, after Shi et al. 2022 (see gggan)",
    parameters=1_130_304,
    macs_per_pixel=40_128,
    size_multiple=16,
    receptive_field=160,
    tiling="exact",
    objective="gggan",
    bytes_per_pixel=200,
)


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 64
    blocks: Count = 6
    taps: tuple[Count, ...] = (3, 6)
    """Blocks of the image branch after which the gradient branch listens."""
    gradient_channels: Count = 32
    prenet_widths: tuple[Count, Count] = (64, 96)
    """Maps on cells of 8 and of 16 pixels."""

    def __post_init__(self) -> None:
        check_taps(self.taps, self.blocks, "blocks")


class PreNetwork(nn.Module):
    """U-Net below the working grid with the paper's residual decoder: what comes up is added to the skip."""

    def __init__(self, cells: int, widths: tuple[int, int]) -> None:
        super().__init__()
        middle, low = widths
        self.to_middle = nn.Sequential(nn.Conv2d(cells, middle, 2, stride=2), ResidualBlock(middle))
        self.to_low = nn.Sequential(nn.Conv2d(middle, low, 2, stride=2), ResidualBlock(low), ResidualBlock(low))
        self.from_low = nn.ConvTranspose2d(low, middle, 2, stride=2)
        self.from_middle = nn.Sequential(ResidualBlock(middle), nn.ConvTranspose2d(middle, cells, 2, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """(N,cells,H/4,W/4) to features of the same shape."""
        middle = self.to_middle(x)  # (N,middle,H/8,W/8)
        low = self.to_low(middle)  # (N,low,H/16,W/16)
        return cast(Tensor, self.from_middle(self.from_low(low) + middle))


class GGGANLite(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, g, cells = config.channels, config.gradient_channels, 3 * CELL**2
        self.prenet = PreNetwork(cells, config.prenet_widths)
        self.prenet_out = zero_init_(conv3(cells, cells))

        self.image_head = conv3(cells, n)
        self.advice = zero_init_(nn.Conv2d(cells, n, 1))
        self.image_blocks = nn.ModuleList(ResidualBlock(n) for _ in range(config.blocks))

        self.taps = config.taps
        self.gradient_head = conv3(cells, g)
        self.gradient_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(g + n, g, 1), leaky(), conv3(g, g)) for _ in config.taps
        )
        self.gradient_out = nn.Conv2d(g, cells, 1)

        self.fusion = zero_init_(conv3(g + n, cells))

    def branches(self, rgb: Tensor) -> Branches:
        """All that training compares; H and W are multiples of 16."""
        cells = F.pixel_unshuffle((rgb - 0.5) * GAIN, CELL)  # (N,48,H/4,W/4)
        features = self.prenet(cells)
        correction = SHARE * self.prenet_out(features)
        pre = rgb + F.pixel_shuffle(correction, CELL)

        x = head = self.image_head(cells) + self.advice(features)  # (N,n,H/4,W/4)
        g = self.gradient_head(F.pixel_unshuffle(GAIN * gradient_map(pre), CELL))  # (N,g,H/4,W/4)
        listeners = dict(zip(self.taps, self.gradient_blocks, strict=True))
        for depth, block in enumerate(self.image_blocks, start=1):
            x = block(x)
            if depth in listeners:
                g = g + listeners[depth](torch.cat([g, x], dim=1))

        image = rgb + F.pixel_shuffle(SHARE * self.fusion(torch.cat([g, x + head], dim=1)), CELL)
        return Branches(image, pre, F.pixel_shuffle(self.gradient_out(g), CELL))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        image = self.branches(pad_to_multiple(rgb, spec.size_multiple)).image
        return clamp_output(image[..., :height, :width], self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration.

    The pre-network's features reach the result along the image branch, from there through listeners, or as gradient.
    """
    listeners = len(config.taps)
    image = 2 * config.blocks
    tapped = [2 * tap + listeners - index for index, tap in enumerate(config.taps)]
    # The gradient branch's head, the gradient of the neighbouring cell, the last layer of `pre`.
    gradient = listeners + 3
    fusion = 1
    cells = Window.of(spec.size_multiple).shuffle(CELL).conv(fusion + max(image, gradient, *tapped))
    low = cells.shuffle(2).conv(2).shuffle(2).conv(4)
    return replace(spec, receptive_field=low.pool(2).conv(2).pool(2).pool(CELL).radius)


def build(config: Config) -> GGGANLite:
    """Make the network with freshly initialised weights."""
    return GGGANLite(config)
