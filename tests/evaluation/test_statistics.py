import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from restorekit.errors import UsageError
from restorekit.evaluation import opinions, statistics


def test_infinite_scores_are_counted_and_not_averaged() -> None:
    found = statistics.summarise([30.0, math.inf, 32.0])
    assert (found.n, found.infinite, found.mean) == (2, 1, 31.0)
    assert found.std == pytest.approx(math.sqrt(2))
    assert statistics.summarise([math.inf]).mean == math.inf
    assert math.isnan(statistics.summarise([]).mean)


def test_the_interval_is_that_of_the_mean_and_does_not_depend_on_order() -> None:
    values = np.random.default_rng(1).normal(30, 2, 400).tolist()
    found = statistics.summarise(values)
    half = 1.96 * found.std / 20
    assert found.low == pytest.approx(found.mean - half, abs=0.03)
    assert found.high == pytest.approx(found.mean + half, abs=0.03)
    assert statistics.summarise(values[::-1]) == found


def test_paired_differences_see_what_the_spread_of_pictures_hides() -> None:
    pictures = np.random.default_rng(2).normal(30, 3, 50)
    better = pictures + np.random.default_rng(3).normal(0.2, 0.1, 50)
    found = statistics.difference(better.tolist(), pictures.tolist())
    assert 0.1 < found.low < 0.2 < found.high < 0.3
    apart = statistics.summarise(better.tolist()), statistics.summarise(pictures.tolist())
    assert apart[0].low < apart[1].high  # unpaired, nothing would show
    assert statistics.difference([1.0, math.inf, 3.0], [0.5, 2.0, math.inf]).n == 1


def csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mos.csv"
    path.write_text("\n".join(("image,method,rater,score", *lines)))
    return path


def test_opinions_are_averaged_with_their_interval(tmp_path: Path) -> None:
    lines = [f"a.png,ours,{rater},{score}" for rater, score in enumerate((3, 4, 4, 5))]
    ours, theirs = opinions.read(csv(tmp_path, *lines, "a.png,theirs,0,2"))
    assert (ours.n, ours.mean) == (4, 4.0)
    reach = t.ppf(0.975, 3) * np.std((3, 4, 4, 5), ddof=1) / 2
    assert (ours.low, ours.high) == pytest.approx((4 - reach, 4 + reach))
    assert theirs.n == 1
    assert math.isnan(theirs.low)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("a,ours,1,6",), "Line 2: a score is 1 to 5"),
        (("a,ours,1,0.5",), "1 to 5"),
        (("a,ours,1,good",), "not 'good'"),
        (("a,ours,1,3", "a,ours,1,4"), "Line 3: a, ours, 1 is there twice"),
        ((), "no table of opinions"),
    ],
)
def test_wrong_opinions_are_refused(tmp_path: Path, lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        opinions.read(csv(tmp_path, *lines))
