"""Processes for work in many small steps of Python, which threads would do one at a time."""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def worker_processes(count: int | None = None) -> ProcessPoolExecutor:
    """An executor of processes that start when the first work comes, and end with it or with this process.

    Args:
        count: how many; as many as cores by default.
    """
    # "spawn": a fork would take along locks that threads of this process hold.
    return ProcessPoolExecutor(count or os.cpu_count(), get_context("spawn"), _begin)


def _begin() -> None:
    """Leave it to the process that asked for the work to end: Ctrl-C reaches all of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process that was killed tells nobody, and its workers would wait for ever."""
    if (parent := parent_process()) is not None:
        parent.join()
    os._exit(1)
