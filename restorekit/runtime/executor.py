"""Run jobs so that reading, computing and writing of different ones overlap.

    read (thread) -> at most 2 waiting -> compute (here) -> at most 2 waiting -> write (thread)

At most seven items are alive, whatever the number of jobs; more where several are read, computed or written side by side.
The calling thread computes, unless several jobs are to be computed at once, and hands out results, in the order of the jobs.
A worker and its jobs and results are values that pickle, so that another executor may run them elsewhere.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
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
        """Bring a job's input into memory; in a thread of its own, in order unless there are several helpers."""
        ...

    def compute(self, job: Job_contra, item: Item) -> Computed:
        """Do the work; jobs overlap if `Executor.run` is asked for several at once."""
        ...

    def write(self, job: Job_contra, computed: Computed) -> Result_co:
        """Store what was computed; in a thread of its own, in order unless there are several helpers."""
        ...

    def failed(self, job: Job_contra, error: Exception) -> Result_co:
        """The result of a job of which a stage raised; raises `error` again to end the run."""
        ...


class Executor(Protocol):
    """Whoever runs jobs: this process, several devices, a cluster."""

    def run(
        self, jobs: Iterable[Job], worker: Worker[Job, Item, Computed, Result], at_once: int = 1, helpers: int = 1
    ) -> Iterator[Result]:
        """One result for every job, in order. Closing the iterator early drops what has not begun.

        Args:
            jobs: taken up one by one.
            worker: does them.
            at_once: how many may be computed side by side.
            helpers: how many may be read side by side, and as many written.
        """
        ...


class LocalExecutor:
    """Runs jobs in this process, on one device."""

    def run(
        self, jobs: Iterable[Job], worker: Worker[Job, Item, Computed, Result], at_once: int = 1, helpers: int = 1
    ) -> Generator[Result, None, None]:
        """One result for every job, in order; see the module and `Executor`."""
        reader, writer = (ThreadPoolExecutor(helpers, stage) for stage in ("read", "write"))
        ahead = max(AHEAD, helpers)
        computer = _Here() if at_once == 1 else ThreadPoolExecutor(at_once, "compute")
        reading: deque[tuple[Job, Future[Item]]] = deque()
        computing: deque[tuple[Job, Future[Computed]]] = deque()
        writing: deque[tuple[Job, Future[Result] | Exception]] = deque()
        most_computing = 0 if at_once == 1 else at_once  # one more than run: no thread waits for its next job

        def begin_computing() -> None:
            job, item = reading.popleft()
            computing.append((job, computer.submit(lambda: worker.compute(job, item.result()))))

        def write_computed(most: int) -> None:
            while len(computing) > most:
                job, computed = computing.popleft()
                try:
                    writing.append((job, writer.submit(worker.write, job, computed.result())))
                except Exception as error:
                    writing.append((job, error))

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

        try:
            for job in jobs:
                reading.append((job, reader.submit(worker.read, job)))
                if len(reading) > ahead:
                    begin_computing()
                    write_computed(most_computing)
                    yield from finished(ahead)
            while reading:
                begin_computing()
                write_computed(most_computing)
                yield from finished(ahead)
            write_computed(0)
            yield from finished(0)
        except KeyboardInterrupt:  # a worker was asked to stop: what is stored is told nevertheless
            yield from finished(0)
            raise
        finally:
            reader.shutdown(cancel_futures=True)
            computer.shutdown(cancel_futures=True)
            writer.shutdown()  # what is on its way to the disk gets there, also when the user stops the run


class _Here:
    """Takes jobs as a pool of threads does, and does them at once in the calling thread."""

    def submit(self, work: Callable[[], Computed]) -> "Future[Computed]":
        """Do it."""
        done: Future[Computed] = Future()
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        return done

    def shutdown(self, cancel_futures: bool) -> None:
        """There is nothing to end."""
