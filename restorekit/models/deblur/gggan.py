"""GGGAN: a gradient-guided generator that sharpens endoscopy frames.

Shi, Zhang, Zhou, Li, Xia. Deblurring and restoration of gastroscopy image based on gradient-guidance generative
adversarial networks. Journal of Electronics & Information Technology 44(1), 2022.

A U-Net with residual decoder corrects heavy blur first. Its result goes into an image branch of Res2Net modules and, as
gradient map, into a gradient branch that listens to the image branch at four depths. A fusion stage joins both.

The paper calls the pre-network light and prints none of its sizes. Ours works on cells of 4x4 pixels: it sees far enough for
the paper's blur of 50 to 80 px. `prenet=pixels` is one of the same depth on single pixels, which sees no farther than 24.

Where the paper prints no sizes of the trunk ours follow SPSR's official code, which it modifies: 23 modules, 64 maps, taps
after modules 5, 10, 15 and 20. At a tap SPSR has a module of 128 maps and a convolution to 64; the paper puts a Res2Net
module alone in their place, so its first block enters with 128 maps and leaves with 64. Our choices: no batch normalisation
in the Res2Net blocks (as ESRGAN), three of them a module (as an RRDB holds three dense blocks), a global residual, and a
last convolution that starts at zero, so that the untrained network returns its input, and an untrained trunk what the
pre-network gives.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from restorekit.errors import UsageError
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
from restorekit.models.networks.cell_unet import GRID, CellUNet, through_cell_unet
from restorekit.models.receptive_field import through_unet
from restorekit.models.spec import Ablation, Spec

spec = Spec(
    name="gggan",
    task="deblur",
    summary="gradient-guided GAN",
    paper="Shi et al., J. Electronics & Information Technology 44(1), 2022",
    parameters=6_479_894,
    macs_per_pixel=4_536_544,
    size_multiple=16,
    receptive_field=428,
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


Block = Literal["res2net", "rrdb"]


ablations = {
    "no-gradient-branch": Ablation("without the gradient branch (section 2.1)", {"gradient_branch": False}),
    "no-prenet": Ablation("without the pre-network (section 2.1)", {"prenet": "none"}),
    "rrdb": Ablation("ESRGAN's RRDBs in place of the Res2Net modules (section 2.1)", {"block": "rrdb"}),
    "plain-gan": Ablation(
        "a plain discriminator in place of the relativistic average one (section 2.1)",
        objective={"gan": "non-saturating"},
    ),
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network. `prenet=none`, `gradient_branch` and `block` are the paper's ablations."""

    channels: Halvable = 64
    modules: Count = 23
    taps: tuple[Count, ...] = (5, 10, 15, 20)
    """Modules of the image branch after which the gradient branch listens."""
    prenet: Literal["cells", "pixels", "none"] = "cells"
    prenet_widths: Counts = (64, 96, 128)
    """Maps of the pre-network's levels, finest first: three on cells, one to six on pixels."""
    trunk: bool = True
    """Without it the network is the pre-network alone: what is trained first."""
    gradient_branch: bool = True
    block: Block = "res2net"

    def __post_init__(self) -> None:
        if self.gradient_branch:
            check_taps(self.taps, self.modules, "modules")
        if len(self.prenet_widths) > 6 or (self.prenet == "cells" and len(self.prenet_widths) != 3):
            shown = ",".join(map(str, self.prenet_widths))
            raise UsageError(
                f"prenet_widths={shown} do not fit prenet={self.prenet}.", "On cells there are three levels."
            )
        if self.prenet == "none" and not self.trunk:
            raise UsageError("Without pre-network and trunk nothing is left.", "Leave out trunk=no.")

    @property
    def size_multiple(self) -> int:
        """Side of the pre-network's coarsest cells in pixels."""
        if self.prenet == "cells":
            return GRID
        return 1 << len(self.prenet_widths) - 1 if self.prenet == "pixels" else 1


def module(channels: int, block: Block) -> ResidualInResidual:
    """What takes an RRDB's place: three Res2Net blocks (or, for the ablation, the RRDB itself)."""
    if block == "rrdb":
        return rrdb(channels)
    return ResidualInResidual(*(Res2NetBlock(channels, channels // 2) for _ in range(3)))


def listener(channels: int, block: Block) -> nn.Sequential:
    """What joins the gradient branch with the image branch at a tap: a module that takes in the maps of both."""
    if block == "rrdb":
        return nn.Sequential(rrdb(2 * channels), conv3(2 * channels, channels))
    first = Res2NetBlock(2 * channels, channels // 2, outputs=channels)
    return nn.Sequential(first, ResidualInResidual(*(Res2NetBlock(channels, channels // 2) for _ in range(2))))


class GGGAN(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, block = config.channels, config.block
        self.size_multiple = config.size_multiple
        self.prenet = _prenet(config)
        self.trunk = config.trunk
        if not config.trunk:
            return
        self.image_head = conv3(3, n)
        self.image_modules = nn.ModuleList(module(n, block) for _ in range(config.modules))
        self.image_trunk = conv3(n, n)
        self.image_tail = nn.Sequential(conv3(n, n), leaky(), conv3(n, n))

        self.taps = config.taps
        self.gradient_branch = config.gradient_branch
        if config.gradient_branch:
            self.gradient_head = conv3(3, n)
            self.gradient_modules = nn.ModuleList(listener(n, block) for _ in config.taps)
            self.gradient_trunk = conv3(n, n)
            self.gradient_tail = nn.Sequential(conv3(n, n), leaky(), conv3(n, n))
            self.gradient_out = nn.Conv2d(n, 3, 1)
            self.fusion = nn.Sequential(module(2 * n, block), conv3(2 * n, n))
        self.reconstruct = nn.Sequential(conv3(n, n), leaky(), zero_init_(conv3(n, 3)))

    def branches(self, rgb: Tensor) -> Branches:
        """All that training compares; H and W are multiples of `size_multiple`."""
        pre = rgb + self.prenet(rgb) if self.prenet is not None else None
        start = rgb if pre is None else pre
        if not self.trunk:
            return Branches(start, None, None)

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


def _prenet(config: Config) -> CellUNet | ResidualUNet | None:
    if config.prenet == "cells":
        fine, middle, low = config.prenet_widths
        return CellUNet((fine, middle, low))
    return ResidualUNet(3, 3, config.prenet_widths) if config.prenet == "pixels" else None


def describe(config: Config) -> Spec:
    """Facts about one configuration.

    A Res2Net block reaches 3 pixels and an RRDB's dense block 5, so a module 9 or 15, and a listener 9 or 16. Paths lead
    along the image branch, or from one of the taps through the listeners from there on.
    """
    module, listener = (9, 9) if config.block == "res2net" else (15, 16)
    paths, fusion = [module * config.modules], 0
    if config.gradient_branch:
        paths += [module * tap + listener * (len(config.taps) - i) for i, tap in enumerate(config.taps)]
        paths.append(1 + listener * len(config.taps))
        fusion = module + 1
    head, trunk, tail, reconstruct = 1, 1, 2, 2
    radius = head + max(paths) + trunk + tail + fusion + reconstruct if config.trunk else 0
    if config.prenet == "cells":
        radius = through_cell_unet(radius)
    elif config.prenet == "pixels":
        radius = through_unet(len(config.prenet_widths), radius)
    return replace(spec, size_multiple=config.size_multiple, receptive_field=radius)


def build(config: Config) -> GGGAN:
    """Make the network with freshly initialised weights."""
    return GGGAN(config)
