"""What a reviewer asks of a mean: how many, how spread, how sure, and whether two methods differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
SEED = 0


@dataclass(frozen=True)
class MeanInterval:
    """A data set's score: the mean of its images' scores, and how sure it is."""

    n: int
    """Finite values that were averaged."""
    infinite: int
    """Identical images, whose PSNR is inf: left out of the mean, and counted."""
    mean: float
    std: float
    """Sample standard deviation; nan for one image."""
    low: float
    high: float
    """95 % interval of the mean: percentile bootstrap over images."""


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """Average one method's scores. Where all are infinite the mean is inf, where there are none it is nan.

    Args:
        values: one per image; the order does not matter.
    """
    finite = np.sort(np.array([value for value in values if math.isfinite(value)]))
    infinite = sum(math.isinf(value) for value in values)
    if not len(finite):
        empty = math.inf if infinite else math.nan
        return MeanInterval(0, infinite, empty, math.nan, empty, empty)
    spread = float(finite.std(ddof=1)) if len(finite) > 1 else math.nan
    return MeanInterval(len(finite), infinite, float(finite.mean()), spread, *_interval(finite))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> MeanInterval:
    """Average the paired difference first - second, over the images where both are finite.

    Args:
        first, second: scores of the same images in the same order.
    """
    both = [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return mean_interval([a - b for a, b in both])


def _interval(values: np.ndarray) -> tuple[float, float]:
    if len(values) == 1:
        return math.nan, math.nan
    rng = np.random.default_rng(SEED)
    means = np.concatenate(
        [values[rng.integers(0, len(values), (100, len(values)))].mean(axis=1) for _ in range(DRAWS // 100)]
    )
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
