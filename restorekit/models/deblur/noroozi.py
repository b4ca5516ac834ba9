"""Noroozi et al.: three stages that correct the blurred image at a quarter, a half and the full size.

Noroozi, Chandramouli, Favaro. Motion Deblurring in the Wild, GCPR 2017 (arXiv:1701.01486); the survey's eq. 21:
L1 = N1(B) + d4(B), L2 = N2(L1) + d2(B), L3 = N3(L2) + B. N1 has convolutions alone and sees the blurred image; N2 and N3
see nothing but the coarser estimate, which they enlarge by a transposed convolution (the survey's "convolution and
deconvolution layers"). Where nothing can be done a correction is zero and the image stays as it is. Neither paper prints all
sizes: widths, depths, and where in a stage the transposed convolution stands are ours.
"""

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Count, Halvable
from restorekit.models.layers import clamp_output, conv3, pad_to_multiple, relu, zero_init_
from restorekit.models.receptive_field import Window
from restorekit.models.spec import Spec

spec = Spec(
    name="noroozi",
    task="deblur",
    summary="three residual stages, coarse to fine",
    paper="Noroozi et al. 2017, arXiv:1701.01486",
    parameters=2_452_233,
    macs_per_pixel=397_378,
    size_multiple=4,
    receptive_field=96,
    tiling="exact",
    objective="pyramid",
    bytes_per_pixel=800,
)

recipe = {
    "printed": {"loss_weights": {"mse": 1.0, "adversarial": 0.0}},
    "ours": {
        "steps": 500_000,
        "batch": 8,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "cosine",
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "flips-and-turns",
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    widths: tuple[Halvable, Count, Count] = (128, 96, 64)
    """Maps of the stages at a quarter, a half and the full size."""
    layers: Count = 8
    """3x3 convolutions of a stage; half of them stand behind the transposed one."""


class Noroozi(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        coarse, middle, fine = config.widths
        before, after = _split(config.layers)
        self.coarse = nn.Sequential(
            nn.Conv2d(3, coarse // 2, 5, stride=2, padding=2), relu(),
            nn.Conv2d(coarse // 2, coarse, 3, stride=2, padding=1), relu(),
            *_layers(coarse, config.layers),
            zero_init_(conv3(coarse, 3)),
        )  # fmt: skip
        self.middle, self.fine = (
            nn.Sequential(
                nn.Conv2d(3, width, 5, padding=2), relu(),
                *_layers(width, before),
                nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), relu(),
                *_layers(width, after),
                zero_init_(conv3(width, 3)),
            )
            for width in (middle, fine)
        )  # fmt: skip

    @staticmethod
    def reduce(rgb: Tensor, factor: int) -> Tensor:
        """Downscale a batch, as the network does with its input."""
        return F.avg_pool2d(rgb, factor)

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored images at a quarter, a half and the full size; H and W are multiples of 4."""
        half, quarter = self.reduce(rgb, 2), self.reduce(rgb, 4)
        first = self.coarse(rgb) + quarter
        second = self.middle(first) + half
        return [first, second, self.fine(second) + rgb]

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        restored = self.pyramid(pad_to_multiple(rgb, spec.size_multiple))[-1]
        return clamp_output(restored[..., :height, :width], self.training)


def _split(layers: int) -> tuple[int, int]:
    """Layers before and after the transposed convolution."""
    return layers - layers // 2, layers // 2


def _layers(channels: int, count: int) -> list[nn.Module]:
    return [part for _ in range(count) for part in (conv3(channels, channels), relu())]


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    window = Window.of(spec.size_multiple)
    before, after = _split(config.layers)
    for _ in range(2):  # the fine stage and the middle one
        window = window.conv(1 + after).transposed4().conv(before + 2)
    window = window.conv(config.layers + 1).conv(1, stride=2).conv(2, stride=2)
    return replace(spec, receptive_field=window.radius)


def build(config: Config) -> Noroozi:
    """Make the network with freshly initialised weights."""
    return Noroozi(config)
