"""DeblurGAN-v2 on MobileNetV2: a small feature pyramid network that corrects the blurred image.

Kupyn, Martyniuk, Wu, Wang. DeblurGAN-v2: Deblurring (Orders-of-Magnitude) Faster and Better. ICCV 2019 (arXiv:1908.03826).
Sizes, names and the normalisations' behaviour follow the official code: it runs in training mode at test time too, so every
normalisation uses the image's own statistics, in the backbone as well. That is `statistics = "image"`; "running" is
what the same network does in evaluation mode. The backbone's last three blocks are in the files but nothing runs them.

Ours: images are continued by mirroring at the right and bottom (the code that measures upstream's scores mirrors on all
sides, its `predict.py` adds grey), the result is not clipped in training, and the last convolution starts at zero, so that
the untrained network returns its input.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from restorekit.models.backbones.mobilenet_v2 import mobilenet_v2
from restorekit.models.image_norm import Statistics
from restorekit.models.layers import without_autocast
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
    name="deblurgan-v2",
    task="deblur",
    summary="DeblurGAN-v2, pyramid on MobileNetV2",
    paper="Kupyn et al. 2019, arXiv:1908.03826",
    parameters=3_312_707,
    macs_per_pixel=41_330,
    size_multiple=SIZE_MULTIPLE,
    receptive_field=277,  # of the convolutions; statistics of the image reach everywhere
    tiling="whole",
    objective="deblurgan_v2",
    bytes_per_pixel=800,
)

recipe = RECIPE

LEVELS = (0, 2, 4, 7, 11, 16)  # the backbone's blocks where each of the five levels begins, and the end


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network, and how it normalises."""

    filters: Filters = 128
    """Maps of the pyramid; the heads have half as many."""
    statistics: Statistics = "image"
    """What the normalisations use at test time: the image's own statistics, or those collected in training."""


class Pyramid(TopDown):
    """MobileNetV2 and the top-down path."""

    def __init__(self, config: Config) -> None:
        super().__init__((16, 24, 32, 64, 160), config.filters, config.statistics)
        self.features = mobilenet_v2(config.statistics)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N,3,H,W) in [-1,1], sides divisible by 32, to five maps, finest first."""
        maps: list[Tensor] = []
        # The backbone stays out of half precision: normalising thin maps of a flat image by its own statistics blows up
        # rounding errors (a quarter of an untrained network's correction in bfloat16, 1% so), and it is 12% of the work.
        with without_autocast(x):
            x = x.to(self.lateral0.weight.dtype)
            for start, stop in pairwise(LEVELS):
                x = self.features[start:stop](x)
                maps.append(x)
        return self.join(maps)


def describe(config: Config) -> Spec:
    """Facts about one configuration: without statistics of the whole image, tiles are exact."""
    return replace(spec, tiling="exact" if config.statistics == "running" else "whole")


def build(config: Config) -> DeblurGANv2:
    """Make the network with freshly initialised weights."""
    return DeblurGANv2(Pyramid(config), config.filters, config.statistics)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise upstream's `fpn_mobilenet.h5` (622 tensors, the backbone twice).

    Args:
        state: the file's tensors, without `module.` before their names.

    Returns:
        Configuration and state for `build`, or None if these are other weights.

    Raises:
        WeightsError: the two copies of the backbone differ.
    """
    with torch.device("meta"):
        names = build(Config()).state_dict()
    copies = [
        (f"fpn.enc{level}.{block - start}.", f"fpn.features.{block}.")
        for level, (start, stop) in enumerate(pairwise(LEVELS))
        for block in range(start, stop)
    ]
    converted = without_copies(state, names, copies)
    if converted is None:
        return None
    return {"filters": converted["fpn.td1.0.weight"].shape[0]}, converted
