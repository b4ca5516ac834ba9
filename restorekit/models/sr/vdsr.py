"""VDSR: twenty convolutions that correct a bicubic enlargement, one network for all scales.

Kim, Lee, Lee. Accurate Image Super-Resolution Using Very Deep Convolutional Networks, CVPR 2016 (arXiv:1511.04587), section
3.1: 64 maps of 3x3 with ReLU, zeros around every layer, the enlarged luma added to the last. Chroma is enlarged bicubically.
He's initialisation as in the paper, except that the last convolution starts at zero: the untrained network is the bicubic
enlargement.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from restorekit.models.config import LARGEST, Count, Scale
from restorekit.models.layers import clamp_output, kaiming_init_, relu, zero_init_
from restorekit.models.receptive_field import through_upsampling
from restorekit.models.spec import Spec
from restorekit.models.upsampling import restore_luma

spec = Spec(
    name="vdsr",
    task="sr",
    summary="twenty convolutions on the bicubic enlargement, luma, any scale",
    paper="Kim et al. 2016, arXiv:1511.04587",
    parameters=665_921,
    macs_per_pixel=10_635_264,
    size_multiple=1,
    receptive_field=7,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=9000,
    scale=4,
    every_scale=True,
)

recipe = {
    "printed": {
        "steps": 9_960,  # 80 epochs
        "batch": 64,
        "learning_rate": 0.1,
        "schedule": "milestones",
        "milestones": (2_490, 4_980, 7_470),  # every 20 epochs
        "decay": 0.1,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "clip_by": "value",
        "clip_over_rate": True,
        "augment": "flips-and-turns",
    },
    "ours": {
        "loss_weights": {"l1": 0.0, "mse": 0.5},  # of the mean over pixels; the paper sums them
        "crop": 40,  # 41 px in the paper; ours are multiples of the scale
        "gradient_clip": 0.001,  # theta is not printed; with the usual 0.01 our network diverges within ten steps
    },
}  # The paper's one network learns three scales at once.


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4
    channels: Count = 64
    layers: Annotated[int, Field(ge=2, le=LARGEST)] = 20
    bias: bool = True
    """Whether convolutions have one. The authors' have; the public PyTorch port's do not."""


class VDSR(nn.Module):
    """The network. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = config.scale
        n = config.channels
        layers: list[nn.Module] = []
        for inputs in (1, *[n] * (config.layers - 2)):
            layers += [nn.Conv2d(inputs, n, 3, padding=1, bias=config.bias), relu()]
        self.body = nn.Sequential(*layers)
        kaiming_init_(self.body)
        self.last = zero_init_(nn.Conv2d(n, 1, 3, padding=1, bias=config.bias))

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        return clamp_output(restore_luma(rgb, self.scale, lambda _, above: self.repair(above)), self.training)

    def repair(self, above: Tensor) -> Tensor:
        """Restore enlarged luma (N,1,H,W)."""
        repaired: Tensor = above + self.last(self.body(above))
        return repaired


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(
        spec,
        scale=config.scale,
        receptive_field=through_upsampling(config.scale, config.layers),
    )


def build(config: Config) -> VDSR:
    """Make the network with freshly initialised weights."""
    return VDSR(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise twtygqyy's PyTorch port (`input`, `residual_layer.N.conv`, `output`), with or without biases."""
    if "residual_layer.0.conv.weight" not in state:
        return None
    inner = len([key for key in state if key.startswith("residual_layer.") and key.endswith(".weight")])
    names = {"input": "body.0", "output": "last"}
    names |= {f"residual_layer.{i}.conv": f"body.{2 * i + 2}" for i in range(inner)}
    converted = {}
    for key, tensor in state.items():
        layer, _, part = key.rpartition(".")
        converted[f"{names.get(layer, layer)}.{part}"] = tensor
    bias, channels = "input.bias" in state, state["residual_layer.0.conv.weight"].shape[0]
    return {"bias": bias, "channels": channels, "layers": inner + 2}, converted
