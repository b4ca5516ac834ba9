"""Pictures and networks that several tests share; everything is made here, nothing is downloaded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from restorekit.media import images
from restorekit.media.picture import Picture
from restorekit.models import registry
from restorekit.weights import files


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(128,160,3) uint8: a piece of a real photograph."""
    return np.ascontiguousarray(data.astronaut()[:128, 120:280])


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """Three small photographs in a tree, and junk beside them."""
    root = tmp_path / "in"
    for number, name in enumerate(("a.png", "deeper/b.png", "deeper/ü c.png")):
        images.write(Picture(np.roll(photo[:40, :56], number * 7, axis=1)), root / name)
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.png").write_text("no picture either")
    return root


def randomise(model: nn.Module, std: float = 0.05) -> nn.Module:
    """Fill every zero-initialised layer too: seams and differences only show in networks that do something."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            nn.init.normal_(parameter, std=std)
    return model.eval()


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file for gggan-lite with small random numbers."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    files.save(randomise(registry.build("gggan-lite")).state_dict(), path, {"model": "gggan-lite"}, torch.float16)
    return path
