"""Spoilt records, the same every time; `tools/fuzz.py --kind records` tries others."""

import sys

import pytest

from fuzz.harness import Limits, run_cases

CASES = 300


@pytest.mark.fuzz
@pytest.mark.skipif(sys.platform != "linux", reason="time and memory are measured as Linux tells them")
def test_spoilt_records_are_named_or_passed_over() -> None:
    outcomes = list(run_cases("records", range(CASES), Limits(seconds=5.0, megabytes=400.0)))
    assert len(outcomes) == CASES
    assert [outcome for outcome in outcomes if outcome.fault] == []
