"""What a benchmark leaves behind: results.json, results.csv, and the numbers that tables and reports show."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from restorekit.evaluation import statistics
from restorekit.evaluation.methods import Kind
from restorekit.evaluation.opinions import MeanOpinion
from restorekit.evaluation.result import BenchmarkResult
from restorekit.evaluation.statistics import MeanInterval
from restorekit.metrics import METRICS
from restorekit.runtime.atomic import write_atomically
from restorekit.runtime.provenance import environment

NO_TEXT = "backslashreplace"
"""How bytes of a name that are no text are written: as JSON and JavaScript spell them, \\udcff."""
RESULTS_JSON, RESULTS_CSV = "results.json", "results.csv"
FORMAT = 2
"""Of results.json: raised when a report of this version could not be made from an older file."""

FILES_ONLY = ("mse",)
"""Metrics that tables leave out: PSNR says the same."""


@dataclass(frozen=True)
class TableRow:
    """One line of a subset's table: a method of ours, or a published one."""

    method: str
    kind: Kind | Literal["published"]
    scores: Mapping[str, MeanInterval]
    """By metric."""
    printed: Mapping[str, float]
    """Published values under the same name, by column."""
    table: str = ""
    """Where they are printed."""
    opinion: MeanOpinion | None = None
    """What people said of our results."""
    epoch_seconds: float | None = None
    """Training time of an epoch as large as the paper's, where the protocol and the weights tell."""

    def minus_printed(self, metric: str) -> float | None:
        """Ours minus printed; None where one of them is missing."""
        score, printed = self.scores.get(metric), self.printed.get(metric)
        if score is None or printed is None or not math.isfinite(score.mean):
            return None
        return score.mean - printed


def table_metrics(result: BenchmarkResult) -> tuple[str, ...]:
    """Metrics that tables show."""
    return tuple(name for name in result.metrics if name not in FILES_ONLY)


def metric_label(name: str) -> str:
    """A metric's name as the head of a column, e.g. "PSNR dB"."""
    return f"{name.upper()} {METRICS[name].unit}".rstrip()


def table_rows(result: BenchmarkResult, subset: str) -> list[TableRow]:
    """A subset's table: our methods in order, then what was published."""
    tables = result.tables(subset)
    rows = []
    for method in result.methods:
        values = {name: result.values(method.name, subset, name) for name in result.metrics}
        scores = {name: statistics.mean_interval(list(items.values())) for name, items in values.items() if items}
        if not scores:
            continue
        # A label may be that of a printed row. The first table that prints a system is its main one; ablations come later.
        names = ((name, table) for name in (method.name, method.system) for table in tables)
        main = ((name, table) for name, table in names if name in table.rows and "psnr" in table.columns)
        name, table = (method.name, None) if result.other_data else next(main, (method.name, None))
        printed, title = (table.printed(name), table.title) if table else ({}, "")
        epoch, sample = result.request.protocol.epoch_samples, method.seconds_per_sample
        epoch_seconds = epoch * sample if epoch and sample is not None else None
        opinion = result.opinion(method.name, subset)
        rows.append(TableRow(method.name, method.kind, scores, printed, title, opinion, epoch_seconds))
    for table in tables:
        rows += [TableRow(name, "published", {}, table.printed(name), table.title) for name in table.rows]
    return rows


@dataclass(frozen=True)
class PairedDifference:
    """The second method minus the first, on the images that both have."""

    first: str
    second: str
    metric: str
    difference: MeanInterval


def paired_differences(result: BenchmarkResult, subset: str, metric: str) -> list[PairedDifference]:
    """Paired differences of every two methods."""
    differences = []
    for first, second in combinations((method.name for method in result.methods), 2):
        a, b = result.values(first, subset, metric), result.values(second, subset, metric)
        both = sorted(a.keys() & b.keys())
        if both:
            interval = statistics.paired_difference([b[item] for item in both], [a[item] for item in both])
            differences.append(PairedDifference(first, second, metric, interval))
    return differences


def extremes(result: BenchmarkResult, method: str, subset: str, count: int = 3) -> tuple[list[str], list[str]]:
    """The images with the lowest and the highest PSNR."""
    values = result.values(method, subset, "psnr")
    order = sorted(values, key=lambda item: (values[item], item))
    return order[:count], order[::-1][:count]


