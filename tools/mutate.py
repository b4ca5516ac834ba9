"""Change single operators and numbers of the code, one at a time, and count how many of these mutants a test notices.

    tools/mutate.sh --mutants 400 --seed 0

Run it by `tools/mutate.sh`: it changes files in place, so it needs a copy of the repository and cosmic-ray. All tests run
once without a change: those that fail are left out, and coverage tells which lines each executes. Every mutant then meets
the tests that execute its line, those named after its file first, then the quickest. What runs at import, and tables, meet
the tests of their file and then all others, as far as the time goes. Every twentieth run is a control without a change.

`mutants.jsonl` grows by a line for every mutant. A second call goes on where the first ended, measures the test files that
changed, and shows survivors the tests that they have not met. The code must be the same: delete the folder when it changes.
"""

import argparse
import ast
import hashlib
import json
import multiprocessing
import os
import random
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

import coverage
import cv2  # noqa: F401  # what the children of fork() need not import again
import parso  # noqa: F401  # before cosmic_ray, whose operators import each other in a circle otherwise
import pytest
import skimage.metrics  # noqa: F401
import torch  # noqa: F401
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

PARTS = {  # what is changed, in equal shares
    "models": ("models/**/*.py",),
    "training": ("training/**/*.py",),
    "degradation": ("degradation/*.py",),
    "protocols": ("evaluation/protocol.py", "evaluation/protocols/*.toml"),
}
TESTS = ("tests/models", "tests/training", "tests/degradation", "tests/evaluation")
FLATTERING = re.compile(  # fails at once: unions of types, bits of floats, identity for order
    r"BitOr_|_(BitOr|BitAnd|BitXor|RShift|LShift|Pow|Is|IsNot)$|_Is(Not)?_|RemoveDecorator|Variable"
)
NUMBER = re.compile(r"(?<=[ \[])\d+(\.\d+)?(?=[,\]\n])")
CONTROL = 20  # runs from one control to the next


@dataclass(frozen=True)
class Mutant:
    """One change of one place."""

    part: str
    path: Path
    line: int
    before: str
    after: str

    @property
    def name(self) -> str:
        """Place and change."""
        diff = list(unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=0))[3:]
        return "\n".join([f"{self.path}:{self.line}", *diff])


