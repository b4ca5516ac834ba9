"""SRCNN: three convolutions that repair a bicubic enlargement.

Dong, Loy, He, Tang. Image Super-Resolution Using Deep Convolutional Networks, TPAMI 2016 (arXiv:1501.00092), section 4.3.3:
64 and 32 maps with windows 9-1-5, 9-3-5 or 9-5-5 on the enlarged luma, no skip; the best, 9-5-5, is the default. Borders are
repeated before every convolution as in the authors' test code (they train on valid pixels only). Chroma is enlarged
bicubically.

The paper starts with weights of deviation 0.001 and trains for 8e8 steps. We start close to the bicubic enlargement: the
first map of every layer passes it on, the others start as He et al. and count a hundredth.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from restorekit.models.config import Scale
from restorekit.models.layers import clamp_output, kaiming_init_, relu
from restorekit.models.receptive_field import through_upsampling
from restorekit.models.spec import Spec
from restorekit.models.upsampling import restore_luma

spec = Spec(
    name="srcnn",
    task="sr",
    summary="three convolutions after bicubic enlargement, luma",
    paper="Dong et al. 2016, arXiv:1501.00092",
    parameters=57_281,
    macs_per_pixel=914_944,
    size_multiple=1,
    receptive_field=4,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=11000,
    scale=4,
)

recipe = {
    "printed": {
        "steps": 800_000_000,
        "learning_rate": 1e-4,
        "rate_factors": {"reconstruction.*": 0.1},
        "schedule": "constant",
        "optimizer": "sgd",
        "momentum": 0.9,
    },
    "code": {"batch": 128},
    "ours": {
        "crop": 32,  # 33 px in the paper; ours are multiples of the scale
        "augment": "none",
        "loss_weights": {"l1": 0.0, "mse": 1.0},  # a mean over pixels; the paper sums them
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4
    middle: Literal[1, 3, 5] = 5
    """Window of the second convolution."""


def _convolution(inputs: int, outputs: int, window: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, window, padding=window // 2, padding_mode="replicate")


class SRCNN(nn.Module):
    """The network. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        self.patches = _convolution(1, 64, 9)
        self.mapping = _convolution(64, 32, config.middle)
        self.reconstruction = _convolution(32, 1, 5)
        self.act = relu()
        kaiming_init_(self)
        with torch.no_grad():
            self.reconstruction.weight *= 0.01
            self.patches.weight[0], self.mapping.weight[0], self.reconstruction.weight[0, 0] = 0, 0, 0
            for layer in (self.patches, self.mapping, self.reconstruction):
                middle = layer.kernel_size[0] // 2
                layer.weight[0, 0, middle, middle] = 1

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        return clamp_output(restore_luma(rgb, self.scale, lambda _, above: self.repair(above)), self.training)

    def repair(self, above: Tensor) -> Tensor:
        """Restore enlarged luma (N,1,H,W)."""
        features: Tensor = self.mapping(self.act(self.patches(above)))
        repaired: Tensor = self.reconstruction(self.act(features))
        return repaired


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(
        spec,
        scale=config.scale,
        receptive_field=through_upsampling(config.scale, 6 + config.middle // 2),
    )


def build(config: Config) -> SRCNN:
    """Make the network with freshly initialised weights."""
    return SRCNN(config)


LAYERS = {"conv1": "patches", "conv2": "mapping", "conv3": "reconstruction"}


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise the authors' MATLAB files. They do not tell the scale.

    Windows are unrolled column by column: first (81,64), second (64,window,32), third (32,25), inputs before outputs.
    """
    if set(state) != {f"{kind}_{layer}" for kind in ("weights", "biases") for layer in LAYERS}:
        return None
    flat = {
        "conv1": state["weights_conv1"][None],
        "conv2": state["weights_conv2"],
        "conv3": state["weights_conv3"][..., None],
    }
    converted = {}
    for layer, ours in LAYERS.items():
        inputs, window, outputs = flat[layer].shape
        side = round(window**0.5)
        unrolled = flat[layer].permute(2, 0, 1).reshape(outputs, inputs, side, side)
        converted[f"{ours}.weight"] = torch.transpose(unrolled, 2, 3).contiguous()
        converted[f"{ours}.bias"] = state[f"biases_{layer}"].flatten()
    return {"middle": converted["mapping.weight"].shape[-1]}, converted
