import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import SMALL, randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from restorekit.errors import RestorekitError, UsageError
from restorekit.inference import engine as engine_module
from restorekit.inference.engine import Engine, TilingInfo
from restorekit.inference.settings import Settings
from restorekit.media.rows import ArrayReader
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.models.spec import Spec

FACTS = {
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


def engine(module: nn.Module, settings: Settings = Settings("cpu"), **facts: object) -> Engine:
    return Engine(Model(module, Spec(**(FACTS | facts))), settings)


def noise_image(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    values = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
    return values if dtype is np.float32 else (values * np.iinfo(dtype).max).astype(dtype)


class Blur(nn.Module):
    """Local and quick: a mean over 17 pixels."""

    def forward(self, rgb: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(rgb, 17, 1, 8, count_include_pad=False)


class Triple(nn.Module):
    """Enlarges by 3 and looks 8 pixels around."""

    def forward(self, rgb: Tensor) -> Tensor:
        return nn.functional.interpolate(Blur()(rgb), scale_factor=3, mode="nearest")


class Full(nn.Module):
    """A device that no batch fits into."""

    def forward(self, rgb: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("full")


class Overflow(nn.Module):
    """Overflows in half precision, and in float32 as well where the image is bright."""

    def forward(self, rgb: Tensor) -> Tensor:
        return rgb * torch.inf if torch.is_autocast_enabled("cpu") or rgb.min() > 0.9 else rgb


def test_too_small_an_overlap_shows_and_is_reported() -> None:
    rgb = noise_image(64, 200, np.float32)
    whole = engine(Blur())(rgb)
    seamed = engine(Blur(), Settings("cpu", tile=32, overlap=4))(rgb)
    assert np.abs(seamed.pixels - whole.pixels).max() > 1e-3
    assert "less than the receptive field" in seamed.info.approximation


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_type_of_the_image_is_kept(dtype: type) -> None:
    rgb = noise_image(40, 50, dtype)
    same = engine(nn.Identity(), Settings("cpu", tile=32))(rgb).pixels
    assert same.dtype == rgb.dtype
    assert np.array_equal(same, rgb)


def test_only_tiles_reach_the_network() -> None:
    seen: list[tuple[int, ...]] = []

    class Watch(nn.Module):
        def forward(self, rgb: Tensor) -> Tensor:
            seen.append(tuple(rgb.shape))
            return rgb

    engine(Watch(), Settings("cpu", tile=48, batch=3))(noise_image(100, 300))
    assert max(shape[2] for shape in seen) <= 48
    assert max(shape[3] for shape in seen) <= 48
    assert max(shape[0] for shape in seen) == 3


def test_out_of_memory_halves_the_tile_and_the_next_image_begins_there() -> None:
    class Small(Blur):
        def forward(self, rgb: Tensor) -> Tensor:
            if rgb[0, 0].numel() > 4000:
                raise torch.OutOfMemoryError("full")
            return super().forward(rgb)

    rgb = noise_image(120, 130)
    small = engine(Small())
    first = small(rgb)
    np.testing.assert_array_equal(first.pixels, engine(Blur())(rgb).pixels)
    assert first.info.halvings > 0
    assert small(rgb, first.limits).info.halvings == 0
    assert small(rgb).info.halvings == first.info.halvings  # nothing is remembered on the engine itself


def test_a_device_without_room_for_one_cell_is_an_error() -> None:
    with pytest.raises(RestorekitError, match="memory of cpu"):
        engine(Full())(noise_image(64, 64))


def test_a_tile_that_overflows_in_half_precision_is_redone_in_float32() -> None:
    rgb = noise_image(20, 20)
    restored = engine(Overflow(), Settings("cpu", "bf16"))(rgb)
    assert np.array_equal(restored.pixels, rgb)
    assert restored.info.redone == 1


def test_a_result_that_is_not_finite_is_an_error_and_no_image() -> None:
    with pytest.raises(RestorekitError, match="not finite"):
        engine(Overflow())(np.full((20, 20, 3), 255, np.uint8))


def test_half_precision_is_refused_where_it_is_not_safe() -> None:
    with pytest.raises(UsageError, match="half precision"):
        engine(Blur(), Settings("cpu", "bf16"), half_precision=False)


@pytest.mark.parametrize("device", ["cuda:99", "abacus", "meta"])
def test_an_absent_device_is_a_usage_error(device: str) -> None:
    with pytest.raises(UsageError, match=device):
        engine(Blur(), Settings(device))


@pytest.mark.parametrize("values", [{"tile": 0}, {"overlap": -1}, {"batch": 0}])
def test_impossible_settings_are_usage_errors_that_name_the_argument(values: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(values))} cannot be"):
        Settings("cpu", **values)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.ones((4, 4, 3))],
)
def test_what_is_no_rgb_image_is_a_usage_error(pixels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="An image is"):
        engine(Blur())(pixels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", registry.names())
def test_gpu_equals_cpu(name: str) -> None:
    model = Model(randomise(registry.build(name, **SMALL.get(name, {}))), registry.spec_of(name))
    rgb = noise_image(90, 110)
    cpu = Engine(model, Settings("cpu"))(rgb).pixels.astype(int)
    assert np.abs(Engine(model, Settings("cuda", "fp32"))(rgb).pixels - cpu).max() <= 1
    assert np.abs(Engine(model, Settings("cuda", "fp16"))(rgb).pixels - cpu).mean() <= 1


def normalising(std: float = 0.3) -> Model:
    """A small network that normalises by the image's statistics."""
    sizes = {"channels": 6, "blocks": 1}
    torch.manual_seed(3)
    return Model(randomise(registry.build("deblurgan", **sizes), std=std), registry.configure("deblurgan", **sizes)[1])


def half_flat(width: int = 300) -> np.ndarray:
    """Left half flat, right half busy: every tile's own statistics are far from those of the image."""
    rgb = noise_image(61, width, np.float32)
    rgb[:, : width // 2] = rgb[:, : width // 2] * 0.1 + 0.4
    return rgb


@pytest.mark.slow
def test_statistics_of_the_whole_image_make_tiles_of_normalising_networks_exact() -> None:
    rgb = half_flat()
    whole = Engine(normalising(), Settings("cpu"))(rgb)
    assert whole.info.tiles == 1
    assert not whole.info.approximation
    fast, exact = (
        Engine(normalising(), Settings("cpu", tile=128, statistics=statistics))(rgb) for statistics in ("fast", "exact")
    )
    fast_error, exact_error = (np.abs(tiled.pixels - whole.pixels).max() for tiled in (fast, exact))
    assert fast.info.passes == 1
    assert "gathered in one pass" in fast.info.approximation
    assert exact.info.tiles > 2
    assert exact.info.passes > 1
    assert not exact.info.approximation
    assert exact_error < 1e-4 < fast_error


SYSTEMS = {
    "exact": lambda: engine(Blur(), Settings("cpu", tile=40)),
    "approximate": lambda: engine(
        Blur(), Settings("cpu", tile=60), tiling="approximate", receptive_field=1000, overlap=8
    ),
    "normalising": lambda: Engine(normalising(), Settings("cpu", tile=128)),
}


@pytest.mark.parametrize("kind", SYSTEMS)
def test_any_number_of_threads_share_an_engine_and_get_the_pixels_that_each_gets_alone(kind: str) -> None:
    shared = SYSTEMS[kind]()
    images = [np.roll(half_flat() ** (1 + number / 3), 37 * number, axis=1) for number in range(4)]
    alone = [shared(rgb).pixels for rgb in images]
    together = threading.Barrier(4)

    def restore(number: int) -> np.ndarray:
        together.wait()
        return shared(images[number % 4]).pixels

    with ThreadPoolExecutor(4) as pool:
        for number, pixels in enumerate(pool.map(restore, range(12))):
            np.testing.assert_array_equal(pixels, alone[number % 4])


def test_a_context_belongs_to_its_call_and_not_to_the_network() -> None:
    shared = Engine(normalising(), Settings("cpu", tile=128))
    reader = ArrayReader(half_flat())
    plan = shared.plan(reader.height, reader.width)
    context = shared.observe(reader, plan)
    before = [band.pixels for band in shared.bands(reader, plan, context)]
    shared(1 - half_flat(400))
    after = [band.pixels for band in shared.bands(reader, plan, context)]
    np.testing.assert_array_equal(np.concatenate(after), np.concatenate(before))


def test_an_engine_leaves_its_model_as_it_was() -> None:
    model = Model(registry.build("dn", channels=4, growth=2, dropout=0.0), registry.spec_of("dn"))
    names = list(model.module.state_dict())
    Engine(model, Settings("cpu"))
    assert list(model.module.state_dict()) == names
    assert all(parameter.requires_grad for parameter in model.module.parameters())


@pytest.mark.parametrize("kind", SYSTEMS)
def test_an_engine_that_was_sent_to_another_process_gives_the_same_pixels(kind: str) -> None:
    here = SYSTEMS[kind]()
    there = pickle.loads(pickle.dumps(here))
    np.testing.assert_array_equal(there(half_flat()).pixels, here(half_flat()).pixels)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_bands_are_the_image_from_top_to_bottom_and_read_only_what_they_need(kind: str) -> None:
    class Counting(ArrayReader):
        most = 0

        def rows(self, start: int, stop: int) -> np.ndarray:
            Counting.most = max(Counting.most, stop - start)
            return super().rows(start, stop)

    restorer = SYSTEMS[kind]()
    rgb = np.tile(half_flat(150), (6, 1, 1))[:310]
    reader = Counting(rgb)
    plan = restorer.plan(*rgb.shape[:2])
    bands = list(restorer.bands(reader, plan, restorer.observe(reader, plan)))
    assert len(bands) > 2
    assert [band.top for band in bands] == [sum(len(above.pixels) for above in bands[:at]) for at in range(len(bands))]
    np.testing.assert_array_equal(np.concatenate([band.pixels for band in bands]), restorer(rgb).pixels)
    assert Counting.most == plan.tile[0] < rgb.shape[0]


@settings(max_examples=30)
@given(height=st.integers(1, 90), width=st.integers(1, 90), tile=st.integers(1, 50), scale=st.sampled_from([1, 3]))
def test_tiles_of_any_size_are_invisible(height: int, width: int, tile: int, scale: int) -> None:
    module = Triple() if scale == 3 else Blur()
    rgb = noise_image(height, width, np.float32)
    tiled = engine(module, Settings("cpu", tile=tile), scale=scale)(rgb).pixels
    np.testing.assert_allclose(tiled, engine(module, scale=scale)(rgb).pixels, atol=1e-6)


def test_a_network_with_a_large_receptive_field_sees_images_whole_where_they_fit() -> None:
    facts = {"tiling": "approximate", "receptive_field": 1000, "overlap": 16}
    assert engine(Blur(), **facts)(noise_image(300, 400)).info.tiles == 1
    tiled = engine(Blur(), Settings("cpu", tile=100), **facts)(noise_image(300, 400))
    assert tiled.info.overlap == 16
    assert "16 px around them" in tiled.info.approximation


def test_what_decides_pixels_does_not_depend_on_memory_that_happens_to_be_free(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"tiling": "approximate", "receptive_field": 1000, "overlap": 16}
    before = engine(Blur(), **facts)
    ballast = np.ones(200_000_000, np.uint8)  # touched, so that it is taken from what is free
    after = engine(Blur(), **facts)
    assert ballast.all()
    assert before.limits == after.limits
    assert before.plan(3000, 4000) == after.plan(3000, 4000)
    assert before.identity() == after.identity()
    monkeypatch.setattr(engine_module, "total_memory", lambda: 1 << 30)  # another machine
    assert engine(Blur(), **facts).identity() != before.identity()
    assert engine(Blur()).identity() == engine(Blur(), Settings("cpu", tile=64)).identity()  # exact tiles do not count


@pytest.mark.parametrize("overlap", [8, 4])
def test_tiles_of_enlarging_networks_join(overlap: int) -> None:
    rgb = noise_image(70, 110, np.float32)
    whole = engine(Triple(), task="sr", scale=3)(rgb).pixels
    tiled = engine(Triple(), Settings("cpu", tile=40, overlap=overlap), task="sr", scale=3)(rgb).pixels
    assert tiled.shape == whole.shape == (210, 330, 3)
    np.testing.assert_allclose(tiled, whole, atol=1e-6 if overlap == 8 else 0.1)


def test_infos_of_two_passes_add_up() -> None:
    first = TilingInfo((100, 200), 4, 8, 0.25, redone=1, halvings=1, passes=2, approximation="tiles see too little")
    second = TilingInfo((300, 100), 9, 5, 0.5, redone=2)
    total = TilingInfo((300, 100), 13, 8, 0.5, redone=3, halvings=1, passes=2, approximation="tiles see too little")
    assert first + second == total
    assert second + first == replace(total)
