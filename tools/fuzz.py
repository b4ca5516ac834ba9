"""Throw damaged and hostile files at restorekit, other ones every time, and keep those that break a promise.

    PYTHONPATH=tests python tools/fuzz.py --minutes 60 --kind weights

The generators are those of `pytest -m fuzz`. A failed case is left in the folder of --keep with its seed, which makes it again.
"""

import argparse
import secrets
import sys
import time
from collections import defaultdict
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # for the generators

from fuzz.harness import Outcome, run_cases

BATCH = 100  # cases between two looks at the clock
KINDS = ("images", "names", "records", "weights")


def main() -> None:
    there = [kind for kind in KINDS if (Path(__file__).parent.parent / "tests" / "fuzz" / f"{kind}.py").is_file()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of the whole campaign")
    parser.add_argument("--kind", choices=there, action="append", help="may be repeated; all by default")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the first case")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failed"), help="folder for what failed")
    chosen = parser.parse_args()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    kinds = chosen.kind or there
    end = time.monotonic() + 60 * chosen.minutes
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    for first in count(chosen.seed, BATCH):
        for kind in kinds:
            for outcome in run_cases(kind, range(first, first + BATCH), keep=chosen.keep):
                outcomes[f"{kind} {outcome.kind}"].append(outcome)
                if outcome.fault:
                    print(f"{kind} {outcome.seed}: {outcome.fault.strip().splitlines()[-1]}", flush=True)
                if time.monotonic() > end:
                    break
        if time.monotonic() > end:
            break
    _report(outcomes)


def _report(outcomes: dict[str, list[Outcome]]) -> None:
    print(f"{'what':<36}{'tried':>7}{'held':>7}{'slowest s':>11}{'most MB':>9}")
    for kind, tried in sorted(outcomes.items()):
        held = sum(not outcome.fault for outcome in tried)
        slowest, most = max(outcome.seconds for outcome in tried), max(outcome.megabytes for outcome in tried)
        print(f"{kind:<36}{len(tried):>7}{held:>7}{slowest:>11.2f}{most:>9.0f}")
    if any(outcome.fault for tried in outcomes.values() for outcome in tried):
        sys.exit(1)


if __name__ == "__main__":
    main()
