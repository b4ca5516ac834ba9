"""DSRN: a recurrent network with two states, one on the small grid and one on the large, that talk to each other.

Han, Chang, Liu, Yu, Witbrock, Huang. Image Super-Resolution via Dual-State Recurrent Networks, CVPR 2018 (arXiv:1805.02704),
and its released code. The mean of all large states gives the residual over the bicubic enlargement. All links have a delay
of one step; the last update of the small state reaches nothing and is left out. The release has code for x2 only (transposed
convolution and average pooling of 2x2 with stride 2); other scales take that step at once (our choice). The last convolution
starts at zero: the untrained network is the bicubic enlargement.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from restorekit.models.config import LARGEST, Halvable, Scale
from restorekit.models.layers import clamp_output, conv3, kaiming_init_, relu, zero_init_
from restorekit.models.spec import Spec
from restorekit.models.upsampling import enlarge

spec = Spec(
    name="dsrn",
    task="sr",
    summary="dual-state recurrent network",
    paper="Han et al. 2018, arXiv:1805.02704",
    parameters=928_643,
    macs_per_pixel=26_721_984,
    size_multiple=1,
    receptive_field=12,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=43000,
    scale=4,
)

recipe = {
    "code": {
        "batch": 32,
        "crop": 108,
        "learning_rate": 1e-3,
        "optimizer": "adam",
        "gradient_clip": 1.0,
        "clip_by": "value",
        "augment": "flips-and-turns",
        "loss_weights": {"l1": 0.0, "mse": 1.0},
    },
    "ours": {"steps": 200_000, "schedule": "cosine", "betas": (0.9, 0.999)},
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    scale: Scale = 4
    channels: Halvable = 128
    """Maps of both states; the input network has half as many in between."""
    states: Annotated[int, Field(ge=2, le=LARGEST)] = 7
    """Large states including the absent first, T in the paper."""


class DSRN(nn.Module):
    """The network. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        self.scale, self.updates = config.scale, config.states - 1
        self.enter = nn.Sequential(conv3(3, n // 2), relu(), conv3(n // 2, n), relu())
        self.small = nn.Sequential(conv3(n, n), relu(), conv3(n, n))
        self.large = nn.Sequential(conv3(n, n), relu(), conv3(n, n))
        self.up = nn.ConvTranspose2d(n, n, config.scale, stride=config.scale)
        self.leave = nn.Conv2d(n, 3, 1)
        kaiming_init_(self)
        zero_init_(self.leave)

    def forward(self, rgb: Tensor) -> Tensor:
        """Restore a batch."""
        return clamp_output(enlarge(rgb, self.scale) + self._residual(rgb), self.training)

    def _residual(self, rgb: Tensor) -> Tensor:
        small: Tensor = self.enter(rgb)  # (N,128,H,W)
        large = F.relu(self.up(small))  # (N,128,sH,sW); there is no large state before
        total = large
        earlier: Tensor | None = None
        for _ in range(self.updates - 1):
            # `large` is one step ahead of `small`: what speaks to the next `small` is the earlier one.
            heard = small + self.small(small)
            heard = heard if earlier is None else heard + F.avg_pool2d(earlier, self.scale)
            small, earlier = F.relu(heard), large
            large = F.relu(self.up(small) + large + self.large(large))
            total = total + large
        residual: Tensor = self.leave(total / self.updates)
        return residual


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(
        spec,
        scale=config.scale,
        receptive_field=2 * (config.states - 1),
    )


def build(config: Config) -> DSRN:
    """Make the network with freshly initialised weights."""
    return DSRN(config)
