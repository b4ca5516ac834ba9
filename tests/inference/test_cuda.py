"""The path of pixels through a GPU. On a machine without one, streams are none and a recording repeats its operations."""

import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers import randomise
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from restorekit.errors import RestorekitError
from restorekit.imaging.dtypes import from_unit
from restorekit.inference.backends import NotFinite, cuda
from restorekit.inference.backends import torch as torch_backend
from restorekit.inference.backends.cuda import CudaBackend, StaysOnDevice, to_pixels
from restorekit.inference.backends.torch import TorchBackend, prepared
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.models.spec import Spec

slow = partial(pytest.param, marks=pytest.mark.slow)
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])

LOCAL = replace(registry.spec_of("gggan-lite"), receptive_field=0, size_multiple=1)


class Stream:
    """Does everything at once."""

    def __init__(self, device: object = None, blocking: bool = False) -> None:
        self.synchronize = self.wait_event = lambda *_: None

    def record_event(self, event: object = None) -> "Stream":
        return self


class Operations(TorchDispatchMode):
    """Notes operations, to repeat them on the same tensors, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operator(*args, **(kwargs or {}))
        self.noted.append((operator, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for operator, args, kwargs, result in self.noted:
            again = operator(*args, **kwargs)
            for before, after in zip(
                *(x if isinstance(x, (tuple, list)) else [x] for x in (result, again)), strict=True
            ):
                if isinstance(before, Tensor) and before.data_ptr() != after.data_ptr():
                    before.copy_(after)


@contextmanager
def noting(graph: Operations, *_: object) -> Iterator[None]:
    """Record, and leave nothing computed: a graph runs when it is replayed, not before."""
    with graph:
        yield
    for operator, _, _, result in graph.noted:
        if operator is torch.ops.aten.empty.memory_format:
            result.fill_(0)


@pytest.fixture(params=["cpu", GPU])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The GPU, or a CPU that is treated as one."""
    if request.param == "cpu":
        for name, stand_in in (
            ("Stream", Stream),
            ("Event", Stream),
            ("stream", lambda _: nullcontext()),
            ("CUDAGraph", Operations),
            ("graph", noting),
            ("graph_pool_handle", lambda: None),
        ):
            monkeypatch.setattr(torch.cuda, name, stand_in)
        cuda.lanes_of.cache_clear()
    return torch.device(request.param)


