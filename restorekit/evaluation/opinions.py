"""Mean opinion scores: what people said, joined from a CSV file. Never computed from pixels."""

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from restorekit.errors import UsageError

COLUMNS = ("image", "method", "rater", "score")


@dataclass(frozen=True)
class MeanOpinion:
    """A method's mean opinion score, 1 (very poor) to 5 (very good)."""

    method: str
    n: int
    """Scores, over all raters and images."""
    mean: float
    std: float
    """Sample standard deviation."""
    low: float
    high: float
    """95 % interval of the mean (t distribution)."""


def read_opinions(path: Path) -> list[MeanOpinion]:
    """Read `image,method,rater,score` lines and average them by method, in the file's order.

    Raises:
        UsageError: another header, a score outside 1..5, or the same rater twice on the same image.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(f"The opinions cannot be read ({error.strerror}).", "Check its path.", path) from None
    if not rows or not set(COLUMNS) <= rows[0].keys():
        raise UsageError("This is no table of opinion scores.", f"Its first line must be {','.join(COLUMNS)}.", path)
    seen: set[tuple[str, ...]] = set()
    scores: dict[str, list[float]] = defaultdict(list)
    for line, row in enumerate(rows, start=2):
        key = (row["image"], row["method"], row["rater"])
        try:
            score = float(row["score"])
        except (TypeError, ValueError):
            score = math.nan
        if not 1 <= score <= 5:
            raise UsageError(f"Line {line}: a score is 1 to 5, not '{row['score']}'.", "Correct the line.", path)
        if key in seen:
            raise UsageError(f"Line {line}: {', '.join(key)} is there twice.", "Remove one of the lines.", path)
        seen.add(key)
        scores[row["method"]].append(score)
    return [_mean_opinion(method, values) for method, values in scores.items()]


def _mean_opinion(method: str, values: list[float]) -> MeanOpinion:
    from scipy.stats import t

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return MeanOpinion(method, n, mean, math.nan, math.nan, math.nan)
    std = float(np.std(values, ddof=1))
    half = float(t.ppf(0.975, n - 1)) * std / math.sqrt(n)
    return MeanOpinion(method, n, mean, std, mean - half, mean + half)
