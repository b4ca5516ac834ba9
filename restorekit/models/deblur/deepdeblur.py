"""DeepDeblur: three ResNets from coarse to fine, each fed by the enlarged result of the coarser one.

Nah, Kim, Lee. Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring, CVPR 2017 (arXiv:1612.02177),
Figs. 4 and 5, in the form of the authors' PyTorch code.
"""

import re
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.layers import ResidualBlock, clamp_output, pad_to_multiple, relu
from restorekit.models.receptive_field import Window
from restorekit.models.spec import Spec

MIDDLE = 0.5  # subtracted from the images: the middle of their range

spec = Spec(
    name="deepdeblur",
    task="deblur",
    summary="multi-scale ResNets, 3 scales",
    paper="Nah et al. 2017, arXiv:1612.02177",
    parameters=11_721_321,
    macs_per_pixel=5_126_081,
    size_multiple=4,
    receptive_field=572,
    tiling="approximate",
    overlap=128,
    objective="deepdeblur",
    bytes_per_pixel=1700,
)

recipe = {
    "printed": {
        "steps": 900_000,
        "batch": 2,
        "crop": 256,
        "schedule": "milestones",
        "milestones": (300_000,),
        "decay": 0.1,
        "optimizer": "adam",
        "loss_weights": {"mse": 1.0, "adversarial": 1e-4},
    },
    "code": {  # of 2017, in Lua; the later PyTorch code trains for L1 at 1e-4
        "learning_rate": 5e-5,
        "betas": (0.9, 0.999),
        "augment": "sang",  # theirs saturates one crop in ten, and leaves one in ten sharp
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 64
    blocks: Count = 19
    scales: Annotated[int, Field(ge=1, le=6)] = 3


def _resnet(inputs: int, config: Config) -> nn.Sequential:
    n = config.channels
    return nn.Sequential(
        nn.Conv2d(inputs, n, 5, padding=2),
        *(ResidualBlock(n, 5, relu) for _ in range(config.blocks)),
        nn.Conv2d(n, 3, 5, padding=2),
    )


class DeepDeblur(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        coarsest = config.scales - 1
        self.resnets = nn.ModuleList(_resnet(3 if level == coarsest else 6, config) for level in range(config.scales))
        """Finest first."""
        self.enlarge = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, 12, 5, padding=2), nn.PixelShuffle(2)) for _ in range(coarsest)
        )
        """From level 1 to 0, from level 2 to 1, ..."""

    @staticmethod
    def reduce(rgb: Tensor, factor: int) -> Tensor:
        """Downscale a batch, as the network does with its input."""
        return F.avg_pool2d(rgb, factor)

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored images from the coarsest scale to the full one; H and W are multiples of 4."""
        restored: list[Tensor] = []
        for level in reversed(range(len(self.resnets))):
            blurred = self.reduce(rgb, 2**level) - MIDDLE
            if restored:
                blurred = torch.cat([blurred, self.enlarge[level](restored[-1])], dim=1)
            restored.append(self.resnets[level](blurred))
        return [image + MIDDLE for image in restored]

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        restored = self.pyramid(pad_to_multiple(rgb, 2 ** len(self.enlarge)))[-1]
        return clamp_output(restored[..., :height, :width], self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    multiple = 2 ** (config.scales - 1)
    resnet = 4 * config.blocks + 4  # radius: two 5x5 convolutions of every block, two around them
    window = Window.of(multiple).conv(resnet)
    for _ in range(config.scales - 1):
        window = window.shuffle(2).conv(2).conv(resnet)
    return replace(spec, size_multiple=multiple, receptive_field=window.pool(multiple).radius)


def build(config: Config) -> DeepDeblur:
    """Make the network with freshly initialised weights."""
    return DeepDeblur(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise DeepDeblur-PyTorch's files (`body_models.L.body.N...`, `conv_end_models.L.uppath.0...`).

    They are trained on the range 0..255. Without a bias on the input side the network is not homogeneous, so its first
    and last convolutions are scaled: the input weights by 255, those that make images by 1/255.
    """
    if "body_models.0.body.0.weight" not in state:
        return None
    levels = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("body_models."))
    last = max(int(match[1]) for key in state if (match := re.match(r"body_models\.0\.body\.(\d+)\.", key)))
    converted: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if match := re.fullmatch(r"body_models\.(\d+)\.body\.(\d+)\.(.+)", key):
            if int(match[2]) == 0 and match[3] == "weight":
                tensor = tensor * 255
            elif int(match[2]) == last:
                tensor = tensor / 255
            converted[f"resnets.{match[1]}.{match[2]}.{match[3]}"] = tensor
        elif match := re.fullmatch(r"conv_end_models\.(\d+)\.uppath\.0\.(\w+)", key):
            scaled = tensor / 255 if match[2] == "bias" else tensor
            converted[f"enlarge.{int(match[1]) - 1}.0.{match[2]}"] = scaled
        else:
            converted[key] = tensor
    channels = state["body_models.0.body.0.weight"].shape[0]
    return {"channels": channels, "blocks": last - 1, "scales": levels}, converted
