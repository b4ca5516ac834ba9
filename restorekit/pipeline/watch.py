"""Watch a folder: first what is there, then what arrives, each file once it is whole."""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from restorekit.errors import UsageError
from restorekit.media.discover import Job, real_path
from restorekit.runtime.provenance import file_stamp

SETTLED = 2.0  # seconds for which neither a file's size nor its time changes before it counts as whole
LOOK = 200  # milliseconds between two looks at files that do not count yet


def check_watchable(inputs: list[Path], written: list[Path], name: str, dry_run: bool, preview: int) -> None:
    """Check that a run can watch its input.

    Args:
        inputs: those of the run.
        written: folders that it writes to.
        name, dry_run, preview: see `restore_folder` and `split_target`.

    Raises:
        UsageError: it is not one folder, or its results are not a folder's, or could become inputs.
    """
    if len(inputs) != 1 or not inputs[0].is_dir():
        raise UsageError("One folder can be watched, and nothing else.", "Name one folder.")
    if name or dry_run or preview:
        raise UsageError(
            "What arrives in a watched folder goes to a folder.", "Leave out previews, `dry_run` and names."
        )
    watched = real_path(inputs[0])
    if any(folder == watched or folder in watched.parents for folder in map(real_path, written)):
        raise UsageError(
            "What is written around a watched folder could become an input.", "A folder inside or beside it will do."
        )
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise UsageError("Folders are watched by watchfiles.", "Run `pip install restorekit[watch]`.") from None


class Plan(Protocol):
    """Lists the jobs of a folder."""

    def __call__(self, *, only: Iterable[str] | None = None) -> list[Job]:
        """All of them, or those of files and folders that are named by their paths below it."""
        ...


def watch_folder(folder: Path, plan: Plan, stop: threading.Event) -> Iterator[list[Job]]:
    """What is to be restored: at first all that is there and whole, then whatever has arrived, or changed, and become whole.

    Args:
        folder: with everything below.
        plan: lists its jobs.
        stop: ends it.
    """
    from watchfiles import watch

    root = real_path(folder)
    # It begins before the first list, so that nothing is missed. The default filter would leave out some inputs' names.
    changes = watch(root, watch_filter=None, stop_event=stop, rust_timeout=LOOK, yield_on_timeout=True)
    next(changes, None)
    arriving = _Arriving()
    jobs = plan()
    young = {job for job in jobs if _age(job.source) < SETTLED}
    arriving.add(young)
    yield [job for job in jobs if job not in young]
    for changed in changes:
        if changed:
            arriving.add(plan(only={Path(name).relative_to(root).as_posix() for _, name in changed}))
        if whole := arriving.take_whole():
            yield whole


class _Arriving:
    """Files that may still be written."""

    def __init__(self) -> None:
        self._seen: dict[Job, tuple[dict[str, int], float]] = {}  # its stamp, and since when it has it

    def add(self, jobs: Iterable[Job]) -> None:
        """Wait for these."""
        for job in jobs:
            self._seen.setdefault(job, ({}, time.monotonic()))

    def take_whole(self) -> list[Job]:
        """Those that have not changed for a while; what has gone again is dropped."""
        whole, now = [], time.monotonic()
        for job, (stamp, since) in list(self._seen.items()):
            try:
                current = file_stamp(job.source)
            except OSError:
                del self._seen[job]
                continue
            if current != stamp:
                self._seen[job] = current, now
            elif now - since >= SETTLED:
                del self._seen[job]
                whole.append(job)
        return whole


def _age(path: Path) -> float:
    """Seconds since a file was changed; what cannot be looked at is left to whoever reads it."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return SETTLED
