"""Timing in turns: what is compared runs alternately, so that a busy minute hits both."""

import statistics
import time
from collections.abc import Callable


def in_turns(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median seconds of both after a warm-up, and the median of the rounds' ratios first / second."""
    first(), second()
    pairs = []
    for _ in range(rounds):
        times = []
        for work in (first, second):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
        pairs.append(times)
    ratios = [a / b for a, b in pairs]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), statistics.median(ratios)
