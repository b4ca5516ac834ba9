"""ESPCN: three small convolutions on the low-resolution luma and a pixel shuffle; real-time on any machine.

Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network, CVPR
2016 (arXiv:1609.05158), fig. 1: 5x5, tanh; 3x3, tanh; 3x3 to s^2 maps; shuffle. Chroma is enlarged bicubically.
"""

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Scale
from restorekit.models.layers import clamp_output, conv3
from restorekit.models.spec import Spec
from restorekit.models.upsampling import restore_luma

spec = Spec(
    name="espcn",
    task="sr",
    summary="sub-pixel convolution, luma",
    paper="Shi et al. 2016, arXiv:1609.05158",
    parameters=24_752,
    macs_per_pixel=24_640,
    size_multiple=1,
    receptive_field=4,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=1700,
    scale=4,
)

recipe = {
    "printed": {
        "crop": 68,  # 17 px for each of the scale
        "floor": 1e-4,
        "downscale": "gauss",
        "loss_weights": {"l1": 0.0, "mse": 1.0},
    },
    "ours": {
        "steps": 200_000,
        "batch": 16,
        "learning_rate": 1e-3,  # 0.01 in the paper, which lowers it whenever the loss stops falling
        "schedule": "exponential",
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "none",
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4


class ESPCN(nn.Module):
    """The network. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.features = nn.Sequential(nn.Conv2d(1, 64, 5, padding=2), nn.Tanh(), conv3(64, 32), nn.Tanh())
        self.subpixels = conv3(32, config.scale**2)

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        return clamp_output(restore_luma(rgb, self.scale, self._restore), self.training)

    def _restore(self, y: Tensor, above: Tensor) -> Tensor:
        return F.pixel_shuffle(self.subpixels(self.features(y)), self.scale)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, scale=config.scale)


def build(config: Config) -> ESPCN:
    """Make the network with freshly initialised weights."""
    return ESPCN(config)
