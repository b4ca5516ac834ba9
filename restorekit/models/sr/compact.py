"""SRVGGNetCompact: a plain stack of 3x3 convolutions on the small grid; Real-ESRGAN's fast generator for images and video.

Wang et al., Real-ESRGAN, ICCVW 2021 (arXiv:2107.10833), and its code. Head, 16 or 32 body convolutions with a PReLU each,
one convolution to 3 s^2 maps, pixel shuffle, plus the nearest-enlarged input. The tensors have upstream's names.
"""

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Count, Scale
from restorekit.models.layers import clamp_output, conv3, zero_init_
from restorekit.models.spec import Spec

spec = Spec(
    name="compact",
    task="sr",
    summary="SRVGGNetCompact, 16 body convolutions",
    paper="Wang et al. 2021, arXiv:2107.10833",
    parameters=621_424,
    macs_per_pixel=619_200,
    size_multiple=1,
    receptive_field=18,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=1200,
    scale=4,
)

recipe = {
    "printed": {"ema_decay": 0.999},
    "ours": {
        "steps": 200_000,
        "batch": 16,
        "crop": 192,
        "learning_rate": 2e-4,
        "schedule": "cosine",
        "gradient_clip": 0.1,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "flips-and-turns",
        "loss_weights": {"l1": 1.0, "mse": 0.0},
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4
    channels: Count = 64
    convolutions: Count = 16
    """Convolutions of the body: 16 for Real-ESRGAN's video models, 32 for its general one."""


class Compact(nn.Module):
    """The generator. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        layers: list[nn.Module] = [conv3(3, n), nn.PReLU(n)]
        for _ in range(config.convolutions):
            layers += [conv3(n, n), nn.PReLU(n)]
        self.body = nn.Sequential(*layers, zero_init_(conv3(n, 3 * config.scale**2)))
        self.scale = config.scale
        for layer in layers:
            # Without a skip inside, PyTorch's default would shrink the signal to nothing in 17 layers.
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_normal_(layer.weight, a=0.25)
                nn.init.zeros_(layer.bias)

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        details = F.pixel_shuffle(self.body(rgb), self.scale)
        nearest = F.interpolate(rgb, scale_factor=self.scale, mode="nearest")
        return clamp_output(nearest + details, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, scale=config.scale, receptive_field=config.convolutions + 2)


def build(config: Config) -> Compact:
    """Make the network with freshly initialised weights."""
    return Compact(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise Real-ESRGAN's compact files (`body.N.*`); sizes are read off the tensors."""
    if "body.0.weight" not in state or "body.1.weight" not in state or state["body.1.weight"].dim() != 1:
        return None
    last = max(int(key.split(".")[1]) for key in state if key.startswith("body."))
    scale = round((state[f"body.{last}.weight"].shape[0] / 3) ** 0.5)
    channels = state["body.0.weight"].shape[0]
    return {"scale": scale, "channels": channels, "convolutions": (last - 2) // 2}, state
