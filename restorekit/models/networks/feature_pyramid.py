"""What both forms of DeblurGAN-v2 share: the feature pyramid's top-down path, the heads and the output.

Kupyn, Martyniuk, Wu, Wang. DeblurGAN-v2: Deblurring (Orders-of-Magnitude) Faster and Better. ICCV 2019 (arXiv:1908.03826),
section 3.1 and the official code. Tensors are named as there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.models.config import LARGEST
from restorekit.models.image_norm import ImageNorm, Statistics
from restorekit.models.layers import clamp_output, conv3, pad_to_multiple, zero_init_

RECIPE = {
    "printed": {
        "steps": 600_000,  # 300 epochs of 2,000 pairs
        "batch": 1,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "linear",
        "decay_from": 300_000,  # epoch 150
        "floor": 1e-7,
        "optimizer": "adam",
        "loss_weights": {"mse": 0.5, "perceptual": 0.006, "adversarial": 0.01},
        "objective": {"layer": "conv3_3"},
    },
    "code": {"betas": (0.9, 0.999)},
    "ours": {"augment": "flips-and-turns"},
}  # The paper freezes the backbone for three epochs; ours has no ImageNet weights that this would protect.
"""What the paper and its code say of training, whatever the backbone."""

SIZE_MULTIPLE = 32  # the deepest map is the image's 1/32

Filters = Annotated[int, Field(ge=4, le=LARGEST)]
"""Maps of the pyramid; the last convolution sees a quarter of them."""

Pad = tuple[int, int, int, int]  # left, right, top, bottom


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="nearest")


def _smooth(inputs: int, outputs: int, statistics: Statistics) -> nn.Sequential:
    return nn.Sequential(conv3(inputs, outputs), ImageNorm(outputs, statistics=statistics), nn.ReLU(inplace=True))


class TopDown(nn.Module):
    """The pyramid above a backbone: every map gets the pyramid's width and hears of the coarser ones.

    Args:
        widths: maps of the backbone at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
        filters: maps of the pyramid; the finest level has half as many.
        statistics: what the normalisations use.
        pads: what each of the backbone's maps lacks at its sides, in its own pixels; mirrored.
    """

    def __init__(
        self, widths: Sequence[int], filters: int, statistics: Statistics, pads: Sequence[Pad] = ((0, 0, 0, 0),) * 5
    ) -> None:
        super().__init__()
        self.pads = tuple(pads)
        finest, *others = widths
        self.lateral0 = nn.Conv2d(finest, filters // 2, 1, bias=False)
        self.lateral1, self.lateral2, self.lateral3, self.lateral4 = (
            nn.Conv2d(width, filters, 1, bias=False) for width in others
        )
        self.td1, self.td2, self.td3 = (_smooth(filters, filters, statistics) for _ in range(3))

    def join(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The backbone's five maps, finest first, to the pyramid's at exactly 1/2, 1/4, 1/8, 1/16 and 1/32."""
        laterals = (self.lateral0, self.lateral1, self.lateral2, self.lateral3, self.lateral4)
        levels = [
            F.pad(lateral(x), pad, mode="reflect") if any(pad) else lateral(x)
            for lateral, x, pad in zip(laterals, maps, self.pads, strict=True)
        ]
        for depth, smooth in ((3, self.td1), (2, self.td2), (1, self.td3)):
            levels[depth] = smooth(levels[depth] + _enlarged(levels[depth + 1], 2))
        return levels


class Head(nn.Module):
    """Two 3x3 convolutions without bias, each with ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block0 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.block1 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,inputs,H,W) to (N,outputs,H,W)."""
        return F.relu(self.block1(F.relu(self.block0(x), inplace=True)), inplace=True)


class DeblurGANv2(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1], any H and W.

    Args:
        fpn: a pyramid: (N,3,H,W) in [-1,1] to five maps, as `TopDown.join` gives them.
        filters: maps of the pyramid.
        statistics: what the normalisations use.
        least: smallest side in pixels that the backbone can take; smaller images are padded to it.
    """

    def __init__(self, fpn: nn.Module, filters: int, statistics: Statistics, least: int = SIZE_MULTIPLE) -> None:
        super().__init__()
        n = filters // 2  # of the heads: the finest level is added to them
        self.least = least
        self.fpn = fpn
        self.head1, self.head2, self.head3, self.head4 = (Head(filters, n) for _ in range(4))
        self.smooth = _smooth(4 * n, n, statistics)
        self.smooth2 = _smooth(n, n // 2, statistics)
        self.final = zero_init_(conv3(n // 2, 3))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        padded = pad_to_multiple(rgb, SIZE_MULTIPLE, self.least)
        finest, *levels = self.fpn(padded * 2 - 1)
        heads = (self.head1, self.head2, self.head3, self.head4)
        quarter = [
            _enlarged(head(level), 2**depth) for depth, (head, level) in enumerate(zip(heads, levels, strict=True))
        ]
        half = _enlarged(self.smooth(torch.cat(quarter[::-1], dim=1)), 2) + finest
        correction = torch.tanh(self.final(_enlarged(self.smooth2(half), 2)))  # in units of the range -1..1
        return clamp_output(rgb + correction[..., :height, :width] / 2, self.training)


def without_copies(
    state: Mapping[str, Tensor], names: Iterable[str], copies: Iterable[tuple[str, str]]
) -> dict[str, Tensor] | None:
    """Take the backbone once from a published file, which holds it twice.

    Args:
        state: tensors by upstream's names.
        names: the network's own names; upstream's are the same.
        copies: beginnings of names, (the copy's, the original's).

    Returns:
        The state under the network's names, or None if `state` does not have upstream's names exactly.

    Raises:
        WeightsError: the two copies of a tensor differ, so nobody knows which one was trained.
    """
    wanted = set(names)
    originals = {
        copy + name.removeprefix(original): name
        for copy, original in copies
        for name in wanted
        if name.startswith(original)
    }
    if state.keys() != wanted | originals.keys():
        return None
    for copy, name in originals.items():
        if not torch.equal(state[copy], state[name]):
            raise WeightsError(f"{copy} and {name} should be the same tensor, but differ.", "Fetch the file again.")
    return {name: state[name] for name in sorted(wanted)}
