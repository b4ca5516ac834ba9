import math

import numpy as np
import pytest

from restorekit.evaluation.statistics import mean_interval, paired_difference


def test_infinite_scores_are_counted_and_not_averaged() -> None:
    interval = mean_interval([30.0, math.inf, 32.0])
    assert (interval.n, interval.infinite, interval.mean) == (2, 1, 31.0)
    assert interval.std == pytest.approx(math.sqrt(2))
    assert mean_interval([math.inf]).mean == math.inf
    assert math.isnan(mean_interval([]).mean)


def test_the_interval_is_that_of_the_mean_and_does_not_depend_on_order() -> None:
    values = np.random.default_rng(1).normal(30, 2, 400).tolist()
    interval = mean_interval(values)
    half = 1.96 * interval.std / 20
    assert interval.low == pytest.approx(interval.mean - half, abs=0.03)
    assert interval.high == pytest.approx(interval.mean + half, abs=0.03)
    assert mean_interval(values[::-1]) == interval


def test_paired_differences_see_what_the_spread_of_images_hides() -> None:
    images = np.random.default_rng(2).normal(30, 3, 50)
    better = images + np.random.default_rng(3).normal(0.2, 0.1, 50)
    interval = paired_difference(better.tolist(), images.tolist())
    assert 0.1 < interval.low < 0.2 < interval.high < 0.3
    apart = mean_interval(better.tolist()), mean_interval(images.tolist())
    assert apart[0].low < apart[1].high  # unpaired, nothing would show
    assert paired_difference([1.0, math.inf, 3.0], [0.5, 2.0, math.inf]).n == 1


def test_the_interval_is_the_percentile_bootstraps_of_the_mean() -> None:
    """Of two values the resampled mean is low, middle or high with a quarter, a half and a quarter."""
    interval = mean_interval([10.0, 20.0])
    assert (interval.low, interval.high, interval.mean) == (10.0, 20.0, 15.0)
    # Of eight, seven of them 0: the mean is k/8 for k of a binomial distribution, whose quantiles are 0 and 3 of 8.
    skewed = mean_interval([0.0] * 7 + [8.0])
    assert (skewed.low, skewed.high, skewed.mean) == (0.0, 3.0, 1.0)
    single = mean_interval([3.0])
    assert single.mean == 3.0
    assert all(math.isnan(value) for value in (single.low, single.high, single.std))


def test_a_difference_needs_both_values() -> None:
    interval = paired_difference([5.0, math.inf, 3.0], [1.0, 1.0, math.inf])
    assert (interval.n, interval.infinite, interval.mean) == (1, 0, 4.0)
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1.0], [1.0, 2.0])
