"""Schuler et al.: learned features vote for the PSF by a quotient of Fourier transforms, three times; then it is undone.

Schuler, Hirsch, Harmeling, Schoelkopf. Learning to Deblur. IEEE TPAMI 38(7), 2016 (arXiv:1406.7444). A stage filters the
image, takes tanh, and mixes the results to pairs x_i, y_i of images; the PSF is what best blurs x_i to y_i, and the image
that it explains is the second input of the next stage. Both are quotients, so the gradient flows through all stages.

The paper tells neither the sizes of these layers nor its schedule: 32 filters of 9x9 and 8 pairs are ours. So is the last
deconvolution, total variation with unknown edges, and that one network looks at the image at one scale: it finds blur of at
most `side` pixels.
"""

import math
from dataclasses import dataclass
from typing import Annotated, cast

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.deconvolution import Blur
from restorekit.deconvolution.estimation import trim
from restorekit.deconvolution.fourier import fast_size, transform, transform_back
from restorekit.errors import UsageError
from restorekit.models.blind_deconvolution import NO_BLUR, LearnedBlur, is_flat, luma
from restorekit.models.config import Count
from restorekit.models.layers import ignore_brightness_
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

FILTER = 9  # px
# To begin with: the gain of random filters, of those that tanh makes steep, and of those that it leaves straight; pixels of
# standard deviation of these; and what counts of other filters.
CONTRAST, STEEP, STRAIGHT, EDGE, OTHERS = 8.0, 300.0, 4.0, 1.2, 0.1
KERNEL_RIDGE, IMAGE_RIDGE = 0.1, 0.02  # to begin with; what is added to both denominators, the former times its mean
ROOM = 3  # sides of an image are at least as many of the PSF's

spec = Spec(
    name="schuler",
    task="deblur",
    summary="one PSF, by three stages of learned features and quotients",
    paper="Schuler et al., TPAMI 38(7), 2016, arXiv:1406.7444",
    parameters=14_502,
    macs_per_pixel=14_496,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="kernel_fit",
    bytes_per_pixel=1500,
    half_precision=False,  # Fourier transforms
    blur="any",
    estimates=True,
)

