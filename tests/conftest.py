"""Pictures and networks that several tests share; everything is made here, nothing is downloaded."""

from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from helpers import randomise
from skimage import data

from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.weights import state_dict

hypothesis.settings.register_profile("here", deadline=None)  # no test depends on the load of its machine
hypothesis.settings.load_profile("here")

SLOW_SYSTEMS = {"deblurgan-v2-inception", "dn", "drrn", "msdn", "spsr"}
"""Systems that the quick tier leaves out: deep, recursive, or large even in their small form."""

SLOW_FILES = {
    *("test_deblurgan_v2.py", "test_objectives.py", "test_sr.py", "test_sweep.py", "test_upstream.py"),
    *("test_benchmark.py", "test_figure.py", "test_run.py", "test_training_data.py"),
    *("test_large.py", "test_round_trip.py", "test_start_up.py", "test_video_writer.py"),
    "test_without_torch.py",
}
"""Whole files: every system in turn, whole runs of benchmark and train, every file format, other Python processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        long = parameters.get("name") in SLOW_SYSTEMS or item.path.name in SLOW_FILES
        if long or item.get_closest_marker("fuzz"):  # -m "not slow" replaces -m "not fuzz"
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(128,160,3) uint8: a piece of a real photograph."""
    return np.ascontiguousarray(data.astronaut()[:128, 120:280])


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """Three small photographs in a tree, and junk beside them."""
    root = tmp_path / "in"
    for number, name in enumerate(("a.png", "deeper/b.png", "deeper/ü c.png")):
        write_image(Image(np.roll(photo[:40, :56], number * 7, axis=1)), root / name)
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.png").write_text("no picture either")
    return root


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file for gggan-lite with small random numbers."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    state_dict.save(randomise(registry.build("gggan-lite")).state_dict(), path, {"model": "gggan-lite"}, torch.float16)
    return path
