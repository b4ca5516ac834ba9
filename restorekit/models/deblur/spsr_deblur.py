"""Improved SPSR: SPSR without its enlargement, what the GGGAN paper turns into a deblurring network to compare with."""

from dataclasses import replace

from torch import Tensor, nn

from restorekit.models.layers import clamp_output
from restorekit.models.networks import spsr
from restorekit.models.networks.spsr import SPSR, Config
from restorekit.models.spec import Spec

__all__ = ["Config", "build", "from_upstream", "recipe", "spec"]

spec = Spec(
    name="spsr-deblur",
    task="deblur",
    summary="gradient guidance with RRDBs",
    paper="Ma et al. 2020, arXiv:2003.13081, without upsampling (Shi et al. 2022)",
    parameters=24_648_518,
    macs_per_pixel=24_630_528,
    size_multiple=1,
    receptive_field=367,
    tiling="approximate",
    overlap=64,
    objective="gggan",
    bytes_per_pixel=4500,
)

recipe = {
    "printed": {
        "steps": 500_000,  # "epochs"; as passes over 480 pairs they would be 60 million steps
        "batch": 4,
        "crop": 128,
        "learning_rate": 1e-4,
        "schedule": "milestones",
        "milestones": (50_000, 100_000, 200_000, 300_000),
        "decay": 0.1,
        "optimizer": "adam",
        "augment": "none",
        "blur": {"shares": {"linear": 1.0}, "length": (50.0, 80.0), "angle": (-40.0, 40.0)},
        "objective": {"gan": "ragan"},
    },
    "code": {  # SPSR's
        "betas": (0.9, 0.999),
        "loss_weights": {
            "pixel": 0.01,
            "perceptual": 1.0,
            "gradient": 0.01,
            "branch": 0.5,
            "adversarial": 0.005,
            "gradient_adversarial": 0.005,
            "ssim": 0.0,
        },
        "objective": {"layer": "vgg19.conv5_4", "gradient_distance": "mse"},
    },
    "ours": {
        "loss_weights": {"pre": 0.0},  # there is no pre-network
        "blur": {"noise_share": 0.0, "jpeg_share": 0.0, "mirror_share": 0.0},  # the paper has neither noise nor JPEG
    },
    "without features": {
        "loss_weights": {"pixel": 1.0, "gradient": 1.0, "ssim": 0.2},
        "objective": {"gradient_distance": "l1"},
    },
}


class SPSRDeblur(SPSR):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1]."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, ())

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same."""
        return clamp_output(self.branches(rgb).image, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=spsr.receptive_field(config))


def build(config: Config) -> nn.Module:
    """Make the network with freshly initialised weights."""
    return SPSRDeblur(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise files of SPSR's code built with a scale of 1."""
    return spsr.from_upstream(state, factors=0)