recipe = {
    "ours": {
        "steps": 100_000,
        "batch": 8,
        "crop": 144,
        "augment": "flips-and-turns",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup": 100,
        "blur": {"shares": {"sharp": 1.0}, "noise_share": 0.0, "jpeg_share": 0.0},
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    side: Annotated[int, pydantic.Field(ge=3, le=255)] = 17
    """Pixels that the PSF may measure, odd."""
    stages: Count = 3
    filters: Count = 32
    pairs: Count = 8

    def __post_init__(self) -> None:
        if self.side % 2 == 0:
            raise UsageError(f"A PSF has an odd side, not {self.side}.")


class Stage(nn.Module):
    """Features, and the PSF that they vote for.

    Args:
        inputs: images that it sees: the blurred one, and from the second stage on the restored one.
    """

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__()
        self.side = config.side
        self.filter = nn.Conv2d(
            inputs, config.filters, FILTER, padding=FILTER // 2, padding_mode="replicate", bias=False
        )
        self.sharp = nn.Conv2d(config.filters, config.pairs, 1, bias=False)  # alpha
        self.blurred = nn.Conv2d(config.filters, config.pairs, 1, bias=False)  # beta
        self.kernel_ridge = nn.Parameter(torch.tensor(KERNEL_RIDGE).log())
        self.image_ridge = nn.Parameter(torch.tensor(IMAGE_RIDGE).log())
        ignore_brightness_(self.filter, CONTRAST)
        self._begin_with_edges_()

    @torch.no_grad()
    def _begin_with_edges_(self) -> None:
        """Let x_i begin as narrow edges in one direction, of the image restored so far, and y_i as those of the blurred one.

        Where all begins at random, training ends at the mean of all PSFs.
        """
        edges = _derivatives(min(self.sharp.out_channels, self.filter.out_channels // 2))
        for rows, image, gain in ((slice(0, len(edges)), -1, STEEP), (slice(len(edges), 2 * len(edges)), 0, STRAIGHT)):
            self.filter.weight[rows] = 0
            self.filter.weight[rows, image] = gain * edges
        for mix, first in ((self.sharp.weight, 0), (self.blurred.weight, len(edges))):
            mix.mul_(OTHERS)
            for pair in range(len(edges)):
                mix[pair, first + pair] += 1

    def forward(self, images: Tensor) -> Tensor:
        """Images (N,inputs,H,W) to PSFs (N,K,K) that sum to 1, centred about the middle; values may be negative."""
        features = torch.tanh(self.filter(images)) * _window(images)
        size = fast_size(images.shape[-2] + self.side, images.shape[-1] + self.side)
        x, y = transform(self.sharp(features), size), transform(self.blurred(features), size)
        power = x.abs().square().sum(1)
        ridge = self.kernel_ridge.exp() * power.mean(dim=(1, 2), keepdim=True)
        kernels = transform_back((x.conj() * y).sum(1) / (power + ridge + 1e-12), size)
        kernels = kernels.roll((self.side // 2, self.side // 2), (1, 2))[:, : self.side, : self.side]
        return kernels / kernels.sum(dim=(1, 2), keepdim=True).clamp(min=0.05)

    def restore(self, images: Tensor, kernels: Tensor) -> Tensor:
        """Undo PSFs (N,K,K) in images (N,1,H,W)."""
        size = (images.shape[-2], images.shape[-1])
        placed = F.pad(kernels, (0, size[1] - self.side, 0, size[0] - self.side))
        otf = transform(placed.roll((-(self.side // 2), -(self.side // 2)), (1, 2)))[:, None]
        return transform_back(otf.conj() * transform(images) / (otf.abs().square() + self.image_ridge.exp()), size)


def _derivatives(count: int) -> Tensor:
    """(count,9,9): derivatives of a Gaussian in as many directions, whose weights' magnitudes add up to 1."""
    along = torch.arange(FILTER) - FILTER // 2.0
    angle = math.pi * torch.arange(count)[:, None, None] / max(1, count)
    slope = -(angle.cos() * along + angle.sin() * along[:, None])
    slope = slope * torch.exp(-(along**2 + along[:, None] ** 2) / (2 * EDGE**2))
    return slope / slope.abs().sum(dim=(1, 2), keepdim=True)


def _window(images: Tensor) -> Tensor:
    """(H,W): the fourth root of Hann's window, or the frame would decide."""
    down, across = (
        torch.hann_window(side + 2, periodic=False, dtype=images.dtype, device=images.device)[1:-1] ** 0.25
        for side in images.shape[-2:]
    )
    return down[:, None] * across


class Schuler(LearnedBlur[Config]):
    """The network and what follows it. RGB (N,3,H,W) in [0,1] to the same."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.stages = nn.ModuleList(Stage(1 if number == 0 else 2, config) for number in range(config.stages))

    def predict(self, rgb: Tensor, listener: Listener = PATIENT) -> Tensor:
        """The PSFs (N,stages,K,K) that the stages find in luma."""
        images = grey = luma(rgb)
        kernels = []
        for number, stage in enumerate(self.stages):
            listener.begin(f"stage {number + 1} of {len(self.stages)}")
            kernels.append(stage(images))
            if number + 1 < len(self.stages):
                images = torch.cat([grey, cast(Stage, stage).restore(grey, kernels[-1])], dim=1)
        return torch.stack(kernels, dim=1)

    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Take what the last stage found, without what is negative or faint."""
        if min(rgb.shape[-2:]) < ROOM * self.config.side or is_flat(rgb):
            return NO_BLUR
        psf = self.predict(rgb, listener)[0, -1].clamp(min=0).float().cpu().numpy()
        return trim(psf) if psf.max() > 0 else NO_BLUR


def build(config: Config) -> Schuler:
    """Make the network with freshly initialised weights."""
    return Schuler(config)
