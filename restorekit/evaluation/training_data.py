"""Keep what a network was trained on out of what it is tested on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from restorekit.degradation.pairs import PairRecord, find_records, fingerprint_sharp
from restorekit.errors import UnreadableImage, UsageError
from restorekit.evaluation.datasets import Dataset, Item
from restorekit.evaluation.methods import Restorer
from restorekit.evaluation.result import BenchmarkRequest


@dataclass(frozen=True)
class TrainedOn:
    """Images of a data set that a method was trained on."""

    method: str
    items: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} was trained on {len(self.items)} of these images, e.g. {self.items[0]}"


def find_training_data(
    request: BenchmarkRequest, dataset: Dataset, restorers: Mapping[str, Restorer]
) -> list[TrainedOn]:
    """By method, the images that its weights name as trained on. Weights that name none: see `name_unrecorded`.

    Raises:
        UsageError: there are some, and the request does not allow it.
    """
    trained = {name: restorer.trained_on for name, restorer in restorers.items() if restorer.trained_on}
    if not trained:
        return []
    records = find_records(request.data)
    prints = {item.name: _fingerprints(item, records) for item in dataset.items}
    seen = [
        TrainedOn(method, items)
        for method, trained_on in trained.items()
        if (items := tuple(name for name, own in prints.items() if own & trained_on))
    ]
    if seen and not request.allow_training_data:
        raise UsageError(
            f"{seen[0]}: its scores would say nothing about new ones.",
            "Test on others, or allow it by `allow_training_data`.",
            request.data,
        )
    return seen


def name_unrecorded(restorers: Mapping[str, Restorer]) -> list[str]:
    """One remark that names the networks whose weights do not tell what they were trained on; none where all do."""
    silent = [name for name, restorer in restorers.items() if restorer.facts.parameters and not restorer.trained_on]
    if not silent:
        return []
    return [f"The weights of {', '.join(silent)} do not record what they were trained on; it may hold these images."]


def _fingerprints(item: Item, records: Mapping[Path, PairRecord]) -> frozenset[bytes]:
    try:
        return fingerprint_sharp(item.sharp, records)
    except UnreadableImage:  # that is said where it is measured
        return frozenset()
