import pickle
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from restorekit.runtime.executor import AHEAD, LocalExecutor


@dataclass
class Doubling:
    """Doubles numbers; what is listed fails in that stage."""

    bad: dict[int, str] = field(default_factory=dict)
    alive: int = 0
    most_alive: int = 0
    threads: dict[str, str] = field(default_factory=dict)

    def _stage(self, name: str, job: int) -> None:
        self.threads[name] = threading.current_thread().name
        if self.bad.get(job) == name:
            raise ValueError(f"{name} {job}")

    def read(self, job: int) -> int:
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        self._stage("read", job)
        return job

    def compute(self, job: int, item: int) -> int:
        self._stage("compute", job)
        return 2 * item

    def write(self, job: int, computed: int) -> str:
        self._stage("write", job)
        self.alive -= 1
        return f"{job} -> {computed}"

    def failed(self, job: int, error: Exception) -> str:
        if isinstance(error, ZeroDivisionError):
            raise error
        self.alive -= 1
        return f"{job}: {error}"


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_results_come_in_order_and_an_error_stays_with_its_job(stage: str) -> None:
    results = list(LocalExecutor().run(range(9), Doubling({3: stage, 4: stage, 8: stage})))
    assert results == [f"{job}: {stage} {job}" if job in (3, 4, 8) else f"{job} -> {2 * job}" for job in range(9)]


def test_no_job_gives_no_result() -> None:
    assert list(LocalExecutor().run([], Doubling())) == []


def test_stages_run_side_by_side_and_computing_stays_with_the_caller() -> None:
    worker = Doubling()
    list(LocalExecutor().run(range(3), worker))
    assert worker.threads["compute"] == threading.current_thread().name
    assert len({name.split("_")[0] for name in worker.threads.values()}) == 3


def test_few_items_are_alive_whatever_the_number_of_jobs() -> None:
    worker = Doubling()
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for job in range(200):
            taken += 1
            yield job

    for finished, _ in enumerate(LocalExecutor().run(jobs(), worker), start=1):
        assert taken - finished <= 2 * AHEAD + 3
    assert worker.most_alive <= 2 * AHEAD + 3


def test_reading_goes_on_while_another_item_is_computed() -> None:
    @dataclass
    class Meeting(Doubling):
        met: threading.Event = field(default_factory=threading.Event)

        def read(self, job: int) -> int:
            if job == 1:
                self.met.set()
            return job

        def compute(self, job: int, item: int) -> int:
            assert self.met.wait(5)  # the next item is read although this one is not finished
            return item

    assert len(list(LocalExecutor().run(range(2), Meeting()))) == 2


def test_stopping_early_lets_what_is_on_its_way_to_the_disk_arrive() -> None:
    worker = Doubling()
    run = LocalExecutor().run(range(100), worker)
    assert next(run) == "0 -> 0"
    run.close()
    written = 100 - worker.alive  # every thread has ended: nothing changes any more
    assert worker.alive <= AHEAD + 2
    assert written > 0


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_worker_that_is_asked_to_stop_ends_the_run_and_what_is_stored_is_told(at_once: int) -> None:
    class Stopped(Doubling):
        def compute(self, job: int, item: int) -> int:
            if job == 2:
                raise KeyboardInterrupt
            return 2 * item

    run, told = LocalExecutor().run(range(9), Stopped(), at_once), list[str]()
    with pytest.raises(KeyboardInterrupt):
        told.extend(run)
    assert told == ["0 -> 0", "1 -> 2"]


def test_a_worker_may_end_the_run() -> None:
    class Strict(Doubling):
        def compute(self, job: int, item: int) -> int:
            return 1 // item

    with pytest.raises(ZeroDivisionError):
        list(LocalExecutor().run(range(3), Strict()))


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_jobs_at_once_are_computed_side_by_side_and_read_and_written_in_order(stage: str) -> None:
    @dataclass
    class Pairs(Doubling):
        together: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=5))
        order: list[str] = field(default_factory=list)

        def read(self, job: int) -> int:
            self.order.append(f"read {job}")
            return super().read(job)

        def compute(self, job: int, item: int) -> int:
            self.together.wait()  # for another job
            return super().compute(job, item)

        def write(self, job: int, computed: int) -> str:
            self.order.append(f"write {job}")
            return super().write(job, computed)

    worker = Pairs({5: stage} if stage != "read" else {})
    results = list(LocalExecutor().run(range(8), worker, at_once=2))
    assert results == [f"5: {stage} 5" if job in worker.bad else f"{job} -> {2 * job}" for job in range(8)]
    for kind in ("read", "write"):
        jobs = [int(step.split()[1]) for step in worker.order if step.startswith(kind)]
        assert jobs == sorted(jobs)


@pytest.mark.parametrize("stage", ["read", "write"])
def test_helpers_read_and_write_side_by_side_and_results_stay_in_order(stage: str) -> None:
    @dataclass
    class Meeting(Doubling):
        together: threading.Barrier = field(default_factory=lambda: threading.Barrier(3, timeout=5))

        def _stage(self, name: str, job: int) -> None:
            if name == stage:
                self.together.wait()  # for two others
            super()._stage(name, job)

    worker = Meeting({4: stage})
    results = list(LocalExecutor().run(range(9), worker, at_once=2, helpers=3))
    assert results == [f"4: {stage} 4" if job == 4 else f"{job} -> {2 * job}" for job in range(9)]


def test_few_items_are_alive_when_jobs_run_at_once() -> None:
    worker = Doubling()
    assert len(list(LocalExecutor().run(range(200), worker, at_once=2))) == 200
    assert worker.most_alive <= 2 * AHEAD + 6


def test_nothing_is_computed_any_more_once_a_run_was_closed() -> None:
    @dataclass
    class Slow(Doubling):
        at_work: int = 0

        def compute(self, job: int, item: int) -> int:
            self.at_work += 1
            time.sleep(0.05)
            self.at_work -= 1
            return item

    worker = Slow()
    run = LocalExecutor().run(range(20), worker, at_once=2)
    next(run)
    run.close()
    assert worker.at_work == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("compute")]


def test_an_executor_is_a_value() -> None:
    assert list(pickle.loads(pickle.dumps(LocalExecutor())).run([2], Doubling())) == ["2 -> 4"]
