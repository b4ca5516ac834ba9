"""Hostile cases of every kind, the same every time; `tools/fuzz.py` tries others."""

import sys

import pytest

from fuzz.harness import run_cases

CASES = {"images": 1000, "names": 2, "records": 300, "servers": 100, "weights": 150}


@pytest.mark.fuzz
@pytest.mark.skipif(sys.platform != "linux", reason="time and memory are measured as Linux tells them")
@pytest.mark.parametrize("kind", CASES)
def test_every_promise_is_kept(kind: str) -> None:
    outcomes = list(run_cases(kind, range(CASES[kind])))
    assert [outcome for outcome in outcomes if outcome.fault] == []
    assert len(outcomes) == CASES[kind]
    assert any(outcome.refused for outcome in outcomes)