class Sharpen(nn.Module):
    """Two convolutions that correct the image."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(8, 3, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        return (rgb + self.body(rgb)).clamp(0, 1)


def small() -> nn.Module:
    torch.manual_seed(0)
    return Sharpen()


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    return from_unit(np.random.default_rng(seed).random(shape, np.float32), dtype)


def backends(
    module: nn.Module, device: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[CudaBackend, TorchBackend]:
    """One on the GPU, and the reference in float32."""
    cpu = torch.device("cpu")
    return CudaBackend(prepared(module, device), device, dtype), TorchBackend(prepared(module, cpu), cpu, torch.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pixels_are_those_of_a_cpu_whatever_their_type(dtype: Any, device: torch.device) -> None:
    ours, reference = backends(small(), device)
    tiles = noise(2, 40, 52, 3, dtype=dtype)
    expected = reference(tiles, None, ())
    np.testing.assert_allclose(ours(tiles, None, ()), expected, rtol=0, atol=1e-4)
    restored = ours(tiles, None, (), dtype)
    assert restored.dtype == dtype
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    assert np.abs(restored / top - expected).max() <= 1e-4 + 0.5 / top


def test_numbers_become_pixels_as_they_do_on_a_cpu(device: torch.device) -> None:
    values = np.linspace(-0.2, 1.2, 3 * 4 * 500, dtype=np.float32).reshape(1, 3, 4, 500)
    for dtype, kind in ((np.uint8, torch.uint8), (np.uint16, torch.uint16), (np.float32, torch.float32)):
        pixels, finite = to_pixels(torch.from_numpy(values).to(device), kind)
        assert finite
        assert pixels.is_contiguous()
        np.testing.assert_array_equal(pixels.cpu().numpy(), from_unit(values.transpose(0, 2, 3, 1), dtype))


def test_a_batch_gives_what_its_tiles_give_alone(device: torch.device) -> None:
    ours, _ = backends(small(), device)
    tiles = noise(3, 32, 48, 3, dtype=np.float32)
    alone = np.concatenate([ours(tile[None], None, ()) for tile in tiles])
    np.testing.assert_allclose(ours(tiles, None, ()), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_recorded_pass_gives_what_launching_gives(dtype: torch.dtype, device: torch.device) -> None:
    recording, _ = backends(small(), device, dtype)
    launching, _ = backends(small(), device, dtype)
    launching.recordable = False
    for number in range(5):
        tiles = noise(1, 48, 32, 3, seed=number)
        np.testing.assert_array_equal(recording(tiles, None, (), np.uint8), launching(tiles, None, (), np.uint8))
    assert recording.recordable
    assert [recorded is not None for recorded in recording.recordings.values()] == [True]
    assert not launching.recordings


def test_only_shapes_that_come_again_are_recorded_and_old_ones_are_forgotten(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "MOST_RECORDINGS", 2)
    ours, _ = backends(nn.Identity(), device)
    for width in (5, 6, 6, 7, 8, 8, 6):
        ours(noise(1, 4, width, 3), None, ())
    shapes = [(shape[0][2], recording is not None) for shape, recording in ours.recordings.items()]
    assert shapes == [(8, True), (6, False)]


def test_a_pass_that_cannot_be_recorded_is_launched(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", fail)
    ours, reference = backends(small(), device)
    tiles = noise(1, 20, 20, 3)
    for _ in range(4):
        np.testing.assert_allclose(ours(tiles, None, ()), reference(tiles, None, ()), rtol=0, atol=1e-4)
    assert ours.recordable is False


def test_a_recording_that_fails_later_is_given_up(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, reference = backends(small(), device)
    tiles = noise(1, 20, 20, 3)
    for _ in range(3):
        ours(tiles, None, ())
    assert ours.recordings[(1, 20, 20, 3), torch.uint8, np.dtype(np.float32)] is not None

    def fail(*_: object) -> None:
        raise RuntimeError("invalid argument")

    monkeypatch.setattr(cuda.Recording, "replay", fail)
    np.testing.assert_allclose(ours(tiles, None, ()), reference(tiles, None, ()), rtol=0, atol=1e-4)
    assert not ours.recordings


@pytest.mark.parametrize("failing", range(3))
def test_memory_that_cannot_be_pinned_ends_no_run(
    failing: int, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, asked = torch.empty, 0

    def allocate(*shape: Any, pin_memory: bool = False, **options: Any) -> Tensor:
        nonlocal asked
        asked += pin_memory
        if pin_memory and asked == 1 + failing:  # for tiles, pixels, and whether they are finite
            raise RuntimeError("CUDA error: invalid argument")
        return empty(*shape, pin_memory=pin_memory and device.type == "cuda", **options)

    ours, reference = backends(small(), device)
    monkeypatch.setattr(torch, "empty", allocate)
    tiles = noise(1, 20, 20, 3)
    np.testing.assert_allclose(ours(tiles, None, ()), reference(tiles, None, ()), rtol=0, atol=1e-4)
    assert asked == 3


def test_while_a_pass_is_recorded_nobody_takes_memory_or_copies(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = backends(small(), device)
    lanes, tiles, waiting = cuda.lanes_of(device), noise(1, 20, 20, 3), []
    graph = torch.cuda.graph

    @contextmanager
    def recording(*arguments: Any) -> Iterator[None]:
        with graph(*arguments):
            yield
            waiting.append(lanes.copying.locked())

    monkeypatch.setattr(torch.cuda, "graph", recording)
    for _ in range(3):
        ours(tiles, None, ())
    assert waiting == [True]
    with ThreadPoolExecutor(1) as pool:
        with lanes.copying:
            copied = pool.submit(lanes.upload, tiles)
            with pytest.raises(TimeoutError):
                copied.result(0.02)
        np.testing.assert_array_equal(copied.result()[0].cpu().numpy(), tiles)


@pytest.mark.parametrize(
    ("where", "use", "stays"),
    [
        ("meta", lambda x: (2 * x + 0.5).clamp_(0, 1), True),
        ("meta", lambda x: x + torch.ones(2).to(x.device), False),  # comes from main memory
        ("cpu", lambda x: x * x.mean().item(), False),  # a value decides
        ("cpu", lambda x: x[x > 0.5], False),  # even of the shape
    ],
)
def test_what_can_be_recorded_is_told_from_its_operations(where: str, use: Any, stays: bool) -> None:
    with torch.inference_mode(), StaysOnDevice(torch.device(where)) as watch:
        use(torch.ones(2, device=where))
    assert watch.stays is stays


def test_threads_take_turns_and_each_gets_its_own_pixels(device: torch.device) -> None:
    ours, reference = backends(small(), device)
    tiles = [noise(1, 24, 24 + 8 * (number % 3), 3, seed=number) for number in range(12)]
    together = threading.Barrier(6)

    def restore(number: int) -> np.ndarray:
        if number < 6:
            together.wait()
        return ours(tiles[number % 12], None, ())

    with ThreadPoolExecutor(6) as pool:
        for number, restored in enumerate(pool.map(restore, range(36))):
            np.testing.assert_allclose(restored, reference(tiles[number % 12], None, ()), rtol=0, atol=1e-4)


class Overflow(nn.Module):
    """Overflows in half precision, and in float32 as well where the image is bright."""

    def forward(self, rgb: Tensor) -> Tensor:
        return torch.where(rgb.amin() > 0.9, rgb * torch.inf, rgb)


def test_a_result_that_is_not_finite_is_told_also_when_it_is_recorded(device: torch.device) -> None:
    ours, _ = backends(Overflow(), device)
    bright, dark = np.full((1, 8, 8, 3), 255, np.uint8), noise(1, 8, 8, 3)
    for _ in range(4):
        np.testing.assert_array_equal(ours(dark, None, (), np.uint8), dark)
        with pytest.raises(NotFinite):
            ours(bright, None, (), np.uint8)


def test_a_gpu_that_is_full_makes_the_tiles_smaller(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(nn.Module):
        def forward(self, rgb: Tensor) -> Tensor:
            if rgb[0, 0].numel() > 3000:
                raise torch.OutOfMemoryError("full")
            return rgb

    restored = on_gpu(Small(), LOCAL, device, monkeypatch)(noise(120, 130, 3))
    np.testing.assert_array_equal(restored.pixels, noise(120, 130, 3))
    assert restored.info.halvings > 0


def on_gpu(
    module: nn.Module, spec: Spec, device: torch.device, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> Engine:
    """An engine that takes the path of a GPU."""
    if device.type == "cpu":
        monkeypatch.setattr(torch_backend, "TorchBackend", CudaBackend)
    return Engine(Model(module, spec), Settings(str(device), "fp32", **settings))


def normalising() -> Model:
    """A small network that normalises by the image's statistics."""
    torch.manual_seed(3)
    sizes = {"channels": 6, "blocks": 1}
    return Model(randomise(registry.build("deblurgan", **sizes), std=0.3), registry.configure("deblurgan", **sizes)[1])


