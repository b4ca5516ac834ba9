"""Share PyTorch's threads among jobs that are computed at once."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch


def shared_threads(at_once: int) -> AbstractContextManager[None]:
    """Let each thread that begins meanwhile have its share of the threads that PyTorch has in this one, rounded up."""
    return _threads(-(-torch.get_num_threads() // at_once))


def all_threads(at_once: int) -> AbstractContextManager[None]:
    """Let one of the jobs at once use what all of them share."""
    return _threads(torch.get_num_threads() * at_once)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """PyTorch's number of threads, of this thread and of those that begin later, until the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
