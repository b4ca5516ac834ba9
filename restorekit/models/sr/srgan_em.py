"""The SR paper's GAN: residual blocks without batch normalisation, L1 content loss, earth mover's distance.

Zhang, Lin, Guan, Liu. GAN image super-resolution reconstruction model with improved residual block and adversarial loss.
Journal of Harbin Institute of Technology 51(11), 2019, Tables 1 and 2, Figs. 4b and 5.

Not printed and our choice, after TensorLayer's public SRGAN, whose settings the paper shares: PReLU on the head, tanh on
images in -1..1, a long skip from the head, initial standard deviation 0.02 (the paper says variance; with it sixteen
blocks without normalisation explode).
"""

from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.layers import at_least_float, clamp_output, conv3
from restorekit.models.receptive_field import through_stages
from restorekit.models.spec import Ablation, Spec
from restorekit.models.upsampling import STAGES, SubPixel, SubPixelScale

spec = Spec(
    name="srgan-em",
    task="sr",
    summary="GAN with blocks free of batch normalisation, L1 and earth mover's distance",
    paper="Zhang et al., J. Harbin Inst. Tech. 51(11), 2019",
    parameters=1_517_251,
    macs_per_pixel=1_958_592,
    size_multiple=1,
    receptive_field=36,
    tiling="exact",
    objective="srgan_em",
    bytes_per_pixel=12500,
    scale=4,
)

recipe = {
    "printed": {
        "steps": 25_000,  # 500 epochs of 50 batches
        "batch": 16,
        "learning_rate": 1e-4,
        "decay": 0.1,
        "optimizer": "adam",
        "betas": (0.9, 0.999),  # the paper prints the first
        "loss_weights": {"l1": 1.0, "mse": 0.0, "adversarial": 1e-3},
        "objective": {"gan": "wgan"},
    },
    "ours": {  # TensorLayer's public SRGAN, whose settings the paper shares
        "crop": 384,
        "schedule": "milestones",
        "milestones": (12_500,),
        "augment": "flips",
        "loss_weights": {"gradient_penalty": 0.0},
        "objective": {"side": 384, "clip": 0.01},  # the discriminator sees whole images, as the paper says
    },
}


ablations = {
    "batch-norm": Ablation("SRGAN's blocks with batch normalisation (Table 4)", {"batch_norm": True}),
    "mse": Ablation("squared error in place of L1 (Table 5)", loss_weights={"l1": 0.0, "mse": 1.0}),
    "js": Ablation("Jensen-Shannon divergence in place of the earth mover's (eq. 3)", objective={"gan": "saturating"}),
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: SubPixelScale = 4
    channels: Count = 64
    blocks: Count = 16
    batch_norm: bool = False
    """The paper's ablation (Table 4): SRGAN's blocks with batch normalisation."""
    output: Literal["tanh", "none"] = "tanh"


class Block(nn.Module):
    """Conv, PReLU, conv, plus the input; nothing is normalised, scaled or activated after the sum (Fig. 4b)."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for activation in (nn.PReLU(channels), None):
            layers.append(conv3(channels, channels))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            if activation is not None:
                layers.append(activation)
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        return cast(Tensor, x + self.body(x))


class SRGANEM(nn.Module):
    """The generator. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        self.head = nn.Sequential(conv3(3, n), nn.PReLU(n))
        self.blocks = nn.Sequential(*(Block(n, config.batch_norm) for _ in range(config.blocks)))
        self.trunk = nn.Sequential(conv3(n, n), nn.BatchNorm2d(n)) if config.batch_norm else conv3(n, n)
        self.up = nn.Sequential(*(SubPixel(n, stage, nn.PReLU(n)) for stage in STAGES[config.scale]))
        self.out = nn.Conv2d(n, 3, 1)
        self.tanh = config.output == "tanh"
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.02)

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        head = self.head(rgb * 2 - 1)  # (N,64,H,W)
        x = self.trunk(self.blocks(head)) + head
        x = at_least_float(self.out(self.up(x)))  # (N,3,sH,sW)
        x = torch.tanh(x) if self.tanh else x
        return clamp_output((x + 1) / 2, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    radius = 1 + 2 * config.blocks + 1 + through_stages(config.scale, after=0)
    return replace(spec, scale=config.scale, receptive_field=radius)


def build(config: Config) -> SRGANEM:
    """Make the network with freshly initialised weights."""
    return SRGANEM(config)
