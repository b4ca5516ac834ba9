"""MSDN: the multi-scale dense network of Song and Wu; `dn` is the same without the multi-scale block.

The network is `models/networks/dense.py`. The paper "resizes the input to 256x256" for training and is measured on the
centre 256x256 of GoPro's images; a crop is meant, we take it, as squeezed images would have another blur than the tested.
"""

from dataclasses import dataclass, replace

from torch import nn

from restorekit.models.networks import dense
from restorekit.models.networks.dense import RECIPE, SIZE_MULTIPLE, DenseDeblur, receptive_field
from restorekit.models.spec import Ablation, Spec

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

recipe = RECIPE


ablations = {"single-scale": Ablation("without the multi-scale block: DN (Table 1)", {"multi_scale": False})}


@dataclass(frozen=True)
class Config(dense.Config):
    """Sizes that rebuild the network."""

    multi_scale: bool = True


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=receptive_field(config, config.multi_scale))


def build(config: Config) -> nn.Module:
    """Make the network with freshly initialised weights."""
    return DenseDeblur(config, config.multi_scale)