@pytest.mark.parametrize("tile", [None, 128])
@pytest.mark.parametrize("kind", ["local", "blended", slow("enlarging"), slow("normalising")])
def test_an_engine_gives_what_it_gives_on_a_cpu(
    kind: str, tile: int | None, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {
        "local": lambda: Model(small(), LOCAL),
        "blended": lambda: Model(small(), replace(LOCAL, tiling="approximate", receptive_field=500, overlap=8)),
        "enlarging": lambda: Model(registry.build("bicubic"), registry.spec_of("bicubic")),
        "normalising": normalising,
    }[kind]()
    image = noise(61, 300, 3, dtype=np.float32)
    expected = Engine(model, Settings("cpu", "fp32", tile))(image)
    with monkeypatch.context() as patched:
        ours = on_gpu(model.module, model.spec, device, patched, tile=tile, batch=2)
    for _ in range(3):
        restored = ours(image)
        assert replace(restored.info, tiles=expected.info.tiles) == expected.info
        np.testing.assert_allclose(restored.pixels, expected.pixels, rtol=0, atol=1e-4)


def test_an_engine_travels_without_what_it_recorded(device: torch.device) -> None:
    ours, _ = backends(small(), device)
    tiles = noise(1, 16, 16, 3)
    restored = [ours(tiles, None, ()) for _ in range(3)]
    again = pickle.loads(pickle.dumps(ours))
    assert again.recordings == {}
    np.testing.assert_array_equal(again(tiles, None, ()), restored[0])


def test_a_result_that_is_never_finite_is_an_error_of_the_image(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RestorekitError, match="not finite"):
        on_gpu(Overflow(), LOCAL, device, monkeypatch)(np.full((9, 9, 3), 255, np.uint8))
