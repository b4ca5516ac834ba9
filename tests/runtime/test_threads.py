"""PyTorch's threads are shared by jobs at once and belong to their owner again afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from restorekit.runtime.threads import all_threads, shared_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def seen_in_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_new_threads_have_their_share_until_the_end() -> None:
    with shared_threads(2):
        assert seen_in_a_new_thread() == 2  # half of three, rounded up
    assert torch.get_num_threads() == seen_in_a_new_thread() == 3


def test_one_job_may_use_all_of_them() -> None:
    with shared_threads(3):
        assert torch.get_num_threads() == 1
        with all_threads(3):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1


def test_an_error_gives_them_back() -> None:
    with pytest.raises(ZeroDivisionError), shared_threads(3):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3
