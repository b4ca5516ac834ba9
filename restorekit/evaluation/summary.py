"""What a benchmark leaves behind: results.json, results.csv and the numbers that tables and reports show."""

import csv
import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restorekit.evaluation import statistics
from restorekit.evaluation.protocol import definition
from restorekit.evaluation.run import Outcome, differences, environment, extremes, summaries
from restorekit.runtime.atomic import write_atomically

DECIMALS = {"psnr": 2, "ssim": 4, "ms-ssim": 4, "mse": 2, "lpips": 4, "niqe": 3, "mos": 2, "seconds": 2}


@dataclass(frozen=True)
class Row:
    """One line of a set's table: a method of ours, or a published one."""

    method: str
    kind: str
    """model, restored, baseline, or published."""
    scores: dict[str, statistics.Summary]
    printed: dict[str, float]
    """Published values under the same name."""
    table: str = ""
    """Where they are printed."""


def rows(outcome: Outcome, part: str) -> list[Row]:
    """A set's table: our methods in order, then what was published."""
    tables = outcome.tables(part)
    found = []
    for method in outcome.methods:
        scores = {name: summaries(outcome, part, name).get(method.name) for name in outcome.metrics}
        if not any(scores.values()):
            continue
        own = method.system or method.name
        # The first table that prints a method is its main one; a paper's own ablations come later.
        table = next((one for one in tables if own in one.rows and "psnr" in one.columns), None)
        comparable = table is not None and not outcome.other_data
        printed = dict(zip(table.columns, table.rows[own], strict=False)) if table and comparable else {}
        kept = {name: summary for name, summary in scores.items() if summary is not None}
        found.append(Row(method.name, method.kind, kept, printed, table.title if table else ""))
    for table in tables:
        for name, values in table.rows.items():
            found.append(Row(name, "published", {}, dict(zip(table.columns, values, strict=False)), table.title))
    return found


def gap(row: Row, metric: str) -> float | None:
    """Ours minus printed; None where one of them is missing."""
    summary, printed = row.scores.get(metric), row.printed.get(metric)
    if summary is None or printed is None or not math.isfinite(summary.mean):
        return None
    return summary.mean - printed


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Everything, ready for JSON: inf and nan are the strings "inf" and "nan"."""
    protocol, request = outcome.request.protocol, outcome.request
    sets = {}
    for part in outcome.sets:
        sets[part] = {
            "rows": [
                asdict(row) | {"difference": {m: gap(row, m) for m in row.printed}} for row in rows(outcome, part)
            ],
            "paired_differences": [
                {"first": first, "second": second, "metric": metric, **asdict(summary)}
                for metric in outcome.metrics
                if metric != "mse"
                for first, second, summary in differences(outcome, part, metric)
            ],
            "extremes": {
                one.name: dict(zip(("worst", "best"), extremes(outcome, one.name, part), strict=True))
                for one in outcome.methods
            },
        }
    found = {
        "protocol": {
            "name": protocol.name,
            "title": protocol.title,
            "text": protocol.text,
            "source": protocol.source,
            "notes": protocol.notes,
            "definition": definition(protocol),
            "scale": request.scale if protocol.task == "sr" else 1,
            "kernel_known": any(item.kernel is not None for item in outcome.found.items),
        },
        "data": {
            "folder": str(request.data),
            "layout": outcome.found.layout,
            "pictures": len(outcome.found.items),
            "expected": protocol.expected,
            "other_data": outcome.other_data,
        },
        "messages": outcome.messages,
        "environment": environment(),
        "methods": [
            {"name": one.name, "kind": one.kind, **one.facts, "speed": _speed(outcome, one.name)}
            for one in outcome.methods
        ],
        "sets": sets,
        "opinions": [asdict(one) for one in outcome.opinions],
        "pictures": [asdict(score) for score in outcome.scores],
    }
    return dict(_plain(found))


def write(outcome: Outcome, out: Path) -> dict[str, Any]:
    """Write results.json and results.csv, each whole or not at all; returns what results.json holds.

    Raises:
        UnwritableOutput: they cannot be written.
    """
    found = as_dict(outcome)
    write_atomically(out / "results.json", (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["protocol", "set", "picture", "method", *outcome.metrics, "seconds", "grey", "error"])
    for score in outcome.scores:
        values = [score.values.get(metric, "") for metric in outcome.metrics]
        head = [outcome.request.protocol.name, score.set, score.name, score.method]
        writer.writerow([*head, *values, score.seconds, int(score.grey), score.error])
    write_atomically(out / "results.csv", text.getvalue().encode())
    return found


def _speed(outcome: Outcome, method: str) -> dict[str, Any] | None:
    speed = outcome.speeds.get(method)
    return asdict(speed) | {"megapixels_per_second": speed.megapixels / speed.seconds} if speed else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
