from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data

from restorekit.errors import WeightsError
from restorekit.metrics.lpips import LAYERS, LPIPS, NAMES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Random weights of AlexNet's shapes, features and heads in files of their own."""
    torch.manual_seed(0)
    features, heads = {}, {}
    for index, (name, (inputs, maps, kernel, *_)) in enumerate(zip(NAMES, LAYERS, strict=True)):
        features[f"{name}.weight"] = torch.randn(maps, inputs, kernel, kernel) * 0.05
        features[f"{name}.bias"] = torch.randn(maps) * 0.1
        heads[f"alex.lin{index}.weight"] = torch.rand(1, maps, 1, 1)
    save_file(features, tmp_path / "a.safetensors")
    save_file(heads, tmp_path / "b.safetensors")
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "c-vgg.safetensors")
    return tmp_path


def test_identical_is_zero_and_more_blur_is_farther(folder: Path) -> None:
    from cv2 import GaussianBlur

    metric, sharp = LPIPS(folder), data.chelsea()[:128, :160]
    found = [metric.measure(GaussianBlur(sharp, (0, 0), sigma), sharp) for sigma in (0.7, 1.5, 4)]
    assert metric.measure(sharp, sharp) == 0
    assert 0 < found[0] < found[1] < found[2]
    assert metric.measure(sharp.astype(np.uint16) * 257, sharp.astype(np.uint16) * 257) == 0


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"features.0.weight and 14 more"):
        LPIPS(tmp_path)
