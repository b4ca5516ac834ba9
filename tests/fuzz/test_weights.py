"""Hostile weight files, the same every time; `tools/fuzz.py` tries others."""

import sys

import pytest

from fuzz.harness import run_cases

CASES = 150


@pytest.mark.fuzz
@pytest.mark.skipif(sys.platform != "linux", reason="time and memory are measured as Linux tells them")
def test_hostile_weight_files_load_or_are_refused_at_once_with_their_name() -> None:
    outcomes = list(run_cases("weights", range(CASES)))
    assert len(outcomes) == CASES
    assert [outcome for outcome in outcomes if outcome.fault] == []
