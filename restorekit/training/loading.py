"""Batches on their way from the samples to the device. Any number of workers prepare the same ones."""

import signal
from collections.abc import Generator, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from restorekit.errors import RestorekitError
from restorekit.runtime.progress import SILENT, Event, Progress
from restorekit.training import processes
from restorekit.training.samples import Batch, Samples, to_unit_batch

PREFETCHED = 4  # batches that each worker has ready


def load_batches(
    samples: Samples,
    numbers: Iterator[list[int]],
    device: torch.device,
    workers: int,
    progress: Progress = SILENT,
) -> Generator[tuple[Tensor, Tensor]]:
    """(degraded, sharp) on the device, float32 in 0..1, in the channels-last format.

    Close it, or its workers go on waiting: they do not heed SIGTERM.

    Args:
        samples: what to take.
        numbers: of the samples in each batch.
        device: where the batches go.
        workers: processes that prepare them.
        progress: told of images that cannot be read.

    Raises:
        UsageError: see `Samples`.
    """
    loader = DataLoader(
        samples,
        batch_sampler=numbers,
        collate_fn=_as_they_are,
        num_workers=workers,
        worker_init_fn=_ignore_signals,
        pin_memory=device.type == "cuda",
        prefetch_factor=PREFETCHED if workers else None,
    )
    for item in cast(Iterator[Batch | RestorekitError], loader):
        if isinstance(item, RestorekitError):
            raise item
        for error in item.unreadable:
            progress.step(Event(str(error.path), 0, 0.0, "failed", error))
        degraded, sharp = (pixels.to(device, non_blocking=True) for pixels in (item.degraded, item.sharp))
        yield to_unit_batch(degraded), to_unit_batch(sharp)


def numbers_of_batches(first: int, end: int, batch: int) -> Iterator[list[int]]:
    """Numbers of the samples in this process's shares of the batches `first` to `end`, which is not among them."""
    share = batch // processes.count()
    for start in range(first * batch, end * batch, batch):
        begin = start + processes.rank() * share
        yield list(range(begin, begin + share))


def _as_they_are(item: Any) -> Any:
    """Samples come as a batch already."""
    return item


def _ignore_signals(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach every process of a group, but a run that stops needs its workers to the end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
