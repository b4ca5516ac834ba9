"""Mean opinion scores: what people said, joined from CSV files. Never computed from pixels."""

import csv
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from restorekit.errors import UsageError
from restorekit.evaluation.datasets import Item
from restorekit.media.sniff import SUFFIXES

COLUMNS = ("image", "method", "rater", "score")


@dataclass(frozen=True)
class Opinion:
    """What one rater thinks of one restored image."""

    image: str
    """An item's name or the last part of it, with or without the file's suffix."""
    method: str
    """A method's name, or what stands for it on a rating sheet, see `blind_name`."""
    rater: str
    score: float
    """1 (very poor) to 5 (very good)."""


@dataclass(frozen=True)
class MeanOpinion:
    """A method's mean opinion score on one image, or on all images of a subset."""

    method: str
    subset: str
    item: str
    """Empty for the whole subset."""
    n: int
    """Scores: raters, times images."""
    mean: float
    """Over all scores. Where every image has the same raters it is the mean of the images' means, as papers print it."""
    std: float
    """Sample standard deviation."""
    low: float
    high: float
    """95 % interval of the mean (t distribution)."""


def blind_name(image: str, method: str) -> str:
    """What stands for a method on a rating sheet: another name on every image, so that nobody recognises one again."""
    return hashlib.sha256(f"{image}|{method}".encode(errors="backslashreplace")).hexdigest()[:12]


def read_opinions(path: Path) -> list[Opinion]:
    """Read `image,method,rater,score` lines.

    Args:
        path: a CSV file, or a folder of them: one of every rater.

    Raises:
        UsageError: another header, a score outside 1..5, or the same rater twice on the same image.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise UsageError("No CSV file is in this folder.", "Give the raters' files.", path)
    opinions: dict[tuple[str, str, str], Opinion] = {}
    for file in files:
        for line, opinion in _read_file(file):
            key = (opinion.image, opinion.method, opinion.rater)
            if key in opinions:
                raise UsageError(f"Line {line}: {', '.join(key)} is there twice.", "Remove one of the lines.", file)
            opinions[key] = opinion
    return list(opinions.values())


def _read_file(path: Path) -> Iterable[tuple[int, Opinion]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise UsageError(f"The opinions cannot be read ({error}).", "It must be a CSV file in UTF-8.", path) from None
    if not rows or not set(COLUMNS) <= rows[0].keys():
        raise UsageError("This is no table of opinion scores.", f"Its first line must be {','.join(COLUMNS)}.", path)
    for line, row in enumerate(rows, start=2):
        if any(row[name] is None for name in COLUMNS):
            raise UsageError(f"Line {line} ends early.", f"It must hold {', '.join(rows[0])}.", path)
        try:
            score = float(row["score"])
        except (TypeError, ValueError):
            score = math.nan
        if not 1 <= score <= 5:
            raise UsageError(f"Line {line}: a score is 1 to 5, not '{row['score']}'.", "Correct the line.", path)
        yield line, Opinion(row["image"], row["method"], row["rater"], score)


def average_opinions(
    opinions: Iterable[Opinion], items: Iterable[Item], methods: Iterable[str]
) -> tuple[list[MeanOpinion], list[str]]:
    """Mean opinion scores of every method on every subset and every image, in the opinions' order.

    Args:
        opinions: see `read_opinions`.
        items: the images of the data set.
        methods: the names that may stand for themselves on a rating sheet.

    Returns:
        The means, and a message about opinions of images that are not in the data set.
    """
    by_name = _by_name(items)
    blind = {(item.name, blind_name(item.name, method)): method for item in by_name.values() for method in methods}
    scores: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    strangers = []
    for opinion in opinions:
        item = by_name.get(opinion.image) or by_name.get(_without_suffix(opinion.image))
        if item is None:
            strangers.append(opinion.image)
            continue
        method = blind.get((item.name, opinion.method), opinion.method)
        for name in ("", item.name):
            scores[method, item.subset, name].append(opinion.score)
    messages = [f"{len(strangers)} opinions are of images that are not here, e.g. {strangers[0]}."] if strangers else []
    return [_mean_opinion(*key, values) for key, values in scores.items()], messages


def _by_name(items: Iterable[Item]) -> dict[str, Item]:
    """Items by their names, and by the last parts of them that are unique."""
    items = list(items)
    by_end: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_end[item.name.rsplit("/", 1)[-1]].append(item)
    unique = {end: same[0] for end, same in by_end.items() if len(same) == 1}
    return unique | {item.name: item for item in items}


def _without_suffix(image: str) -> str:
    stem, dot, suffix = image.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else image


def _mean_opinion(method: str, subset: str, item: str, values: list[float]) -> MeanOpinion:
    from scipy.stats import t

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return MeanOpinion(method, subset, item, n, mean, math.nan, math.nan, math.nan)
    std = float(np.std(values, ddof=1))
    half = float(t.ppf(0.975, n - 1)) * std / math.sqrt(n)
    return MeanOpinion(method, subset, item, n, mean, std, mean - half, mean + half)
