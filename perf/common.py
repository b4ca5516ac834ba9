"""What the scripts share: measuring in turns, printing a ratio, and remembering it.

A time means little: the machine is another one, or busy. A ratio of two things that ran in turns, within the same minutes,
means more: a busy moment hits both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.runtime.provenance import environment

PAUSE = (
    0.02  # seconds before a side in a process of its own: threads of the last one that wait for more would slow it down
)
HISTORY = Path(__file__).parent / "history.jsonl"
Rounds = dict[str, list[float]]
"""What each side took in every round."""


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Options that every script has; `rounds` is the default."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=rounds, help="how often both sides run (%(default)s)")
    options.add_argument("--history", type=Path, default=HISTORY, help="results are appended here (%(default)s)")
    return options


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turns(rounds: int, sides: Mapping[str, Callable[[], object]], warm_up: bool = True) -> Rounds:
    """Seconds of every side in every round, after a warm-up."""
    for work in sides.values() if warm_up else ():
        work()
    taken: Rounds = {side: [] for side in sides}
    for _ in range(rounds):
        for side, work in sides.items():
            taken[side].append(seconds(work))
    return taken


def in_processes(rounds: int, sides: Mapping[str, Sequence[str]]) -> Rounds:
    """Seconds of every side in every round, each in a process of its own that calls `take_turns`.

    How freed memory is kept is set once for a process, so sides that differ in it cannot share one.

    Args:
        rounds: how often each side runs after its warm-up.
        sides: arguments of Python for each side: a script and what it needs to know.
    """
    processes = {
        side: subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for side, arguments in sides.items()
    }
    taken: Rounds = {side: [] for side in sides}
    for _ in range(rounds):
        for side, process in processes.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            taken[side].append(float(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    return taken


def take_turns(work: Callable[[], object]) -> None:
    """Be one side of `in_processes`: run once to warm up, then once for every line that comes in."""
    work()
    for _ in sys.stdin:
        time.sleep(PAUSE)
        print(seconds(work), flush=True)


def untrained(name: str) -> Model:
    """A system with random weights, none of them zero: layers that start at zero get small numbers."""
    torch.manual_seed(0)
    module = registry.build(name).eval()
    for parameter in module.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=1e-3)
    return Model(module, registry.spec_of(name))


def photo(width: int, height: int) -> NDArray[np.uint8]:
    """(height,width,3) uint8: a photograph in any size."""
    enlarged = cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.uint8)


def record(history: Path, case: str, taken: Rounds, reference: str, measured: str, unit: str = "s") -> float:
    """Print how two sides compare and append it to the history.

    Args:
        history: a file with one line of JSON for each result.
        case: what both sides did.
        taken: what both took, round by round.
        reference: the side that ours is compared with.
        measured: our side.
        unit: of what was taken.

    Returns:
        The median over the rounds of reference / measured: above 1 ours takes less.
    """
    ratio = statistics.median(a / b for a, b in zip(taken[reference], taken[measured], strict=True))
    medians = {side: statistics.median(taken[side]) for side in (reference, measured)}
    shown = ", ".join(f"{side} {value:.3g} {unit}" for side, value in medians.items())
    print(f"{case}: {shown}; ratio {ratio:.2f}", flush=True)
    made_by = environment()
    card = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    line = {
        "date": date.today().isoformat(),
        "script": Path(sys.argv[0]).stem,
        "case": case,
        "ratio": round(ratio, 3),
        "rounds": len(taken[measured]),
        unit: {side: float(f"{value:.3g}") for side, value in medians.items()},
        "machine": f"{made_by.pop('system')}, {made_by.pop('cpu')}, {os.cpu_count()} cores{card}, load {_load():.1f}",
        "versions": made_by,
    }
    with open(history, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return ratio


def _load() -> float:
    """How many processes wanted a core in the last minute; a high one makes a result doubtful."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def arguments_for_side(side: str, options: Iterable[str]) -> list[str]:
    """The running script again, as one side of `in_processes`."""
    return [sys.argv[0], *options, "--side", side]
