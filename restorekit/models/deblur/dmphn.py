"""DMPHN: levels that see eight, four, two patches and the whole image, each correcting what the next one sees.

Zhang, Dai, Li, Koniusz. Deep Stacked Hierarchical Multi-patch Network for Image Deblurring, CVPR 2019 (arXiv:1904.03468),
Figs. 2 to 4, in the form of the authors' code. The best of the general deblurring networks here whose weights a program can
fetch; none of the five papers that restorekit began with has it.

The image is cut in its middle, so what a pixel becomes depends on where it lies in the image: tiles are cut anew and
cannot equal the whole. Measured with the authors' weights on a GoPro image of 1280x720 (30.74 dB whole): six tiles with
an overlap of 32 px give 30.72 dB and differ by up to 25 grey levels at a cut; 96 and 160 px are no better.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from restorekit.models.layers import ResidualBlock, clamp_output, conv3, pad_to_multiple, relu
from restorekit.models.spec import Spec

MIDDLE = 0.5  # subtracted from the images: the middle of their range
WIDTHS = (32, 64, 128)  # maps at the full, half and quarter size
ENCODER = (1, 2, 3, 5, 6, 7, 9, 10, 11)  # the authors' numbers of the layers, in our order
DECODER = (13, 14, 16, 17, 18, 20, 21, 22, 24)

spec = Spec(
    name="dmphn",
    task="deblur",
    summary="multi-patch hierarchy, 1-2-4",
    paper="Zhang et al. 2019, arXiv:1904.03468",
    parameters=5_424_393,
    macs_per_pixel=745_536,
    size_multiple=8,
    receptive_field=None,
    tiling="approximate",
    overlap=32,
    objective="pixel",
    bytes_per_pixel=600,
)

recipe = {
    "code": {
        "steps": 842_400,  # 2,400 epochs of GoPro's 2,103 pairs in batches of 6
        "batch": 6,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "milestones",
        "milestones": (351_000, 702_000),  # after 1,000 and 2,000 epochs
        "decay": 0.1,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "none",
        "loss_weights": {"l1": 0.0, "mse": 1.0},
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    levels: Annotated[int, Field(ge=1, le=4)] = 3
    """3 is the paper's 1-2-4, 4 its 1-2-4-8."""
    stages: Annotated[int, Field(ge=1, le=4)] = 1
    """Networks one after the other; more than one make the authors' SDNet."""


def split(image: Tensor, depth: int) -> Tensor:
    """Cut a batch (N,C,H,W) into 2^depth patches of equal size, one after the other along the batch.

    Level 2 sees the upper and the lower half, level 3 the left and the right half of each, level 4 the upper and the lower
    half of those.
    """
    for cut in range(depth):
        image = torch.cat(image.chunk(2, dim=_axis(cut)))
    return image


def join(patches: Tensor, depth: int) -> Tensor:
    """Put pairs of patches of depth `depth` together again, so that they are those of depth `depth` - 1."""
    return torch.cat(patches.chunk(2), dim=_axis(depth - 1)) if depth else patches


def _axis(cut: int) -> int:
    return 3 if cut % 2 else 2  # the first cut is horizontal


def _encoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
        enter = nn.Conv2d(before, width, 3, stride=1 if before == 3 else 2, padding=1)
        layers += [enter, *(ResidualBlock(width, activation=relu) for _ in range(2))]
    return nn.Sequential(*layers)


def _decoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, after in zip(reversed(WIDTHS), (64, 32, 3), strict=True):
        leave = conv3(width, after) if after == 3 else nn.ConvTranspose2d(width, after, 4, stride=2, padding=1)
        layers += [*(ResidualBlock(width, activation=relu) for _ in range(2)), leave]
    return nn.Sequential(*layers)


class Hierarchy(nn.Module):
    """One stage: encoder and decoder of every level, that of the whole image first."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(_encoder() for _ in range(levels))
        self.decoders = nn.ModuleList(_decoder() for _ in range(levels))

    def forward(self, image: Tensor, before: list[Tensor], first: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Restore an image, from the smallest patches to the whole.

        Args:
            image: (N,3,H,W), the middle of its range at 0.
            before: features of the previous stage by depth; empty for the first stage.
            first: what the first stage restored; None for that stage itself.

        Returns:
            (N,3,H,W), and the features by depth.
        """
        features: list[Tensor] = []
        finer, residual = None, None
        for depth in reversed(range(len(self.encoders))):
            patches = split(image, depth)
            encoded = self.encoders[depth](patches if residual is None else patches + residual)
            feature = join(encoded if finer is None else encoded + finer, depth)
            if before:
                feature = feature + before[depth]
            residual = self.decoders[depth](feature)
            if depth == 1 and first is not None:  # as in the authors' code; the paper's figure does not show it
                residual = residual + first
            finer = feature
            features.insert(0, feature)
        return cast(Tensor, residual), features


class DMPHN(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple = _multiple(config.levels)
        self.stages = nn.ModuleList(Hierarchy(config.levels) for _ in range(config.stages))
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):  # the authors' start: half of He's
                outputs = layer.out_channels * math.prod(layer.kernel_size)
                nn.init.normal_(layer.weight, std=0.5 * math.sqrt(2 / outputs))
                nn.init.zeros_(cast(Tensor, layer.bias))

    def restored(self, rgb: Tensor) -> Iterator[Tensor]:
        """What every stage makes of a batch whose sides are multiples of `multiple`."""
        image, first = rgb - MIDDLE, None
        features: list[Tensor] = []
        for stage in self.stages:
            image, features = stage(image, features, first)
            first = image if first is None else first
            yield image + MIDDLE

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        *_, restored = self.restored(pad_to_multiple(rgb, self.multiple))
        return clamp_output(restored[..., :height, :width], self.training)


def _multiple(levels: int) -> int:
    return 4 << levels // 2  # every patch is a multiple of 4 pixels; the height is cut levels // 2 times


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    summary = f"multi-patch hierarchy, {'-'.join(str(2**depth) for depth in range(config.levels))}"
    stacked = f", {config.stages} stacked" if config.stages > 1 else ""
    return replace(spec, summary=summary + stacked, size_multiple=_multiple(config.levels))


def build(config: Config) -> DMPHN:
    """Make the network with freshly initialised weights."""
    return DMPHN(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise a folder of the authors' files, `encoder_lv1.pkl` or, stacked, `encoder_s1_lv1.pkl`, and so on.

    Their SDNet3 lies in a folder with the files of a fourth stage, which it does not use.
    """
    converted: dict[str, Tensor] = {}
    levels, stages = 1, 1
    for key, tensor in state.items():
        match = re.fullmatch(r"(encoder|decoder)(?:_s([1-4]))?_lv([1-4])\.layer(\d+)(?:\.([02]))?\.(weight|bias)", key)
        if not match:
            return None
        part, stage, level, number, convolution, kind = match.groups()
        layer = (ENCODER if part == "encoder" else DECODER).index(int(number))
        inside = "" if convolution is None else f".body.{convolution}"
        stages, levels = max(stages, int(stage or 1)), max(levels, int(level))
        converted[f"stages.{int(stage or 1) - 1}.{part}s.{int(level) - 1}.{layer}{inside}.{kind}"] = tensor
    return ({"levels": levels, "stages": stages}, converted) if converted else None
