"""Run hostile cases in child processes with limits on time and memory.

A module of cases, e.g. `fuzz.weights`, has three functions: `prepare(folder)` does what every case needs, `make(chance,
folder)` writes the files of one case, decided by the random generator, and says what kind it is, and `check(folder)` does
with them what a user does, raises if a promise is broken, and says whether something was refused. `LIMITS` is what a case
may take.
"""

import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

GB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What a case may take."""

    seconds: float = 3.0
    """Of the processor, for `check` and the processes that it starts."""
    megabytes: float = 200.0
    """More than the process had before, or all that one of its children has."""
    hang: float = 300.0
    """Seconds after which the process is killed, whatever it does."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    seed: int
    kind: str
    seconds: float = 0.0
    megabytes: float = 0.0
    refused: bool = False
    fault: str = ""
    """Empty if every promise was kept."""


def run_cases(module: str, seeds: Iterable[int], keep: Path | None = None) -> Iterator[Outcome]:
    """Run cases, many in one process; one that dies or hangs costs its process, and the next case gets another.

    Args:
        module: of the cases, e.g. "weights".
        seeds: of the cases.
        keep: folder that the files of failed cases are moved to.
    """
    waiting = list(seeds)
    limits = import_module(f"fuzz.{module}").LIMITS
    context = multiprocessing.get_context("spawn")
    while waiting:
        ours, theirs = context.Pipe()
        with tempfile.TemporaryDirectory() as scratch:
            process = context.Process(target=_work, args=(module, waiting, Path(scratch), limits, theirs))
            process.start()
            theirs.close()
            try:
                for outcome in _outcomes(ours, waiting, limits):
                    waiting.remove(outcome.seed)
                    if outcome.fault and keep is not None:
                        (keep / f"{module}-{outcome.seed}.txt").write_text(f"{outcome.kind}\n{outcome.fault}\n")
                        files = Path(scratch) / str(outcome.seed)
                        shutil.copytree(files, keep / f"{module}-{outcome.seed}", symlinks=True, dirs_exist_ok=True)
                    yield outcome
            finally:
                process.kill()
                process.join()


def _outcomes(connection: Connection, waiting: list[int], limits: Limits) -> Iterator[Outcome]:
    """What a process reports, until it ends, dies or hangs."""
    begun = None
    try:
        while connection.poll(limits.hang):
            report = connection.recv()
            if isinstance(report, Outcome):
                begun = None
                yield report
            else:
                begun = report
    except EOFError:
        if begun is not None:
            yield Outcome(*begun, fault="the process died")
        elif waiting:
            raise RuntimeError("no case could be begun") from None
        return
    if begun is None:
        raise RuntimeError("a case could not be made")
    yield Outcome(*begun, limits.hang, fault="the process hung")


def _work(module: str, seeds: list[int], scratch: Path, limits: Limits, connection: Connection) -> None:
    cases = import_module(f"fuzz.{module}")
    cases.prepare(scratch / "sound")
    taken = int(_status("VmSize") * 1024)
    resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * GB, -1))  # a bomb must not take the machine with it
    for seed in seeds:
        folder = scratch / str(seed)
        folder.mkdir()
        kind = cases.make(random.Random(seed), folder)
        connection.send((seed, kind))
        fault, refused = "", False
        Path("/proc/self/clear_refs").write_text("5")  # the peak of the memory begins anew
        before, largest, begun = _status("VmRSS"), _largest_child(), _processor_time()
        try:
            refused = cases.check(folder)
        except BaseException:
            fault = traceback.format_exc()
        child = _largest_child() if _largest_child() > largest else 0
        seconds, megabytes = _processor_time() - begun, max(_status("VmHWM") - before, child) / 1024
        if not fault and (seconds > limits.seconds or megabytes > limits.megabytes):
            fault = f"{seconds:.1f} s and {megabytes:.0f} MB are too much"
        connection.send(Outcome(seed, kind, seconds, megabytes, refused, fault))
        if not fault:
            shutil.rmtree(folder)
    connection.close()


def _processor_time() -> float:
    """Seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _largest_child() -> int:
    """Resident at most, in kB, of the children that have ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def _status(field: str) -> int:
    """Of this process, in kB, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
