"""Several processes of one run, as torchrun starts them. All of this does nothing where there is one.

A batch is shared out among the processes, and the means of their gradients are those of the whole batch. That is what
DistributedDataParallel does too. Its wrapper is not used, because it follows calls of `forward` alone: objectives call
other methods of a network, a penalty differentiates twice, and a step may be several passes.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

LONGEST_WAIT = timedelta(hours=12)
"""The others wait while the first process validates."""


@contextmanager
def torchrun_group() -> Iterator[None]:
    """Join the processes that torchrun started beside this one, if it did."""
    if not dist.is_torchelastic_launched():
        yield
        return
    dist.init_process_group(timeout=LONGEST_WAIT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """How many processes share the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; process 0 alone writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def local_device(device: str) -> str:
    """The GPU of this process where every process of a machine should take its own: for "auto" and "cuda"."""
    if count() > 1 and device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{dist.get_node_local_rank(fallback_rank=0)}"
    return device


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their means over all processes; the same tensors must come in the same order everywhere."""
    tensors = list(tensors)
    if count() > 1 and tensors:
        flat = torch.cat([tensor.flatten() for tensor in tensors]) / count()
        dist.all_reduce(flat)
        means = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))


def follow_first(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by those of process 0."""
    if count() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def any_of(*flags: bool) -> list[bool]:
    """Which flags are set in at least one process."""
    if count() == 1:
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.int)
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised]
