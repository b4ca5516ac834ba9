"""Throw hostile cases of one kind at restorekit, other ones every time, and keep those that break a promise.

    python tools/fuzz.py --kind images --minutes 60

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

KINDS = ("images", "names", "records", "servers", "weights")
MOST = 100_000  # cases
TESTS = Path(__file__).parent.parent / "tests"


def main() -> None:
    sys.path.insert(0, str(TESTS))  # for the generators and what they share with the tests
    harness = import_module("fuzz.harness")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, required=True, help="of the cases")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the whole campaign")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the first case")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failed"), help="folder for what failed")
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * chosen.minutes
    outcomes: dict[str, list[Any]] = defaultdict(list)
    for outcome in harness.run_cases(chosen.kind, range(chosen.seed, chosen.seed + MOST), chosen.keep):
        for row in (outcome.kind, "all"):
            outcomes[row].append(outcome)
        if outcome.fault:
            print(f"{outcome.seed}: {outcome.fault.strip().splitlines()[-1]}", flush=True)
        if time.monotonic() > end:
            break
    print(f"seeds from {chosen.seed}")
    _report(outcomes, import_module(f"fuzz.{chosen.kind}").LIMITS)
    sys.exit(any(outcome.fault for outcome in outcomes["all"]))


def _report(outcomes: dict[str, list[Any]], limits: Any) -> None:
    columns = ("tried", "held", "refused", "over time", "over memory", "tracebacks", "slowest s", "peak MB")
    print("".join(f"{column:>13}" for column in columns), " kind")
    for kind, tried in sorted(outcomes.items(), key=lambda row: (row[0] == "all", row[0])):
        slowest, peak = max(outcome.seconds for outcome in tried), max(outcome.megabytes for outcome in tried)
        late = [outcome for outcome in tried if outcome.seconds > limits.seconds]
        large = [outcome for outcome in tried if outcome.megabytes > limits.megabytes]
        refused, faults = (
            [outcome for outcome in tried if outcome.refused],
            [outcome for outcome in tried if outcome.fault],
        )
        other = [outcome for outcome in faults if outcome not in late and outcome not in large]
        counts = (len(tried), len(tried) - len(faults), len(refused), len(late), len(large), len(other))
        print("".join(f"{count:>13}" for count in counts), f"{slowest:>12.2f}{peak:>13.0f}  {kind}")


if __name__ == "__main__":
    main()
