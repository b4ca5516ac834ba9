"""SPSR: an image branch of RRDBs guided by a branch that enlarges the image's gradient.

Ma et al., Structure-Preserving Super Resolution with Gradient Guidance, CVPR 2020 (arXiv:2003.13081). The network is
`models/networks/spsr.py`; here it enlarges.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from restorekit.models.layers import clamp_output
from restorekit.models.networks import spsr
from restorekit.models.spec import Spec

spec = Spec(
    name="spsr",
    task="sr",
    summary="gradient guidance with RRDBs",
    paper="Ma et al. 2020, arXiv:2003.13081",
    parameters=24_796_230,
    macs_per_pixel=52_399_488,
    size_multiple=1,
    receptive_field=353,
    tiling="approximate",
    overlap=64,
    objective="gggan",
    bytes_per_pixel=68000,
    scale=4,
)

recipe = {
    "code": {
        "steps": 500_000,
        "batch": 30,
        "crop": 128,
        "learning_rate": 1e-4,
        "schedule": "milestones",
        "milestones": (50_000, 100_000, 200_000, 300_000),
        "decay": 0.5,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "flips-and-turns",
        "loss_weights": {
            "pixel": 0.01,
            "perceptual": 1.0,
            "gradient": 0.01,
            "branch": 0.5,
            "adversarial": 0.005,
            "gradient_adversarial": 0.005,
            "ssim": 0.0,
        },
        "objective": {"gan": "ragan", "layer": "vgg19.conv5_4", "gradient_distance": "mse"},
    },
    "ours": {"loss_weights": {"pre": 0.0}},  # there is no pre-network
    "without features": {
        "loss_weights": {"pixel": 1.0, "gradient": 1.0, "ssim": 0.2},
        "objective": {"gradient_distance": "l1"},
    },
}  # The authors start from ESRGAN's weights and train the fusion alone for 5,000 steps.

FACTORS: Mapping[int, tuple[int, ...]] = {2: (2,), 3: (3,), 4: (2, 2)}  # of the enlargements in a row


@dataclass(frozen=True)
class Config(spsr.Config):
    """Sizes that rebuild the network."""

    scale: Literal[2, 3, 4] = 4


class SPSR(spsr.SPSR):
    """The generator. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, FACTORS[config.scale])

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        return clamp_output(self.branches(rgb).image, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(
        spec,
        scale=config.scale,
        receptive_field=spsr.receptive_field(config, FACTORS[config.scale]),
    )


def build(config: Config) -> nn.Module:
    """Make the network with freshly initialised weights."""
    return SPSR(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise the official files; x2 by its single enlargement, which x3 has too but nobody publishes."""
    for scale in (4, 2):
        if known := spsr.from_upstream(state, len(FACTORS[scale])):
            config, converted = known
            return {"scale": scale, **config}, converted
    return None
