"""Compare restored images with sharp ones, as a protocol says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.evaluation.preparation import Rgb
from restorekit.evaluation.protocol import Protocol
from restorekit.imaging.alignment import align
from restorekit.media.image import Image
from restorekit.metrics import METRICS, SSIM_VARIANTS, Metric

ALWAYS = ("psnr", "ssim", "mse")
"""Metrics of every table; the others are measured where they are asked for."""


@dataclass(frozen=True)
class ImageScores:
    """One method on one image."""

    item: str
    subset: str
    method: str
    values: Mapping[str, float] = field(default_factory=dict)
    """By metric."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Metrics that say nothing about this image, with the reason: it is too small for them."""
    seconds: float | None = None
    """That restoring took; None for what was restored elsewhere."""
    grey: bool = False
    """The sharp image is stored with one channel."""
    reason: str = ""
    """Why there are no values."""


@dataclass(frozen=True)
class Scorer:
    """The metrics of a run, and how its protocol applies them. A value that pickles.

    Args:
        protocol: colour, border, alignment, and which SSIM is meant.
        scale: enlargement of super-resolution, else 1.
        metrics: names beside those of `ALWAYS`.
        metric_weights: folders of weights, by metric.

    Raises:
        UsageError: no such metric, or one that needs weights gets none.
    """

    protocol: Protocol
    scale: int
    metrics: tuple[str, ...] = ()
    metric_weights: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in METRICS:
                raise UsageError(f"There is no metric called '{name}'.", f"Use {', '.join(METRICS)}.")
            if METRICS[name].needs.weights and name not in self.metric_weights:
                raise UsageError(
                    f"{name} needs its weights, which do not ship.", "Give their folder in `metric_weights`."
                )

    @property
    def names(self) -> tuple[str, ...]:
        """All metrics, in the order of reports."""
        return tuple(name for name in METRICS if name in ALWAYS or name in self.metrics)

    def metric(self, name: str) -> Metric:
        """A metric of the run."""
        return SSIM_VARIANTS[self.protocol.ssim] if name == "ssim" else METRICS[name]

    def load(self) -> None:
        """Load the metrics' weights.

        Raises:
            WeightsError: they are absent, incomplete or damaged.
        """
        for name in self.names:
            if (load_weights := METRICS[name].load_weights) is not None:
                load_weights(self.metric_weights[name])

    def compare(self, restored: Rgb, sharp: Rgb, grey: bool) -> "Comparison":
        """Measure one restored image.

        Args:
            restored, sharp: (H,W,3) of the same size.
            grey: the sharp image is stored with one channel; its luma is then compared without the map to 16..235.

        Raises:
            UsageError: the sizes differ, or one of the metrics of `ALWAYS` cannot be measured.
            RestorekitError: the images cannot be aligned.
        """
        if restored.shape != sharp.shape:
            size, wanted = ("{1}x{0}".format(*image.shape) for image in (restored, sharp))
            raise UsageError(f"The restored image is {size}, the sharp one {wanted}.", "Nothing is resized silently.")
        rgb: tuple[NDArray[Any], NDArray[Any]] = align(restored, sharp, self.protocol.align)
        converted = rgb
        if grey and self.protocol.colour in ("y", "y-float"):
            plane = Image(rgb[1][..., :1])
            converted = (plane.with_rgb(rgb[0]).pixels, plane.pixels)
        border = self.protocol.border_pixels(self.scale)
        values: dict[str, float] = {}
        left_out: dict[str, str] = {}
        for name in self.names:
            metric = self.metric(name)
            pair = converted if metric.needs.protocol else rgb
            try:
                values[name] = metric.measure(
                    *pair, colour=self.protocol.colour, border=border, weights=self.metric_weights.get(name)
                )
            except UsageError as error:  # too small for this metric; the others stand
                if name in ALWAYS:
                    raise
                left_out[name] = error.reason
        return Comparison(values, left_out)

    def best(self, comparisons: Iterable["Comparison"]) -> "Comparison":
        """By every metric the best of the frames that may count as the truth."""
        values: dict[str, float] = {}
        left_out: dict[str, str] = {}
        for comparison in comparisons:
            left_out |= comparison.left_out
            for name, value in comparison.values.items():
                values[name] = self.metric(name).better(values[name], value) if name in values else value
        return Comparison(values, left_out)


@dataclass(frozen=True)
class Comparison:
    """One restored image against one sharp one."""

    values: Mapping[str, float]
    """By metric."""
    left_out: Mapping[str, str]
    """Reasons by metric."""