def printed_images(result: BenchmarkResult) -> dict[str, dict[str, dict[str, float]]]:
    """What papers print of single images: values by item, method and column."""
    printed: dict[str, dict[str, dict[str, float]]] = {}
    for item in result.dataset.items:
        image = item.name.rsplit("/", 1)[-1]
        for table in result.tables(item.subset):
            for method in table.images.get(image, {}):
                printed.setdefault(item.name, {})[f"{method}, {table.title}"] = table.printed(method, image)
    return printed


def as_json(result: BenchmarkResult) -> dict[str, Any]:
    """Everything as JSON knows it: inf and nan are the strings "inf" and "nan"."""
    request, protocol = result.request, result.request.protocol
    content = {
        "format": FORMAT,
        "protocol": {
            "name": protocol.name,
            "title": protocol.title,
            "text": protocol.text,
            "source": protocol.source,
            "notes": protocol.notes,
            "definition": protocol.definition(),
            "scale": request.enlargement,
            "psf_known": any(item.psf is not None for item in result.dataset.items),
        },
        "data": {
            "folder": str(request.data),
            "layout": result.dataset.layout,
            "images": len(result.dataset.items),
            "expected": protocol.expected,
            "other_data": result.other_data,
        },
        "counts": {
            "planned": len(result.scores),
            "done": result.done,
            "skipped": result.skipped,
            "failed": result.failed,
        },
        "messages": result.messages,
        "environment": environment(),
        "metrics": {
            name: {
                "label": metric_label(name),
                "decimals": METRICS[name].decimals,
                "higher_is_better": METRICS[name].higher_is_better,
                "in_tables": name not in FILES_ONLY,
            }
            for name in result.metrics
        },
        "methods": [asdict(method) | {"speed": _speed(result, method.name)} for method in result.methods],
        "subsets": {subset: _subset(result, subset) for subset in result.subsets},
        "printed_images": {} if result.other_data else printed_images(result),
        "opinions": [asdict(opinion) for opinion in result.opinions],
        "scores": [asdict(scores) for scores in result.scores],
        "examples": [asdict(example) for example in result.examples],
    }
    return dict(_without_infinities(content))


def write_results(result: BenchmarkResult, out: Path) -> None:
    """Write results.json and results.csv, each whole or not at all.

    Raises:
        UnwritableOutput: they cannot be written.
    """
    results = json.dumps(as_json(result), indent=1, ensure_ascii=False) + "\n"
    write_atomically(out / RESULTS_JSON, results.encode(errors=NO_TEXT))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["protocol", "subset", "image", "method", *result.metrics, "seconds", "grey", "mos", "reason"])
    for scores in result.scores:
        head = [_as_text(cell) for cell in (result.request.protocol.name, scores.subset, scores.item, scores.method)]
        values = [scores.values.get(metric, "") for metric in result.metrics]
        seconds = "" if scores.seconds is None else scores.seconds
        opinion = result.opinion(scores.method, scores.subset, scores.item)
        mos = "" if opinion is None else opinion.mean
        writer.writerow([*head, *values, seconds, int(scores.grey), mos, _as_text(scores.reason)])
    write_atomically(out / RESULTS_CSV, text.getvalue().encode(errors=NO_TEXT))


def _as_text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an image may be called =1+1.png."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def _subset(result: BenchmarkResult, subset: str) -> dict[str, Any]:
    return {
        "rows": [
            asdict(row) | {"minus_printed": {column: row.minus_printed(column) for column in row.printed}}
            for row in table_rows(result, subset)
        ],
        "paired_differences": [
            asdict(difference)
            for metric in table_metrics(result)
            for difference in paired_differences(result, subset, metric)
        ],
        "extremes": {
            method.name: dict(zip(("worst", "best"), extremes(result, method.name, subset), strict=True))
            for method in result.methods
        },
    }


def _speed(result: BenchmarkResult, method: str) -> dict[str, Any] | None:
    speed = result.speeds.get(method)
    return asdict(speed) | {"megapixels_per_second": speed.megapixels_per_second} if speed else None


def _without_infinities(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_infinities(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(member) for member in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
