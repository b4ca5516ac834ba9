"""Sang et al.'s generator: nineteen residual blocks of 5x5 convolutions at full resolution, no normalisation.

Computer Engineering and Applications, 2018. The paper's last activation is a ReLU, which has no gradient where the output
would be negative; `residual` starts from the blurred image instead and has no last activation.
"""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.layers import ResidualBlock, clamp_output, relu, zero_init_
from restorekit.models.spec import Spec

spec = Spec(
    name="sang",
    task="deblur",
    summary="residual GAN, 5x5 convolutions at full resolution",
    paper="Sang et al., Computer Engineering and Applications, 2018",
    parameters=3_903_299,
    macs_per_pixel=3_900_800,
    size_multiple=1,
    receptive_field=80,
    tiling="exact",
    objective="sang",
    bytes_per_pixel=1500,
)

recipe = {
    "printed": {
        "steps": 600_000,
        "batch": 6,
        "crop": 128,
        "optimizer": "adam",
        "augment": "sang",
        "loss_weights": {"mse": 1.0},
    },
    "ours": {
        "learning_rate": 1e-4,
        "schedule": "constant",
        "betas": (0.9, 0.999),
        "loss_weights": {"adversarial": 1e-3},
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 64
    blocks: Count = 19
    residual: bool = False
    """Correct the blurred image instead of making a new one; then the untrained network returns its input."""


class Sang(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        last = nn.Conv2d(n, 3, 5, padding=2)
        self.body = nn.Sequential(
            nn.Conv2d(3, n, 5, padding=2),
            relu(),
            *(ResidualBlock(n, 5, relu) for _ in range(config.blocks)),
            zero_init_(last) if config.residual else last,
        )
        self.residual = config.residual

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same."""
        restored = rgb + self.body(rgb) if self.residual else self.body(rgb).relu()
        return clamp_output(restored, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration: every 5x5 convolution reaches 2 pixels."""
    return replace(spec, receptive_field=2 * (2 * config.blocks + 2))


def build(config: Config) -> Sang:
    """Make the network with freshly initialised weights."""
    return Sang(config)
