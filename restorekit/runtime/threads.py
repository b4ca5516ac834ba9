"""Share PyTorch's threads among jobs that are computed at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def shared_threads(at_once: int) -> Iterator[None]:
    """Let each thread that begins meanwhile have its share of the threads that PyTorch has in this one, rounded up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(-(-threads // at_once))  # of this thread, and of those that begin later
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def all_threads(at_once: int) -> Iterator[None]:
    """Let one of the jobs at once use what all of them share."""
    share = torch.get_num_threads()
    torch.set_num_threads(share * at_once)
    try:
        yield
    finally:
        torch.set_num_threads(share)
