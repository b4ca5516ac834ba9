"""Batches come from worker processes as they would from this one, whatever signals those get."""

import multiprocessing
import os
import signal
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit.degradation.random_blur import RandomBlur
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training.loading import load_batches, numbers_of_batches
from restorekit.training.samples import Samples, find_training_pairs


@pytest.mark.slow
def test_workers_heed_neither_ctrl_c_nor_sigterm(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(Image(photo), tmp_path / "1.png")
    samples = Samples(find_training_pairs(tmp_path), 32, RandomBlur(), seed=0)
    known = multiprocessing.active_children()
    with closing(load_batches(samples, numbers_of_batches(0, 12, 1), torch.device("cpu"), workers=1)) as batches:
        next(batches)  # the worker is up
        (worker,) = (process for process in multiprocessing.active_children() if process not in known)
        assert worker.pid is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.pid, number)
        assert len(list(batches)) == 11
