"""What a benchmark does with one image: read and degrade it, restore it by every method, compare and note."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from restorekit.errors import RestorekitError, UnwritableOutput
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.methods import Restorer
from restorekit.evaluation.preparation import PreparedItem, Rgb, prepare_item, sharp_frames
from restorekit.evaluation.scoring import Comparison, ImageScores, Scorer
from restorekit.evaluation.store import BenchmarkStore, Facts
from restorekit.media.decode import read_rgb8


@dataclass(frozen=True)
class PairJob:
    """A method whose scores of an image are missing, and what will decide them."""

    method: str
    image_facts: Facts
    score_facts: Facts


@dataclass(frozen=True)
class ItemJob:
    """One image, and the methods whose scores are missing."""

    item: Item
    pairs: tuple[PairJob, ...]


@dataclass(frozen=True)
class RestoredImage:
    """What a method made of an image."""

    pixels: Rgb
    seconds: float | None
    """None for what was restored elsewhere."""
    keep: bool = False
    """It is new, and worth keeping."""


@dataclass(frozen=True)
class ItemImages:
    """All that is in memory of one image. What goes wrong with a method stays with that method."""

    prepared: PreparedItem
    restored: Mapping[str, RestoredImage]
    """By method."""
    errors: Mapping[str, Exception]
    """By method, of those that failed."""


@dataclass(frozen=True)
class BenchmarkWorker:
    """The stages of `runtime.executor.Worker`.

    Args:
        restorers: the methods by name.
        scorer: the metrics.
        store: remembers.
    """

    restorers: Mapping[str, Restorer]
    scorer: Scorer
    store: BenchmarkStore

    def read(self, job: ItemJob) -> ItemImages:
        """Read the image, make the input, and read what an earlier run restored."""
        prepared = prepare_item(job.item, self.scorer.protocol, self.scorer.scale)
        restored = {}
        for pair in job.pairs:
            kept = self.store.find_image(pair.method, job.item, pair.image_facts)
            if kept is not None:
                restored[pair.method] = RestoredImage(read_rgb8(kept.path), kept.seconds)
        return ItemImages(prepared, restored, {})

    def compute(self, job: ItemJob, item: ItemImages) -> ItemImages:
        """Restore the image by every method that has not done so before."""
        restored, errors = dict(item.restored), {}
        for pair in job.pairs:
            if pair.method in restored:
                continue
            restorer = self.restorers[pair.method]
            begun = time.perf_counter()
            try:
                pixels = restorer.restore(job.item, item.prepared.degraded)
            except Exception as error:
                errors[pair.method] = error
                continue
            seconds = None if restorer.facts.kind == "folder" else time.perf_counter() - begun
            restored[pair.method] = RestoredImage(pixels, seconds, keep=restorer.keeps_images)
        return ItemImages(item.prepared, restored, errors)

    def write(self, job: ItemJob, computed: ItemImages) -> tuple[ImageScores, ...]:
        """Keep what is new, measure, and remember the scores: one for every pair of the job, in order."""
        item, prepared = job.item, computed.prepared
        for pair in job.pairs:
            image = computed.restored.get(pair.method)
            if image is not None and image.keep:
                self.store.keep_image(pair.method, item, pair.image_facts, image.pixels, image.seconds)
        comparisons: dict[str, list[Comparison]] = {method: [] for method in computed.restored}
        errors = dict(computed.errors)
        for sharp in sharp_frames(item, prepared, self.scorer.protocol):
            for method in computed.restored.keys() - errors.keys():
                try:
                    pixels = computed.restored[method].pixels
                    comparisons[method].append(self.scorer.compare(pixels, sharp, prepared.grey))
                except Exception as error:
                    errors[method] = error
        scores = []
        for pair in job.pairs:
            if pair.method in errors:
                scores.append(without_scores(item, pair.method, errors[pair.method]))
                continue
            best, seconds = self.scorer.best(comparisons[pair.method]), computed.restored[pair.method].seconds
            measured = ImageScores(
                item.name, item.subset, pair.method, best.values, best.left_out, seconds, prepared.grey
            )
            self.store.record_scores(item, pair.score_facts, measured)
            scores.append(measured)
        return tuple(scores)

    def failed(self, job: ItemJob, error: Exception) -> tuple[ImageScores, ...]:
        """No method has scores of an image that cannot be read. Without a place for results the run ends."""
        if isinstance(error, UnwritableOutput):
            raise error
        return tuple(without_scores(job.item, pair.method, error) for pair in job.pairs)


def without_scores(item: Item, method: str, error: Exception) -> ImageScores:
    """A failed pair."""
    reason = str(error) if isinstance(error, RestorekitError) else f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.filename is not None:
        reason = f"{error.filename}: It cannot be read ({error.strerror})."
    return ImageScores(item.name, item.subset, method, reason=reason)
