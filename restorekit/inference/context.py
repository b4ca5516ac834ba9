"""What must be known of a whole image before its tiles can be restored, and how it is put together from the tiles.

Systems that undo a blur need it, and the noise, as they are in the whole image. Networks that normalise by the image's own
statistics need those of the whole image in every tile. A pass over the tiles measures every normalisation while those before
it use what the last pass found: after k passes the first k layers are right. They are usually right much earlier.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from restorekit.imaging.dtypes import to_unit
from restorekit.inference.tiling import Place, Span
from restorekit.media.rows import RowReader
from restorekit.runtime.progress import PATIENT, Listener

if TYPE_CHECKING:
    from torch import Tensor, nn

    from restorekit.deconvolution import Blur
    from restorekit.models.image_norm import ImageNorm, Moments

STRIP = 256  # rows of which the noise is measured at once, however the image is tiled
UNCHANGED = 1e-5  # largest change of a mean (in standard deviations) or variance (relative) that counts as none


@dataclass(frozen=True)
class LayerSums:
    """What a normalisation sees of the core of a tile, or of several."""

    count: int
    """Values of a map."""
    total: Tensor
    """Their sum (C,) in float64."""
    squares: Tensor
    """The sum of their squares (C,) in float64."""
    eps: float
    """What the normalisation adds to the variance."""


Sums = Mapping[str, LayerSums]
"""By the name of the normalisation in its network."""


@dataclass(frozen=True)
class ObservedBlur:
    """What blurred an image, and how noisy it is."""

    blur: Blur
    noise: float
    """Standard deviation in 0..1."""
    found: bool = False
    """Whether the system found it, or was told."""
    listener: Listener = PATIENT
    """Hears how it is undone, and may end that."""

    def __str__(self) -> str:
        return f"{self.blur}, noise {self.noise:.4f}"


@dataclass(frozen=True)
class Context:
    """What was observed of a whole image."""

    moments: Mapping[str, Moments]
    """As every normalisation sees it, by the normalisation's name in its network."""
    blur: ObservedBlur | None = None
    """For systems that undo it."""
    passes: int = 0
    """Passes over the image that it took."""
    settled: bool = False
    """Whether another pass would change nothing."""


def observe_blur(blur: Blur, reader: RowReader, found: bool = False, listener: Listener = PATIENT) -> ObservedBlur:
    """Add to a blur how noisy its image is: the median of its strips. For the rest see `ObservedBlur`."""
    import torch

    from restorekit.deconvolution import noise_level

    strips = (to_unit(reader.rows(top, min(top + STRIP, reader.height))) for top in range(0, reader.height, STRIP))
    levels = [noise_level(torch.from_numpy(strip).permute(2, 0, 1)[None]) for strip in strips]
    return ObservedBlur(blur, float(np.median(levels)), found, listener)


def names_of_norms(network: nn.Module) -> dict[ImageNorm, str]:
    """The normalisations of a network that use statistics of the image."""
    from restorekit.models.image_norm import ImageNorm

    norms = ((name, part) for name, part in network.named_modules() if isinstance(part, ImageNorm))
    return {norm: name for name, norm in norms if norm.statistics == "image"}


def refined(context: Context | None, tiles: Iterable[Sums]) -> Context:
    """The context after one more pass.

    Args:
        context: that of the last pass, which the tiles were measured with; None in the first one.
        tiles: what every tile adds.
    """
    layers: dict[str, LayerSums] = {}
    for sums in tiles:
        for name, layer in sums.items():
            layers[name] = _added(layers[name], layer) if name in layers else layer
    moments: dict[str, Moments] = {}
    change = 0.0 if context is not None else math.inf
    for name, layer in layers.items():
        mean = layer.total / layer.count
        variance = (layer.squares / layer.count - mean.square()).clamp(min=0)
        if context is not None:
            change = max(change, _difference(context.moments[name], (mean, variance), layer.eps))
        moments[name] = (mean.float(), variance.float())
    passes = 1 if context is None else context.passes + 1
    # As many passes as there are normalisations are exact, whatever still changes.
    return Context(moments, passes=passes, settled=change <= UNCHANGED or passes >= len(layers))


def _added(a: LayerSums, b: LayerSums) -> LayerSums:
    return LayerSums(a.count + b.count, a.total + b.total, a.squares + b.squares, a.eps)


def _difference(before: Moments, after: Moments, eps: float) -> float:
    mean, variance = after
    spread = variance + eps
    shift = ((mean - before[0].double()).abs() / spread.sqrt()).max()
    return max(float(shift), float(((variance - before[1].double()).abs() / spread).max()))


class KnownMoments:
    """Gives the normalisations what was observed of the whole image."""

    def __init__(self, context: Context, norms: Mapping[ImageNorm, str]) -> None:
        self.context, self.norms = context, norms

    def __call__(self, norm: ImageNorm, x: Tensor) -> Moments | None:
        """The whole image's moments; see `MomentSource`."""
        mean, variance = self.context.moments[self.norms[norm]]
        return mean.to(x.device), variance.to(x.device)


class Measurement:
    """Adds up what the normalisations see of one tile's core, while they use what the last pass found."""

    def __init__(self, context: Context | None, norms: Mapping[ImageNorm, str], place: Place) -> None:
        self.known = None if context is None else KnownMoments(context, norms)
        self.norms, self.place = norms, place
        self.sums: dict[str, LayerSums] = {}

    def __call__(self, norm: ImageNorm, x: Tensor) -> Moments | None:
        """Measure (1,C,h,w), at whatever scale the layer works, and answer as `KnownMoments`."""
        (top, bottom), (left, right) = _core(self.place.row), _core(self.place.column)
        height, width = x.shape[-2:]
        core = x[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)].double()
        total, squares = core.sum(dim=(0, 2, 3)), core.square().sum(dim=(0, 2, 3))
        self.sums[self.norms[norm]] = LayerSums(core[:, 0].numel(), total, squares, norm.eps)
        return None if self.known is None else self.known(norm, x)


def _core(span: Span) -> tuple[float, float]:
    """Where a tile's core begins and ends, as shares of the tile's length."""
    length = span.stop - span.start
    return (span.core_start - span.start) / length, (span.core_stop - span.start) / length
