"""Throw hostile weight files at restorekit, other ones every time, and keep those that break a promise.

    python tools/fuzz.py --minutes 60

The generators are those of `pytest -m fuzz`. What failed is left in the folder of --keep; its seed makes it again.
"""

import argparse
import secrets
import sys
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

MOST = 100_000  # cases
TESTS = Path(__file__).parent.parent / "tests"


def main() -> None:
    sys.path.insert(0, str(TESTS))  # for the generators and what they share with the tests
    harness = import_module("fuzz.harness")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of the whole campaign")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the first case")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failed"), help="folder for what failed")
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * chosen.minutes
    outcomes: dict[str, list[Any]] = defaultdict(list)
    for outcome in harness.run_cases("weights", range(chosen.seed, chosen.seed + MOST), keep=chosen.keep):
        outcomes[outcome.kind].append(outcome)
        if outcome.fault:
            print(f"{outcome.seed}: {outcome.fault.strip().splitlines()[-1]}", flush=True)
        if time.monotonic() > end:
            break
    _report(outcomes)


def _report(outcomes: dict[str, list[Any]]) -> None:
    print(f"{'what':<36}{'tried':>7}{'held':>7}{'slowest s':>11}{'most MB':>9}")
    for kind, tried in sorted(outcomes.items()):
        held = sum(not outcome.fault for outcome in tried)
        slowest, most = max(outcome.seconds for outcome in tried), max(outcome.megabytes for outcome in tried)
        print(f"{kind:<36}{len(tried):>7}{held:>7}{slowest:>11.2f}{most:>9.0f}")
    if any(outcome.fault for tried in outcomes.values() for outcome in tried):
        sys.exit(1)


if __name__ == "__main__":
    main()
