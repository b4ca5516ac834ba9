"""What a reviewer asks of a mean: how many, how spread, how sure, and whether two methods differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
SEED = 0


@dataclass(frozen=True)
class Summary:
    """A set's score: the mean of its pictures' scores."""

    n: int
    """Finite values that were averaged."""
    infinite: int
    """Identical pictures, whose PSNR is inf: left out of the mean, and counted."""
    mean: float
    std: float
    """Sample standard deviation; nan for one picture."""
    low: float
    high: float
    """95 % interval of the mean: percentile bootstrap over pictures."""


def summarise(values: Sequence[float]) -> Summary:
    """Statistics of one method's scores. Where all are infinite the mean is inf, where there are none it is nan.

    Args:
        values: one a picture; the order does not matter.
    """
    finite = np.sort(np.array([value for value in values if math.isfinite(value)]))
    infinite = sum(math.isinf(value) for value in values)
    if not len(finite):
        empty = math.inf if infinite else math.nan
        return Summary(0, infinite, empty, math.nan, empty, empty)
    spread = float(finite.std(ddof=1)) if len(finite) > 1 else math.nan
    return Summary(len(finite), infinite, float(finite.mean()), spread, *_interval(finite))


def difference(first: Sequence[float], second: Sequence[float]) -> Summary:
    """Statistics of the paired difference first - second, over the pictures where both are finite.

    Args:
        first, second: scores of the same pictures in the same order.
    """
    both = [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return summarise([a - b for a, b in both])


def _interval(values: np.ndarray) -> tuple[float, float]:
    if len(values) == 1:
        return math.nan, math.nan
    rng = np.random.default_rng(SEED)
    means = np.concatenate(
        [values[rng.integers(0, len(values), (100, len(values)))].mean(axis=1) for _ in range(DRAWS // 100)]
    )
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
