"""DeblurGAN-v2 on Inception-ResNet-v2: the pyramid of `deblurgan_v2`, twice as wide, on a large backbone.

Kupyn, Martyniuk, Wu, Wang. DeblurGAN-v2: Deblurring (Orders-of-Magnitude) Faster and Better. ICCV 2019 (arXiv:1908.03826).
The backbone pads nothing where it halves the size; upstream mirrors its maps until they fit onto each other, and so do we.
The blocks after Mixed-7a and the classifier are in the files but nothing runs them.

Ours, besides what `deblurgan_v2` says: images with a side below 128 pixels are continued to 128, because the backbone's
deepest map would have no pixel left to mirror.
"""

from dataclasses import dataclass, replace

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from restorekit.models.backbones.inception_resnet_v2 import InceptionResNetV2
from restorekit.models.image_norm import Statistics
from restorekit.models.networks.feature_pyramid import (
    RECIPE,
    SIZE_MULTIPLE,
    DeblurGANv2,
    Filters,
    TopDown,
    without_copies,
)
from restorekit.models.spec import Spec

spec = Spec(
    name="deblurgan-v2-inception",
    task="deblur",
    summary="DeblurGAN-v2, pyramid on Inception-ResNet-v2",
    paper="Kupyn et al. 2019, arXiv:1908.03826",
    parameters=60_929_291,
    macs_per_pixel=267_300,  # of a 256x256 image; the unpadded backbone does less on smaller ones, 283,233 at 512x512
    size_multiple=SIZE_MULTIPLE,
    receptive_field=1290,  # of the convolutions; statistics of the image reach everywhere
    tiling="whole",
    objective="deblurgan_v2",
    bytes_per_pixel=1700,
)

recipe = RECIPE

LEAST = 128  # the smallest multiple of 32 that leaves 2x2 pixels at 1/32, enough to mirror one
PADS = ((0, 1, 0, 1), (1, 1, 1, 1), (1, 2, 1, 2), (1, 1, 1, 1), (1, 1, 1, 1))  # upstream's: left, right, top, bottom

# Upstream's second names for parts of the backbone.
COPIES = {
    "enc0": "conv2d_1a",
    "enc1.0": "conv2d_2a",
    "enc1.1": "conv2d_2b",
    "enc2.0": "conv2d_3b",
    "enc2.1": "conv2d_4a",
    "enc3.0": "mixed_5b",
    "enc3.1": "repeat",
    "enc3.2": "mixed_6a",
    "enc4.0": "repeat_1",
    "enc4.1": "mixed_7a",
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network, and how it normalises."""

    filters: Filters = 256
    """Maps of the pyramid; the heads have half as many."""
    blocks: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (10, 20, 9)
    """Residual blocks of the backbone at 1/8, 1/16 and 1/32; those at 1/32 are unused."""
    statistics: Statistics = "image"
    """What the normalisations use at test time: the image's own statistics, or those collected in training."""


class Pyramid(TopDown):
    """Inception-ResNet-v2 and the top-down path."""

    def __init__(self, config: Config) -> None:
        super().__init__(InceptionResNetV2.WIDTHS, config.filters, config.statistics, PADS)
        self.inception = InceptionResNetV2(config.blocks, config.statistics)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [-1,1], sides divisible by 32 and at least 128, to five maps, finest first."""
        return self.join(self.inception(x))


def describe(config: Config) -> Spec:
    """Facts about one configuration: without statistics of the whole image, tiles are exact."""
    eighth, sixteenth, _ = config.blocks  # 2 and 3 pixels of their grid reach each of them
    return replace(
        spec,
        tiling="exact" if config.statistics == "running" else "whole",
        receptive_field=170 + 2 * 8 * eighth + 3 * 16 * sixteenth,
    )


def build(config: Config) -> DeblurGANv2:
    """Make the network with freshly initialised weights."""
    return DeblurGANv2(Pyramid(config), config.filters, config.statistics, LEAST)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise upstream's `fpn_inception.h5` (2,384 tensors, most of the backbone twice).

    Args:
        state: the file's tensors, without `module.` before their names.

    Returns:
        Configuration and state for `build`, or None if these are other weights.

    Raises:
        WeightsError: the two copies of the backbone differ.
    """
    with torch.device("meta"):
        names = build(Config()).state_dict()
    copies = [(f"fpn.{copy}.", f"fpn.inception.{part}.") for copy, part in COPIES.items()]
    converted = without_copies(state, names, copies)
    if converted is None:
        return None
    return {"filters": converted["fpn.td1.0.weight"].shape[0]}, converted
