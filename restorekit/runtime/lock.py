"""Let one run at a time work in a folder: two with different settings would call each other's results their own."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from restorekit.errors import UnwritableOutput
from restorekit.runtime.atomic import remove_leftovers, write_atomically
from restorekit.runtime.regular import read_regular

HIDDEN = ".restorekit"
"""Folder below the one for results for what a run keeps; no run takes what is in it for images."""


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder. The system ends this with the process, however that ends.

    Args:
        folder: where results go; it is made.

    Raises:
        UnwritableOutput: another run works there, which is told; or nothing can be written.
    """
    lock, holder = FileLock(folder / HIDDEN / "lock"), folder / HIDDEN / "lock-holder"
    try:
        (folder / HIDDEN).mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UnwritableOutput(
            f"Another run works here ({_told_by(holder)}).",
            "Wait until it has ended, or choose another folder.",
            folder,
        ) from None
    except OSError as error:
        raise UnwritableOutput(
            f"Nothing can be written here ({error.strerror or error}).", "Choose another place.", folder
        ) from error
    try:
        remove_leftovers(folder / HIDDEN)
        write_atomically(holder, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        with suppress(OSError):  # the disk may have become read-only
            holder.unlink(missing_ok=True)
        lock.release()


def _told_by(holder: Path) -> str:
    try:
        return read_regular(holder, 1000).decode(errors="replace")
    except OSError:  # it has only just begun
        return "which one is not known yet"
