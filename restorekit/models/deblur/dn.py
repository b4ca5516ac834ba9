"""DN: the dense encoder-decoder of Song and Wu without the multi-scale block (their ablation)."""

from dataclasses import replace

from torch import nn

from restorekit.models.networks.dense import RECIPE, SIZE_MULTIPLE, Config, DenseDeblur, receptive_field
from restorekit.models.spec import Spec

__all__ = ["Config", "build", "describe", "recipe", "spec"]

spec = Spec(
    name="dn",
    task="deblur",
    summary="dense encoder-decoder with weight normalisation",
    paper="Song & Wu, Laser & Optoelectronics Progress 56(21), 2019",
    parameters=1_988_227,
    macs_per_pixel=288_168,
    size_multiple=SIZE_MULTIPLE,
    receptive_field=271,
    tiling="exact",
    objective="msdn",
    bytes_per_pixel=3700,
)

recipe = RECIPE


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=receptive_field(config, multi_scale=False))


def build(config: Config) -> nn.Module:
    """Make the network with freshly initialised weights."""
    return DenseDeblur(config, multi_scale=False)
