"""Statistics of a whole picture for networks that normalise by them, gathered from its tiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.inference.tiling import Span
from restorekit.models.layers import ImageNorm

UNCHANGED = 1e-5  # largest change of a map's mean (in standard deviations) or variance (relative) that counts as none


class ImageStatistics:
    """The statistics of every `ImageNorm` of a network.

    Args:
        model: the network; its norms use what was gathered until `forget` is called.
    """

    def __init__(self, model: nn.Module) -> None:
        self.norms = [part for part in model.modules() if isinstance(part, ImageNorm) and part.statistics == "image"]
        self.sums: dict[ImageNorm, list[Tensor]] = {}
        """Number of values, their sum and the sum of their squares, for every map."""
        self.core = (0.0, 1.0, 0.0, 1.0)

    def forget(self) -> None:
        """Let the network use the statistics of whatever it sees."""
        for norm in self.norms:
            norm.gathered = None

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Measure what goes into the norms."""
        self.sums = {}
        hooks = [norm.register_forward_pre_hook(self._add) for norm in self.norms]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def look_at(self, row: Span, column: Span) -> None:
        """Count, of the next tile, only the part that no other tile covers."""
        self.core = (*_core(row), *_core(column))

    def _add(self, norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(norm, ImageNorm)
        x: Tensor = inputs[0]
        height, width = x.shape[-2:]
        top, bottom, left, right = self.core
        part = x[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)].double()
        found = [torch.tensor(part[:, 0].numel()), part.sum(dim=(0, 2, 3)), part.square().sum(dim=(0, 2, 3))]
        known = self.sums.get(norm)
        self.sums[norm] = found if known is None else [a + b for a, b in zip(known, found, strict=True)]

    def settle(self) -> float:
        """Let the norms use what was gathered; returns how much it differs from what they used before."""
        change = 0.0
        for norm, (count, total, squares) in self.sums.items():
            mean = total / count
            variance = (squares / count - mean.square()).clamp(min=0)
            if norm.gathered is None:
                change = float("inf")
            else:
                before_mean, before_variance = (part.double() for part in norm.gathered)
                spread = variance + norm.eps
                shift = ((mean - before_mean).abs() / spread.sqrt()).max()
                change = max(change, float(shift), float(((variance - before_variance).abs() / spread).max()))
            norm.gathered = (mean.to(norm.running_mean.dtype), variance.to(norm.running_var.dtype))
        return change


def _core(span: Span) -> tuple[float, float]:
    """Where a span's own part begins and ends, as shares of its length."""
    first, last = span.own()
    length = span.stop - span.start
    return (first - span.start) / length, (last - span.start) / length