class Watch:
    """Plugin of pytest: seconds of every test, and which failed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the parts of a test."""
        self.seconds[report.nodeid] += report.duration
        if not report.passed:  # skipped ones notice nothing either
            self.failed.add(report.nodeid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=400, help="how many places are sampled")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--seconds", type=float, default=20, help="for each group of tests that a mutant meets")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the results")
    chosen = parser.parse_args()
    seconds = _measure(chosen.out)
    executed = coverage.CoverageData(str(chosen.out / "coverage.db"))
    executed.read()
    log = chosen.out / "mutants.jsonl"
    known = {entry["name"]: entry for entry in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    sample = _sample(chosen.mutants, chosen.seed)
    for number, mutant in enumerate(sample, 1):
        tests = _tests(mutant, executed, seconds, chosen.seconds)
        entry = known.get(mutant.name, {"outcome": "survived", "met": []})
        fresh = [test for test in tests if test not in entry["met"]]
        if entry["outcome"] != "survived" or not fresh:
            known[mutant.name] = entry
            continue
        limit = 120 + 20 * sum(seconds[test] for test in fresh)  # others may keep the machine busy
        if number % CONTROL == 0 and _run(fresh, limit) != "survived":
            raise SystemExit(f"These tests fail without a change: {' '.join(fresh)}")
        mutant.path.write_text(mutant.after)
        try:
            outcome = _run(fresh, limit)
        finally:
            mutant.path.write_text(mutant.before)
        known[mutant.name] = {
            "name": mutant.name,
            "part": mutant.part,
            "outcome": outcome,
            "met": [*entry["met"], *fresh],
        }
        with open(log, "a") as file:
            file.write(json.dumps(known[mutant.name]) + "\n")
        print(f"{number}/{len(sample)} {outcome} {mutant.path}:{mutant.line}", flush=True)
    _print_results([known[mutant.name] | {"part": mutant.part, "name": mutant.name} for mutant in sample])


def _measure(out: Path) -> dict[str, float]:
    """Run the test files that are new once; seconds of each test that passes. Its lines go to coverage.db."""
    baseline = out / "baseline.json"
    known = json.loads(baseline.read_text()) if baseline.exists() else {"files": {}, "seconds": {}}
    paths = sorted(path for folder in TESTS for path in Path(folder).rglob("test_*.py"))
    digests = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    changed = [path for path, digest in digests.items() if known["files"].get(path) != digest]
    kept = {
        test: time
        for test, time in known["seconds"].items()
        if digests.get(test.partition("::")[0]) and test.partition("::")[0] not in changed
    }
    if changed and _in_child(_measure_files, (changed, kept, digests, out)) != 0:
        raise SystemExit("The tests do not run without a change: see what pytest says.")
    seconds: dict[str, float] = json.loads(baseline.read_text())["seconds"]
    return seconds


def _measure_files(changed: list[str], kept: dict[str, float], digests: dict[str, str], out: Path) -> int:
    os.environ["COVERAGE_FILE"] = str(out / "coverage.db")
    watch = Watch()
    coverage_options = ["--cov=restorekit", "--cov-context=test", "--cov-append", "--cov-report=", "--cov-fail-under=0"]
    status = pytest.main([*changed, *coverage_options, "-p", "no:cacheprovider"], plugins=[watch])
    passed = {test: time for test, time in watch.seconds.items() if test not in watch.failed}
    (out / "baseline.json").write_text(json.dumps({"files": digests, "seconds": kept | passed}))
    return 0 if passed and status in {0, 1} else 1


def _sample(count: int, seed: int) -> list[Mutant]:
    """Places of every part, and one change of each. A larger sample begins with the smaller ones of its seed."""
    parts: list[list[Mutant]] = []
    for part, patterns in PARTS.items():
        generator = random.Random(f"{seed} {part}")
        places: dict[tuple[Path, tuple[int, int]], list[tuple[str, int]]] = defaultdict(list)
        for path in sorted(path for pattern in patterns for path in Path("restorekit").glob(pattern)):
            for place, name, occurrence in (
                _changes_of_table(path) if path.suffix == ".toml" else _changes_of_code(path)
            ):
                places[path, place].append((name, occurrence))
        order = sorted(places)
        generator.shuffle(order)
        mutants = (_mutant(part, *key, *generator.choice(places[key])) for key in order)
        parts.append(list(islice(filter(_counts, mutants), count // len(PARTS))))
    return [mutant for group in zip(*parts, strict=False) for mutant in group]


def _mutant(part: str, path: Path, place: tuple[int, int], name: str, occurrence: int) -> Mutant:
    before = path.read_text()
    if path.suffix != ".toml":
        return Mutant(part, path, place[0], before, mutate_code(before, get_operator(name)(), occurrence))
    start, stop = place
    digits = len(before[start:stop].partition(".")[2])
    number = float(before[start:stop]) + 10**-digits
    after = f"{before[:start]}{number:.{digits}f}{before[stop:]}"
    return Mutant(part, path, before.count("\n", 0, start) + 1, before, after)


def _counts(mutant: Mutant) -> bool:
    """Whether tests should notice: not a decorator's `frozen`, which keeps us from mistakes, and no Python error."""
    if mutant.before.splitlines()[mutant.line - 1].lstrip().startswith("@"):
        return False
    try:
        return mutant.path.suffix == ".toml" or bool(ast.parse(mutant.after))
    except SyntaxError:
        return False


def _changes_of_code(path: Path) -> Iterator[tuple[tuple[int, int], str, int]]:
    """(line, column), operator and occurrence of every change."""
    nodes = list(ast_nodes(get_ast_from_path(path)))
    for name in operator_names():
        if not FLATTERING.search(name):
            operator = get_operator(name)()
            places = (place for node in nodes for place in operator.mutation_positions(node))
            for occurrence, (start, _) in enumerate(places):
                yield start, name, occurrence


def _changes_of_table(path: Path) -> Iterator[tuple[tuple[int, int], str, int]]:
    """Where a number that is no part of a text begins and ends: its last digit is changed."""
    text = path.read_text()
    for match in NUMBER.finditer(text):
        if text.count('"', text.rfind("\n", 0, match.start()) + 1, match.start()) % 2 == 0:
            yield match.span(), "number", 0


def _tests(mutant: Mutant, executed: coverage.CoverageData, seconds: dict[str, float], limit: float) -> list[str]:
    """Tests that could notice the mutant, the likeliest first; of each group as many as the limit has time for."""
    lines = executed.contexts_by_lineno(str(mutant.path.resolve()))
    of_line = {context.partition("|")[0] for context in lines.get(mutant.line, ())} & seconds.keys()
    of_file = {context.partition("|")[0] for contexts in lines.values() for context in contexts}
    named = re.compile(re.escape(mutant.path.stem).replace("_", "[-_]") + r"\b")
    near = {test for test in seconds if test in of_file or named.search(test)}
    tests: list[str] = []
    for group in [of_line] if of_line and _in_function(mutant) else [near, seconds.keys() - near]:
        total = 0.0
        for test in sorted(group, key=lambda test: (not named.search(test), seconds[test], test)):
            total += seconds[test]
            if total > limit and tests:
                break
            tests.append(test)
    return tests


def _in_function(mutant: Mutant) -> bool:
    """Whether the line runs when a function is called. Others run at import, which is in whichever test comes first."""
    if mutant.path.suffix == ".toml":
        return False
    functions = (node for node in ast.walk(ast.parse(mutant.before)) if isinstance(node, ast.FunctionDef))
    return any(node.body[0].lineno <= mutant.line <= (node.end_lineno or 0) for node in functions)


def _run(tests: list[str], limit: float) -> str:
    status = _in_child(pytest.main, (["-x", "-q", "-p", "no:cacheprovider", *tests],), limit, quiet=True)
    return "timeout" if status is None else "killed" if status else "survived"


def _in_child(
    function: Callable[..., int], arguments: tuple[Any, ...], limit: float | None = None, quiet: bool = False
) -> int | None:
    """Exit status of the function in a child process of its own session; None where it ran out of time."""
    child = multiprocessing.get_context("fork").Process(target=_child, args=(function, arguments, quiet))
    child.start()
    child.join(limit)
    if child.exitcode is None and child.pid is not None:
        os.killpg(child.pid, signal.SIGKILL)
        child.join()
        return None
    return child.exitcode


def _child(function: Callable[..., int], arguments: tuple[Any, ...], quiet: bool) -> None:
    os.setsid()
    if quiet:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    status = int(function(*arguments))
    sys.stdout.flush()
    os._exit(status)  # without waiting for what tests left behind


def _print_results(entries: list[dict[str, Any]]) -> None:
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        outcomes[entry["part"]][entry["outcome"]] += 1
        if entry["outcome"] == "survived":
            print(f"\n{entry['name']}\n({len(entry['met'])} tests)")
    columns = ("killed", "timeout", "survived")
    print(f"\n{'part':<14}" + "".join(f"{column:>10}" for column in columns) + f"{'noticed':>10}")
    for part, counts in {**outcomes, "all": sum(outcomes.values(), Counter())}.items():
        noticed = 1 - counts["survived"] / counts.total()
        print(f"{part:<14}" + "".join(f"{counts[column]:>10}" for column in columns) + f"{noticed:>10.1%}")


if __name__ == "__main__":
    main()
