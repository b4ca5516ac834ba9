"""What a benchmark is asked to do, and what it found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from restorekit.errors import ExitCode, UsageError
from restorekit.evaluation.datasets import Dataset
from restorekit.evaluation.methods import MethodFacts
from restorekit.evaluation.opinions import MeanOpinion
from restorekit.evaluation.preparation import Box
from restorekit.evaluation.protocol import Protocol, PublishedTable
from restorekit.evaluation.scoring import ImageScores, Scorer
from restorekit.evaluation.speed import SpeedMeasurement
from restorekit.inference.settings import Settings


@dataclass(frozen=True)
class BenchmarkRequest:
    """What a benchmark is asked to do.

    Raises:
        UsageError: the protocol is about another scale, there is no such metric, or one lacks its weights.
    """

    protocol: Protocol
    data: Path
    """The data set's folder."""
    models: tuple[str, ...] = ()
    """SYSTEM or SYSTEM:WEIGHTS, with a tag or a file; LABEL=SYSTEM:WEIGHTS names the row, e.g. that of an ablation."""
    restored: Mapping[str, Path] = field(default_factory=dict)
    """Folders of images that something else restored, by the name of their row."""
    sharp_only: bool = False
    """The data are sharp images alone, to compare restored folders with."""
    baselines: bool = True
    scale: int = 4
    """Enlargement, where the protocol does not say."""
    metrics: tuple[str, ...] = ()
    """Names of `metrics.METRICS`, beside PSNR, SSIM and MSE."""
    metric_weights: Mapping[str, Path] = field(default_factory=dict)
    """Folders of the metrics' weights, where they need some."""
    settings: Settings = Settings()
    """Device, precision and tiles of the networks."""
    repeats: int = 3
    """Timed runs of each network; 0 leaves the speed out."""
    opinions: Path | None = None
    """CSV file of opinion scores, or a folder of them; see `opinions.read_opinions`."""
    shown: int = 8
    """Images that the report holds."""
    box: Box | None = None
    """What the figure enlarges; see `figure.draw_figure`."""
    allow_training_data: bool = False
    """Measure networks on images that they were trained on, too."""

    def __post_init__(self) -> None:
        if self.protocol.scale and self.scale != self.protocol.scale:
            raise UsageError(f"{self.protocol.name} is about x{self.protocol.scale}.", "Leave out `scale`.")
        self.scorer()  # checks the metrics

    @property
    def enlargement(self) -> int:
        """Pixels of a restored image for one of the input."""
        return self.scale if self.protocol.task == "sr" else 1

    def scorer(self) -> Scorer:
        """The metrics as the protocol applies them."""
        return Scorer(self.protocol, self.enlargement, self.metrics, self.metric_weights)


@dataclass(frozen=True)
class ExampleLayer:
    """One of the images that the report lays over each other."""

    name: str
    """A method, "input" or "sharp"."""
    file: str
    """Path below the results' folder."""
    blur: str = ""
    """Path of a picture of the blur that the method found, where it finds one."""


@dataclass(frozen=True)
class Example:
    """An image that the report shows, with what was made of it."""

    item: str
    subset: str
    layers: tuple[ExampleLayer, ...]
    """The last one is the sharp image."""
    psf: str = ""
    """Path of an image of the PSF, where it is known."""


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark found out. Every planned pair of an image and a method is done, skipped or failed."""

    request: BenchmarkRequest
    dataset: Dataset
    methods: tuple[MethodFacts, ...]
    scores: tuple[ImageScores, ...]
    """One for every planned pair, by image, then by method."""
    skipped: int
    """Pairs that were remembered from an earlier run."""
    speeds: Mapping[str, SpeedMeasurement]
    """By method."""
    opinions: tuple[MeanOpinion, ...]
    """By method and subset, and by method and image."""
    report: Path
    """The page."""
    examples: tuple[Example, ...] = ()
    """What the report shows."""
    messages: tuple[str, ...] = ()
    """What the user should know."""

    @property
    def failed(self) -> int:
        """Pairs without scores."""
        return sum(bool(scores.reason) for scores in self.scores)

    @property
    def done(self) -> int:
        """Pairs that were measured now."""
        return len(self.scores) - self.skipped - self.failed

    @property
    def exit_code(self) -> ExitCode:
        """OK, or SOME_FAILED."""
        return ExitCode.SOME_FAILED if self.failed else ExitCode.OK

    @property
    def other_data(self) -> bool:
        """Whether the published rows are of other images than these."""
        layout = self.request.protocol.layout
        return self.request.protocol.other_data or (self.dataset.layout != layout and layout != "pairs")

    @property
    def subsets(self) -> tuple[str, ...]:
        """The parts of the data set that have averages of their own."""
        return tuple(sorted({item.subset for item in self.dataset.items}))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that have values, in the order of reports."""
        measured = {name for scores in self.scores for name in scores.values}
        return tuple(name for name in self.request.scorer().names if name in measured)

    def values(self, method: str, subset: str, metric: str) -> dict[str, float]:
        """Scores by image."""
        return {
            scores.item: scores.values[metric]
            for scores in self.scores
            if scores.method == method and scores.subset == subset and metric in scores.values
        }

    def opinion(self, method: str, subset: str, item: str = "") -> MeanOpinion | None:
        """The mean opinion score of a method on a subset or one image of it, if somebody rated it."""
        key = (method, subset, item)
        return next((each for each in self.opinions if (each.method, each.subset, each.item) == key), None)

    def tables(self, subset: str) -> tuple[PublishedTable, ...]:
        """Published tables about a subset."""
        scales = (0, self.request.scale) if self.request.protocol.task == "sr" else (0,)
        return tuple(
            table for table in self.request.protocol.tables if table.subset in ("", subset) and table.scale in scales
        )
