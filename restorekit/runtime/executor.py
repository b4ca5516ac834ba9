"""Run jobs so that reading, computing and writing of different ones overlap.

    read (thread) -> at most 2 waiting -> compute (here) -> at most 2 waiting -> write (thread)

At most seven items are alive, whatever the number of jobs. Only the calling thread computes and hands out results, in the
order of the jobs. A worker and its jobs and results are values that pickle, so that another executor may run them elsewhere.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

Job = TypeVar("Job")
Job_contra = TypeVar("Job_contra", contravariant=True)
Item = TypeVar("Item")
Computed = TypeVar("Computed")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

AHEAD = 2  # items read before their turn, and items computed but not yet written


class Worker(Protocol[Job_contra, Item, Computed, Result_co]):
    """The three stages of one job."""

    def read(self, job: Job_contra) -> Item:
        """Bring a job's input into memory; in a thread of its own."""
        ...

    def compute(self, job: Job_contra, item: Item) -> Computed:
        """Do the work; never two jobs at once."""
        ...

    def write(self, job: Job_contra, computed: Computed) -> Result_co:
        """Store what was computed; in a thread of its own."""
        ...

    def failed(self, job: Job_contra, error: Exception) -> Result_co:
        """The result of a job of which a stage raised; raises `error` again to end the run."""
        ...


class Executor(Protocol):
    """Whoever runs jobs: this process, several devices, a cluster."""

    def run(self, jobs: Iterable[Job], worker: Worker[Job, Item, Computed, Result]) -> Iterator[Result]:
        """One result for every job, in order. Closing the iterator early drops what has not begun."""
        ...


class LocalExecutor:
    """Runs jobs in this process, on one device."""

    def run(self, jobs: Iterable[Job], worker: Worker[Job, Item, Computed, Result]) -> Iterator[Result]:
        """One result for every job, in order; see the module."""
        reader, writer = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
        reading: deque[tuple[Job, Future[Item]]] = deque()
        writing: deque[tuple[Job, Future[Result] | Exception]] = deque()

        def finished(most: int) -> Iterator[Result]:
            while len(writing) > most:
                job, written = writing.popleft()
                try:
                    if isinstance(written, Exception):
                        raise written
                    result = written.result()
                except Exception as error:
                    result = worker.failed(job, error)
                yield result

        def computed(job: Job, item: Future[Item]) -> "Future[Result] | Exception":
            try:
                return writer.submit(worker.write, job, worker.compute(job, item.result()))
            except Exception as error:
                return error

        try:
            for job in jobs:
                reading.append((job, reader.submit(worker.read, job)))
                if len(reading) > AHEAD:
                    first, item = reading.popleft()
                    writing.append((first, computed(first, item)))
                    yield from finished(AHEAD)
            while reading:
                first, item = reading.popleft()
                writing.append((first, computed(first, item)))
                yield from finished(AHEAD)
            yield from finished(0)
        finally:
            reader.shutdown(cancel_futures=True)
            writer.shutdown()  # what is on its way to the disk gets there, also when the user stops the run
