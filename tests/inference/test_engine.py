import numpy as np
import pytest
import torch
from helpers import SMALL, randomise
from torch import Tensor, nn

from restorekit.errors import RestorekitError, UsageError
from restorekit.inference.engine import Engine, Settings
from restorekit.models import registry
from restorekit.models.spec import Spec


def spec(**changes: object) -> Spec:
    facts = {
        "name": "x",
        "task": "deblur",
        "summary": "",
        "paper": "",
        "parameters": 0,
        "macs_per_pixel": 0,
        "size_multiple": 4,
        "receptive_field": 8,
        "tiling": "exact",
        "objective": "gggan",
        "bytes_per_pixel": 100,
    }
    return Spec(**(facts | changes))


def picture(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    values = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
    return values if dtype is np.float32 else (values * np.iinfo(dtype).max).astype(dtype)


class Blur(nn.Module):
    """Local and quick: a mean over 17 pixels."""

    def forward(self, rgb: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(rgb, 17, 1, 8, count_include_pad=False)


def test_too_small_an_overlap_shows_and_is_reported() -> None:
    rgb = picture(64, 200, np.float32)
    whole = Engine(Blur(), spec(), Settings("cpu"))(rgb)
    seamed = Engine(Blur(), spec(), Settings("cpu", tile=32, overlap=4))
    assert np.abs(seamed(rgb) - whole).max() > 1e-3
    assert "less than the network's reach" in seamed.notes.approximation


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_type_of_the_picture_is_kept(dtype: type) -> None:
    rgb = picture(40, 50, dtype)
    same = Engine(nn.Identity(), spec(), Settings("cpu", tile=32))(rgb)
    assert same.dtype == rgb.dtype
    assert np.array_equal(same, rgb)


def test_only_tiles_reach_the_network() -> None:
    seen: list[tuple[int, ...]] = []

    class Watch(nn.Module):
        def forward(self, rgb: Tensor) -> Tensor:
            seen.append(tuple(rgb.shape))
            return rgb

    Engine(Watch(), spec(), Settings("cpu", tile=48, batch=3))(picture(100, 300))
    assert max(shape[2] for shape in seen) <= 48
    assert max(shape[3] for shape in seen) <= 48
    assert max(shape[0] for shape in seen) == 3


def test_out_of_memory_halves_the_tile_and_goes_on() -> None:
    class Small(Blur):
        def forward(self, rgb: Tensor) -> Tensor:
            if rgb[0, 0].numel() > 4000:
                raise torch.OutOfMemoryError("full")
            return super().forward(rgb)

    rgb = picture(120, 130)
    restorer = Engine(Small(), spec(), Settings("cpu"))
    np.testing.assert_array_equal(restorer(rgb), Engine(Blur(), spec(), Settings("cpu"))(rgb))
    assert restorer.notes.halvings > 0
    restorer(rgb)
    assert restorer.notes.halvings == 0  # what worked is remembered


def test_a_device_without_room_for_one_cell_is_an_error() -> None:
    class Full(nn.Module):
        def forward(self, rgb: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("full")

    with pytest.raises(RestorekitError, match="memory of cpu"):
        Engine(Full(), spec(), Settings("cpu"))(picture(64, 64))


def test_a_tile_that_overflows_in_half_precision_is_redone_in_float32() -> None:
    class Overflow(nn.Module):
        def forward(self, rgb: Tensor) -> Tensor:
            return rgb * torch.inf if torch.is_autocast_enabled("cpu") else rgb

    rgb = picture(20, 20)
    restorer = Engine(Overflow(), spec(), Settings("cpu", "bf16"))
    assert np.array_equal(restorer(rgb), rgb)
    assert restorer.notes.redone == 1


def test_half_precision_is_refused_where_it_is_not_safe() -> None:
    with pytest.raises(UsageError, match="half precision"):
        Engine(Blur(), spec(half_precision=False), Settings("cpu", "bf16"))


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_an_absent_device_is_a_usage_error(device: str) -> None:
    with pytest.raises(UsageError, match=device):
        Engine(Blur(), spec(), Settings(device))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", registry.names())
def test_gpu_equals_cpu(name: str) -> None:
    facts, model = registry.spec_of(name), randomise(registry.build(name, **SMALL.get(name, {})))
    rgb = picture(90, 110)
    cpu = Engine(model, facts, Settings("cpu"))(rgb).astype(int)
    assert np.abs(Engine(model, facts, Settings("cuda", "fp32"))(rgb) - cpu).max() <= 1
    assert np.abs(Engine(model, facts, Settings("cuda", "fp16"))(rgb) - cpu).mean() <= 1


def test_statistics_of_the_whole_picture_make_tiles_of_normalising_networks_exact() -> None:
    sizes = {"channels": 6, "blocks": 1}
    _, facts = registry.configure("deblurgan", **sizes)

    def network() -> nn.Module:
        torch.manual_seed(3)
        return randomise(registry.build("deblurgan", **sizes), std=0.3)

    # Left half flat, right half busy: every tile's own statistics are far from those of the picture.
    rgb = picture(61, 300, np.float32)
    rgb[:, :150] = rgb[:, :150] * 0.1 + 0.4
    whole = Engine(network(), facts, Settings("cpu"))
    expected = whole(rgb)
    assert whole.notes.tiles == 1
    assert not whole.notes.approximation

    def tiled(statistics: str) -> Engine:
        return Engine(network(), facts, Settings("cpu", tile=128, statistics=statistics))

    fast, exact = tiled("fast"), tiled("exact")
    fast_error, exact_error = np.abs(fast(rgb) - expected).max(), np.abs(exact(rgb) - expected).max()
    assert fast.notes.passes == 1
    assert "gathered in one pass" in fast.notes.approximation
    assert exact.notes.tiles > 2
    assert exact_error < 1e-4 < fast_error
    np.testing.assert_array_equal(exact(rgb), exact(rgb))  # nothing is left over from the picture before


def test_a_network_with_a_large_reach_sees_pictures_whole_where_they_fit() -> None:
    facts = spec(tiling="approximate", receptive_field=1000, overlap=16)
    restorer = Engine(Blur(), facts, Settings("cpu"))
    restorer(picture(300, 400))
    assert restorer.notes.tiles == 1
    tiled = Engine(Blur(), facts, Settings("cpu", tile=100))
    tiled(picture(300, 400))
    assert tiled.notes.overlap == 16
    assert "16 px around them" in tiled.notes.approximation


class Triple(nn.Module):
    """Enlarges by 3 and looks 8 pixels around."""

    def forward(self, rgb: Tensor) -> Tensor:
        return nn.functional.interpolate(Blur()(rgb), scale_factor=3, mode="nearest")


@pytest.mark.parametrize("overlap", [8, 4])
def test_tiles_of_enlarging_networks_join(overlap: int) -> None:
    facts = spec(task="sr", scale=3)
    rgb = picture(70, 110, np.float32)
    whole = Engine(Triple(), facts, Settings("cpu"))(rgb)
    tiled = Engine(Triple(), facts, Settings("cpu", tile=40, overlap=overlap))(rgb)
    assert tiled.shape == whole.shape == (210, 330, 3)
    np.testing.assert_allclose(tiled, whole, atol=1e-6 if overlap == 8 else 0.1)
