"""Every metric as a value in one table. A new metric is one function and one entry here; nothing else is edited."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from restorekit.errors import UsageError
from restorekit.imaging.colour import Colour
from restorekit.imaging.dtypes import Pixels
from restorekit.metrics import lpips, niqe, similarity
from restorekit.metrics.fidelity import mse, psnr
from restorekit.metrics.similarity import SSIMVariant, ms_ssim, ms_ssim_metrix, ssim, ssim_global, ssim_skimage


@dataclass(frozen=True)
class Needs:
    """What a metric must be given besides the restored image."""

    reference: bool = True
    """The sharp image. Without it the metric judges the restored image alone."""
    protocol: bool = True
    """The protocol's colour and border. Without them the metric sees whole RGB images, whatever the protocol says."""
    weights: bool = False
    """A folder of weights that do not ship."""
    min_side: int = 1
    """Pixels on the shorter side, once the border is cut."""


@dataclass(frozen=True)
class Metric:
    """One metric. A value that pickles: its function belongs to a module."""

    name: str
    """As the command line and results write it; upper case in reports."""
    function: Callable[..., float]
    """Takes the restored image, and what `needs` says: the sharp image, `colour` and `border`, `weights`."""
    unit: str
    """Empty where there is none."""
    decimals: int
    """That tables print."""
    higher_is_better: bool
    needs: Needs = Needs()
    load_weights: Callable[[Path], object] | None = None
    """Loads and checks the weights, and keeps them for this process: a wrong folder fails before the first image."""

    def measure(
        self,
        restored: Pixels,
        sharp: Pixels,
        *,
        colour: Colour = "rgb",
        border: int = 0,
        weights: Path | None = None,
    ) -> float:
        """Measure one restored image; whatever the metric does not need is not looked at.

        Args:
            restored, sharp: (H,W) or (H,W,C) of the same uint8, uint16 or float32 (in 0..1) type.
            colour: see `imaging.colour.convert`.
            border: pixels cut from every side after the conversion.
            weights: folder of the metric's weights.

        Raises:
            UsageError: the images cannot be compared or are too small, or `weights` is missing.
            WeightsError: the weights are absent, incomplete or damaged.
        """
        images = (restored, sharp) if self.needs.reference else (restored,)
        options: dict[str, Any] = {"colour": colour, "border": border} if self.needs.protocol else {}
        if self.needs.weights:
            if weights is None:
                raise UsageError(f"{self.name} needs its weights, which do not ship.", "Give `weights`, their folder.")
            options["weights"] = weights
        return self.function(*images, **options)

    def better(self, first: float, second: float) -> float:
        """The better of two scores."""
        return max(first, second) if self.higher_is_better else min(first, second)


_WANG = Metric("ssim", ssim, "", 4, True, Needs(min_side=similarity.WINDOW))

SSIM_VARIANTS: Mapping[SSIMVariant, Metric] = MappingProxyType(
    {
        "wang": _WANG,
        "skimage": Metric("ssim", ssim_skimage, "", 4, True, Needs(min_side=similarity.SKIMAGE_WINDOW)),
        "global": Metric("ssim", ssim_global, "", 4, True),
        "metrix-multiscale": Metric("ssim", ms_ssim_metrix, "", 4, True, Needs(min_side=similarity.METRIX_MIN_SIDE)),
    }
)
"""SSIM by the variant that a protocol names."""

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("psnr", psnr, "dB", 2, True),
            _WANG,
            Metric("mse", mse, "", 2, False),
            Metric("ms-ssim", ms_ssim, "", 4, True, Needs(min_side=similarity.MS_SSIM_MIN_SIDE)),
            Metric(
                "lpips",
                lpips.lpips,
                "",
                4,
                False,
                Needs(protocol=False, weights=True, min_side=lpips.MIN_SIDE),
                lpips.load_network,
            ),
            Metric("niqe", niqe.niqe, "", 3, False, Needs(reference=False, protocol=False, min_side=niqe.MIN_SIDE)),
        )
    }
)
"""All metrics by name, in the order of reports."""
