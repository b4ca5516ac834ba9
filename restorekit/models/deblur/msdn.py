"""MSDN: the multi-scale dense network of Song and Wu; `dn` is the same without the multi-scale block."""

from dataclasses import replace

from torch import nn

from restorekit.models.networks.dense import SIZE_MULTIPLE, Config, DenseDeblur, receptive_field
from restorekit.models.spec import Spec

__all__ = ["Config", "build", "describe", "recipe", "spec"]

spec = Spec(
    name="msdn",
    task="deblur",
    summary="multi-scale dense GAN",
    paper="Song & Wu, Laser & Optoelectronics Progress 56(21), 2019",
    parameters=1_989_699,
    macs_per_pixel=288_621,
    size_multiple=SIZE_MULTIPLE,
    receptive_field=303,
    tiling="exact",
    objective="msdn",
    bytes_per_pixel=3500,
)

# The paper's rate is flat, then falls in a line.
recipe = {"crop": 256, "batch": 1, "steps": 630_000, "schedule": "cosine"}


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=receptive_field(config, multi_scale=True))


def build(config: Config) -> nn.Module:
    """Make the network with freshly initialised weights."""
    return DenseDeblur(config, multi_scale=True)
