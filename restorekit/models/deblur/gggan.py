"""GGGAN: a gradient-guided generator that sharpens endoscopy frames.

Shi, Zhang, Zhou, Li, Xia. Deblurring and restoration of gastroscopy image based on gradient-guidance generative
adversarial networks. Journal of Electronics & Information Technology 44(1), 2022.

A U-Net with residual decoder corrects heavy blur first. Its result goes into an image branch of Res2Net modules and, as
gradient map, into a gradient branch that listens to the image branch at four depths. A fusion stage joins both.

Where the paper prints no sizes ours follow SPSR's official code, which it modifies: 23 modules, 64 maps, taps after
modules 5, 10, 15 and 20. Our choices: no batch normalisation in the Res2Net blocks (as ESRGAN), three of them a module
(as an RRDB holds three dense blocks), a global residual, and a last convolution that starts at zero, so that the
untrained network returns its input.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from restorekit.models.config import Count, Counts, Halvable
from restorekit.models.gradient_guidance import Branches, check_taps, gradient_map
from restorekit.models.layers import (
    Res2NetBlock,
    ResidualInResidual,
    ResidualUNet,
    clamp_output,
    conv3,
    leaky,
    pad_to_multiple,
    rrdb,
    zero_init_,
)
from restorekit.models.receptive_field import through_unet
from restorekit.models.spec import Spec

spec = Spec(
    name="gggan",
    task="deblur",
    summary="gradient-guided GAN",
    paper="Shi et al., J. Electronics & Information Technology 44(1), 2022",
    parameters=6_808_969,
    macs_per_pixel=6_410_176,
    size_multiple=4,
    receptive_field=246,
    tiling="exact",
    objective="gggan",
    bytes_per_pixel=7000,
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
        "loss_weights": {"pre": 1000.0, "gradient_adversarial": 0.0},  # 1 : 1e-3, one discriminator
        "objective": {"gan": "ragan"},
    },
    "code": {  # SPSR's, which the paper modifies
        "betas": (0.9, 0.999),
        "loss_weights": {
            "pixel": 0.01,
            "perceptual": 1.0,
            "gradient": 0.01,
            "branch": 0.5,
            "adversarial": 0.005,
            "ssim": 0.0,
        },
        "objective": {"layer": "vgg19.conv5_4", "gradient_distance": "mse"},
    },
    "ours": {
        "blur": {"noise_share": 0.0, "jpeg_share": 0.0, "mirror_share": 0.0},  # the paper has neither noise nor JPEG
        "objective": {"ssim": "window"},  # see the objective
    },
    "without features": {
        "loss_weights": {"pixel": 1.0, "gradient": 1.0, "ssim": 0.2},
        "objective": {"gradient_distance": "l1"},
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network. `prenet`, `gradient_branch` and `block` are the paper's ablations."""

    channels: Halvable = 64
    modules: Count = 23
    taps: tuple[Count, ...] = (5, 10, 15, 20)
    """Modules of the image branch after which the gradient branch listens."""
    prenet: bool = True
    prenet_widths: Annotated[Counts, Field(max_length=6)] = (32, 64, 128)
    """Maps of the pre-network's levels, finest first."""
    gradient_branch: bool = True
    block: Literal["res2net", "rrdb"] = "res2net"

    def __post_init__(self) -> None:
        if self.gradient_branch:
            check_taps(self.taps, self.modules, "modules")


def module(channels: int, block: Literal["res2net", "rrdb"]) -> ResidualInResidual:
    """What takes an RRDB's place: three Res2Net blocks (or, for the ablation, the RRDB itself)."""
    if block == "rrdb":
        return rrdb(channels)
    return ResidualInResidual(*(Res2NetBlock(channels, channels // 2) for _ in range(3)))


class GGGAN(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, block = config.channels, config.block
        self.prenet = ResidualUNet(3, 3, config.prenet_widths) if config.prenet else None
        self.size_multiple = 2 ** (len(config.prenet_widths) - 1)

        self.image_head = conv3(3, n)
        self.image_modules = nn.ModuleList(module(n, block) for _ in range(config.modules))
        self.image_trunk = conv3(n, n)
        self.image_tail = nn.Sequential(conv3(n, n), leaky(), conv3(n, n))

        self.taps = config.taps
        self.gradient_branch = config.gradient_branch
        if config.gradient_branch:
            self.gradient_head = conv3(3, n)
            self.gradient_modules = nn.ModuleList(
                nn.Sequential(module(2 * n, block), conv3(2 * n, n)) for _ in config.taps
            )
            self.gradient_trunk = conv3(n, n)
            self.gradient_tail = nn.Sequential(conv3(n, n), leaky(), conv3(n, n))
            self.gradient_out = nn.Conv2d(n, 3, 1)
            self.fusion = nn.Sequential(module(2 * n, block), conv3(2 * n, n))
        self.reconstruct = nn.Sequential(conv3(n, n), leaky(), zero_init_(conv3(n, 3)))

    def branches(self, rgb: Tensor) -> Branches:
        """All that training compares; H and W are multiples of 4."""
        pre = rgb + self.prenet(rgb) if self.prenet is not None else None
        start = rgb if pre is None else pre

        x = head = self.image_head(start)
        tapped: list[Tensor] = []
        for depth, block in enumerate(self.image_modules, start=1):
            x = block(x)
            if depth in self.taps:
                tapped.append(x)
        features = self.image_tail(self.image_trunk(x) + head)

        gradient = None
        if self.gradient_branch:
            g = gradient_start = self.gradient_head(gradient_map(start))
            for block, tap in zip(self.gradient_modules, tapped, strict=True):
                g = block(torch.cat([g, tap], dim=1))
            guide = self.gradient_tail(self.gradient_trunk(g) + gradient_start)
            gradient = self.gradient_out(guide)
            features = self.fusion(torch.cat([guide, features], dim=1))

        return Branches(start + self.reconstruct(features), pre, gradient)

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        image = self.branches(pad_to_multiple(rgb, self.size_multiple)).image
        return clamp_output(image[..., :height, :width], self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration.

    A Res2Net block reaches 3 pixels and an RRDB's dense block 5, so a module 9 or 15. Paths lead along the image branch, or
    from one of the taps through the listeners from there on.
    """
    module = 9 if config.block == "res2net" else 15
    paths, fusion = [module * config.modules], 0
    if config.gradient_branch:
        paths += [module * tap + (module + 1) * (len(config.taps) - i) for i, tap in enumerate(config.taps)]
        paths.append(1 + (module + 1) * len(config.taps))
        fusion = module + 1
    head, trunk, tail, reconstruct = 1, 1, 2, 2
    radius = head + max(paths) + trunk + tail + fusion + reconstruct
    if config.prenet:
        radius = through_unet(len(config.prenet_widths), radius)
    return replace(
        spec, size_multiple=2 ** (len(config.prenet_widths) - 1) if config.prenet else 1, receptive_field=radius
    )


def build(config: Config) -> GGGAN:
    """Make the network with freshly initialised weights."""
    return GGGAN(config)
