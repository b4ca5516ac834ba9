"""Noroozi et al.: three stages that correct the blurred image at a quarter, a half and the full size.

Noroozi, Chandramouli, Favaro. Motion Deblurring in the Wild, GCPR 2017 (arXiv:1701.01486); the survey's eq. 21:
L1 = N1(B) + d4(B), L2 = N2(L1) + d2(B), L3 = N3(L2) + B. Where nothing can be done a correction is zero and the image
stays as it is. Neither paper prints all sizes: widths and depths are ours.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Count, Halvable
from restorekit.models.layers import clamp_output, conv3, pad_to_multiple, relu, upsample2x, zero_init_
from restorekit.models.receptive_field import Window
from restorekit.models.spec import Spec

spec = Spec(
    name="noroozi",
    task="deblur",
    summary="three residual stages, coarse to fine",
    paper="Noroozi et al. 2017, arXiv:1701.01486",
    parameters=2_251_081,
    macs_per_pixel=556_128,
    size_multiple=4,
    receptive_field=76,
    tiling="exact",
    objective="pyramid",
    bytes_per_pixel=1600,
)


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    widths: tuple[Halvable, Count, Count] = (128, 96, 64)
    """Maps of the stages at a quarter, a half and the full size."""
    layers: Count = 8
    """3x3 convolutions of a stage between its first and its last."""


class Noroozi(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        coarse, middle, fine = config.widths
        self.coarse = nn.Sequential(
            nn.Conv2d(3, coarse // 2, 5, stride=2, padding=2), relu(),
            nn.Conv2d(coarse // 2, coarse, 3, stride=2, padding=1), relu(),
            *self._layers(coarse, config.layers),
        )  # fmt: skip
        self.middle, self.fine = (
            nn.Sequential(nn.Conv2d(6, width, 5, padding=2), relu(), *self._layers(width, config.layers))
            for width in (middle, fine)
        )

    @staticmethod
    def _layers(channels: int, layers: int) -> list[nn.Module]:
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [conv3(channels, channels), relu()]
        return [*parts, zero_init_(conv3(channels, 3))]

    @staticmethod
    def reduce(rgb: Tensor, factor: int) -> Tensor:
        """Downscale a batch, as the network does with its input."""
        return F.avg_pool2d(rgb, factor)

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored images at a quarter, a half and the full size; H and W are multiples of 4."""
        half, quarter = self.reduce(rgb, 2), self.reduce(rgb, 4)
        restored = [quarter + self.coarse(rgb)]
        for stage, blurred in ((self.middle, half), (self.fine, rgb)):
            before = upsample2x(restored[-1])
            restored.append(blurred + stage(torch.cat([blurred, before], dim=1)))
        return restored

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        restored = self.pyramid(pad_to_multiple(rgb, spec.size_multiple))[-1]
        return clamp_output(restored[..., :height, :width], self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    stage = config.layers + 1  # radius of its 3x3 convolutions
    window = Window.of(spec.size_multiple)
    for _ in range(2):  # the fine stage and the middle one
        window = window.conv(2 + stage).bilinear()
    window = window.conv(stage).conv(1, stride=2).conv(2, stride=2)
    return replace(spec, receptive_field=window.radius)


def build(config: Config) -> Noroozi:
    """Make the network with freshly initialised weights."""
    return Noroozi(config)
