"""Improved SPSR: SPSR without its enlargement, what the GGGAN paper turns into a deblurring network to compare with."""

from dataclasses import replace

from torch import Tensor, nn

from restorekit.models.layers import clamp_output
from restorekit.models.networks import spsr
from restorekit.models.networks.spsr import SPSR, Config
from restorekit.models.spec import Spec

__all__ = ["Config", "build", "from_upstream", "spec"]

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
