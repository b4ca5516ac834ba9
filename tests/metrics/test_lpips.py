from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from skimage import data

from restorekit.errors import UsageError, WeightsError
from restorekit.metrics.lpips import load_network, lpips
from restorekit.metrics.lpips_network import LAYERS, NAMES, LPIPSNetwork


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

    sharp = np.ascontiguousarray(data.chelsea()[:128, :160])
    distances = [lpips(GaussianBlur(sharp, (0, 0), sigma), sharp, weights=folder) for sigma in (0.7, 1.5, 4)]
    assert lpips(sharp, sharp, weights=folder) == 0
    assert 0 < distances[0] < distances[1] < distances[2]
    deep = sharp.astype(np.uint16) * 257
    assert lpips(deep, deep, weights=folder) == 0


def alexnet_distance(restored: np.ndarray, sharp: np.ndarray, folder: Path) -> float:
    """LPIPS 0.1 written down again: torchvision's AlexNet layer by layer, and the lpips package's constants."""
    w = load_file(folder / "a.safetensors") | load_file(folder / "b.safetensors")
    mean, deviation = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(image: np.ndarray) -> list[torch.Tensor]:
        x = torch.from_numpy(image.astype(np.float32) / 127.5 - 1)
        x = ((x - mean) / deviation).permute(2, 0, 1)[None]
        maps = []
        x = F.relu(F.conv2d(x, w["features.0.weight"], w["features.0.bias"], stride=4, padding=2))
        maps.append(x)
        x = F.max_pool2d(x, kernel_size=3, stride=2)
        x = F.relu(F.conv2d(x, w["features.3.weight"], w["features.3.bias"], padding=2))
        maps.append(x)
        x = F.max_pool2d(x, kernel_size=3, stride=2)
        for number in (6, 8, 10):
            x = F.relu(F.conv2d(x, w[f"features.{number}.weight"], w[f"features.{number}.bias"], padding=1))
            maps.append(x)
        return [x / x.norm(dim=1, keepdim=True) for x in maps]

    pairs = enumerate(zip(features(restored), features(sharp), strict=True))
    return float(sum(((a - b) ** 2 * w[f"alex.lin{index}.weight"]).sum(1).mean() for index, (a, b) in pairs))


def test_the_distance_is_that_of_alexnet_with_its_heads(folder: Path) -> None:
    sharp = np.ascontiguousarray(data.chelsea()[:96, :112])
    restored = np.roll(sharp, 2, axis=1)
    assert lpips(restored, sharp, weights=folder) == pytest.approx(alexnet_distance(restored, sharp, folder), rel=1e-5)


def test_grey_is_repeated_and_the_smallest_image_is_measured(folder: Path) -> None:
    sharp = np.ascontiguousarray(data.chelsea()[:31, :31, :1])
    restored = np.roll(sharp, 1, axis=0)
    expected = alexnet_distance(*(np.repeat(image, 3, axis=2) for image in (restored, sharp)), folder)
    assert lpips(restored, sharp, weights=folder) == pytest.approx(expected, rel=1e-5)
    assert lpips(restored[..., 0], sharp[..., 0], weights=folder) == pytest.approx(expected, rel=1e-5)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"features.0.weight and 14 more"):
        load_network(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        load_network(tmp_path)


def test_heads_of_another_network_are_refused(folder: Path) -> None:
    save_file({f"alex.lin{index}.weight": torch.zeros(1, 512, 1, 1) for index in range(5)}, folder / "b.safetensors")
    with pytest.raises(WeightsError, match="no weights of LPIPS"):
        LPIPSNetwork.from_folder(folder)


def test_images_smaller_than_alexnet_sees_are_refused(folder: Path) -> None:
    small = np.zeros((30, 64, 3), np.uint8)
    with pytest.raises(UsageError, match="31 px on a side, not 64x30"):
        lpips(small, small, weights=folder)
