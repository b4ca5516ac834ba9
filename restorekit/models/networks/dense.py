"""The dense encoder-decoder of Song and Wu: DN, and with a multi-scale block before the output MSDN.

Song, Wu. Image deblurring based on a multi-scale dense generative adversarial network. Laser & Optoelectronics Progress
56(21), 2019. The paper names the layers: dense layer = 3x3 convolution, weight norm, TPReLU, dropout 0.2; down layer = 1x1,
weight norm, TPReLU, dropout, 2x2 max-pooling; up layer = transposed 3x3 of stride 2, weight norm, TPReLU; skips by
concatenation; four average-pooling branches. Its figure of the whole is not at hand, so these are readings:

- A skip joins "the output of the down layer" and "the corresponding up layer" (section 3.3). All four pairs have one size if
  the down layer's maps are taken before its pooling, so they are.
- The conclusion says that what is new concerns mainly the encoder. The decoder has dense blocks like the encoder here;
  `decoder = "plain"` leaves them out, as in DeblurGAN.
- The multi-scale block looks at what the decoder gives, as DCPDN's does (arXiv:1803.08396).
- Weight norm scales every output map, in transposed convolutions too.

Widths and counts are ours, after FC-DenseNet (arXiv:1611.09326), whose decoder also drops a dense block's input from what
goes up.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from restorekit.models.config import Count, Dropout
from restorekit.models.layers import clamp_output, pad_to_multiple, zero_init_
from restorekit.models.receptive_field import Window

RECIPE = {
    "printed": {
        "steps": 630_000,  # 300 epochs of 2,100 pairs
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "linear",
        "decay_from": 420_000,  # epoch 200
        "floor": 1e-8,
        "optimizer": "adam",
        "loss_weights": {"perceptual": 100.0, "adversarial": 1.0},
        "objective": {"discriminator_steps": 1, "generator_steps": 5, "layer": "vgg19.conv5_4"},
    },
    # DeblurGAN's, to which the paper refers for what it does not print.
    "code": {"batch": 1, "betas": (0.5, 0.999), "augment": "flips", "loss_weights": {"gradient_penalty": 10.0}},
}
"""What the paper says of training both of its networks."""

SIZE_MULTIPLE = 32
WINDOWS = (32, 16, 8, 4)  # of the multi-scale block's average pools, in pixels


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 48
    """Maps of the head."""
    growth: Count = 16
    layers: Count = 4
    """Dense layers of a block; the bottleneck has twice as many."""
    levels: Annotated[int, Field(ge=1, le=5)] = 4
    """Halvings of the size; five reach the grid of 32 pixels that images are padded to."""
    decoder: Literal["dense", "plain"] = "dense"
    """Whether a dense block follows every up layer, or nothing does."""
    dropout: Dropout = 0.2


class TPReLU(nn.Module):
    """Translated parametric ReLU: max(x - t, 0) + a min(x - t, 0) + t with a learned a and t for every map.

    Xiang, Li. On the effects of batch and weight normalization in generative adversarial networks, 2017 (arXiv:1704.03971).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        shift = self.shift.view(1, -1, 1, 1)
        return F.prelu(x - shift, self.slope) + shift


def _layer(convolution: nn.Conv2d | nn.ConvTranspose2d, dropout: float) -> nn.Sequential:
    outputs_at = 1 if isinstance(convolution, nn.ConvTranspose2d) else 0
    return nn.Sequential(
        weight_norm(convolution, dim=outputs_at), TPReLU(convolution.out_channels), nn.Dropout(dropout)
    )


class DenseBlock(nn.Module):
    """Layers that each see the block's input and all layers before; gives what the layers add, without the input."""

    def __init__(self, inputs: int, config: Config, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _layer(nn.Conv2d(inputs + i * config.growth, config.growth, 3, padding=1), config.dropout)
            for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to (N,layers*growth,H,W)."""
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, dim=1)))
        return torch.cat(maps[1:], dim=1)


class MultiScale(nn.Module):
    """Average pools of four sizes, 4 maps of each, enlarged again and put beside the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(channels, 4, 1) for _ in WINDOWS)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to (N,C+16,H,W)."""
        maps = [x]
        for window, branch in zip(WINDOWS, self.branches, strict=True):
            small = branch(F.avg_pool2d(x, window))
            maps.append(F.interpolate(small, scale_factor=window, mode="bilinear", align_corners=False))
        return torch.cat(maps, dim=1)


def receptive_field(config: Config, multi_scale: bool) -> int:
    """Radius of the receptive field in input pixels."""
    window = Window.of(SIZE_MULTIPLE).conv(1)
    if multi_scale:
        window = window.bilinear(WINDOWS[0]).pool(WINDOWS[0])
    for _ in range(config.levels):
        window = window.conv(config.layers if config.decoder == "dense" else 0).transposed3()
    window = window.conv(2 * config.layers)
    for _ in range(config.levels):
        window = window.pool(2).conv(config.layers)
    return window.conv(3).radius


class DenseDeblur(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config, multi_scale: bool) -> None:
        super().__init__()
        width, block = config.channels, config.growth * config.layers
        self.head = nn.Conv2d(3, width, 7, padding=3)
        self.dense_down, self.down = nn.ModuleList(), nn.ModuleList()
        skips = []
        for _ in range(config.levels):
            self.dense_down.append(DenseBlock(width, config, config.layers))
            width += block
            skips.append(width)
            self.down.append(_layer(nn.Conv2d(width, width, 1), config.dropout))
        self.bottleneck = DenseBlock(width, config, 2 * config.layers)
        width = 2 * block
        dense = config.decoder == "dense"
        self.up, self.dense_up = nn.ModuleList(), nn.ModuleList()
        for skip in reversed(skips):
            raised = width if dense else block
            self.up.append(_layer(nn.ConvTranspose2d(width, raised, 3, 2, 1, output_padding=1), 0))
            self.dense_up.append(DenseBlock(raised + skip, config, config.layers) if dense else nn.Identity())
            width = block if dense else raised + skip
        self.multi_scale = MultiScale(width) if multi_scale else nn.Identity()
        self.out = zero_init_(nn.Conv2d(width + 4 * len(WINDOWS) if multi_scale else width, 3, 3, padding=1))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        x = self.head(pad_to_multiple(rgb, SIZE_MULTIPLE) * 2 - 1)
        skips: list[Tensor] = []
        for dense, down in zip(self.dense_down, self.down, strict=True):
            skips.append(down(torch.cat([x, dense(x)], dim=1)))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottleneck(x)
        for up, dense in zip(self.up, self.dense_up, strict=True):
            x = dense(torch.cat([up(x), skips.pop()], dim=1))
        correction = torch.tanh(self.out(self.multi_scale(x)))
        # Added on -1..1, where everything is twice as large.
        return clamp_output(rgb + correction[..., :height, :width] / 2, self.training)
