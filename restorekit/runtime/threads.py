"""Share PyTorch's threads among jobs that are computed at once. A single job takes all as it is, with or without PyTorch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext


def shared_threads(at_once: int) -> AbstractContextManager[None]:
    """Let each thread that begins meanwhile have its share of the threads that PyTorch has in this one, rounded up."""
    if at_once == 1:
        return nullcontext()
    import torch

    return _threads(-(-torch.get_num_threads() // at_once))


def all_threads(at_once: int) -> AbstractContextManager[None]:
    """Let one of the jobs at once use what all of them share."""
    if at_once == 1:
        return nullcontext()
    import torch

    return _threads(torch.get_num_threads() * at_once)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """PyTorch's number of threads, of this thread and of those that begin later, until the end."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
