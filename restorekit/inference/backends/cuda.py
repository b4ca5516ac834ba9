"""Run a network with PyTorch on an NVIDIA GPU that never waits for pixels.

    pinned memory -> (stream of uploads) -> the network, in turns -> (stream of downloads) -> pinned memory

Pixels cross the bus in the image's own type; the GPU turns them into numbers and back. Threads that restore images side by
side keep all three streams busy. What a network launches on tiles of one shape is recorded when that shape comes again (a
CUDA graph): replaying it costs the processor a few microseconds, launching hundreds of kernels anew as many milliseconds.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from restorekit.inference.backends import NotFinite
from restorekit.inference.backends.torch import TOPS, TorchBackend, fitting, to_batch
from restorekit.inference.context import Context, Sums
from restorekit.inference.tiling import Place
from restorekit.models.image_norm import MomentSource

RECORDED_PIXELS = 1 << 22  # of a batch: what is larger keeps a GPU busy for longer than its launches take
MOST_RECORDINGS = 16  # of a network: the shapes of the tiles of one size of image, and some more


class OnDevice(NamedTuple):
    """What a network gave, on its way back."""

    pixels: Tensor
    """(N,sh,sw,3) of a pixel type."""
    finite: Tensor
    """Whether all of it was."""


class Lanes:
    """The streams of one GPU, which all networks on it share: they compute in turns, whoever calls.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.turn = threading.Lock()
        """Of whoever launches work on `computing`."""
        self.uploads, self.computing, self.downloads = (
            torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            for _ in range(3)
        )
        self.copying = threading.Lock()
        """Of whoever takes pinned memory, launches copies, or records: recording empties PyTorch's caches of memory, and
        while it lasts CUDA refuses much of what finding memory needs."""
        self.recorded = torch.cuda.graph_pool_handle()
        """Memory that all recordings work in: no two of them run at once."""

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Main memory that a GPU copies from and to by itself; PyTorch keeps what is freed for the next one."""
        with self.copying:
            try:
                return torch.empty(shape, dtype=dtype, pin_memory=True)
            except RuntimeError:  # systems limit how much of it there is; copies to other memory are slower
                return torch.empty(shape, dtype=dtype)

    def upload(self, tiles: NDArray[Any]) -> tuple[Tensor, torch.cuda.Event]:
        """Send tiles to the GPU; they have arrived when the event has happened."""
        pinned = self.pinned(tiles.shape, torch.from_numpy(tiles).dtype)
        pinned.numpy()[:] = tiles
        with self.copying, torch.cuda.stream(self.uploads):
            return pinned.to(self.device, non_blocking=True), self.uploads.record_event()

    def download(self, result: OnDevice, computed: torch.cuda.Event) -> tuple[NDArray[Any], bool]:
        """Fetch pixels, and whether they are finite. Other threads go on meanwhile."""
        pixels, finite = pinned = [self.pinned(there.shape, there.dtype) for there in result]
        with self.copying, torch.cuda.stream(self.downloads):
            self.downloads.wait_event(computed)
            for here, there in zip(pinned, result, strict=True):
                here.copy_(there, non_blocking=True)
            sleeping = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # others use the core
            arrived = self.downloads.record_event(sleeping)
        arrived.synchronize()
        return pixels.numpy(), bool(finite)


@cache
def lanes_of(device: torch.device) -> Lanes:
    """The streams of a GPU."""
    return Lanes(device)


class Recording:
    """A pass through a network that is launched as a whole.

    Args:
        run: the pass.
        sent: tiles of the shape and type that it is for.
        lanes: of their GPU.
    """

    def __init__(self, run: Callable[[Tensor], OnDevice], sent: Tensor, lanes: Lanes) -> None:
        self.sent = sent.clone()
        self.graph = torch.cuda.CUDAGraph()
        with lanes.copying, torch.cuda.graph(self.graph, lanes.recorded, lanes.computing, "thread_local"):
            self.result = run(self.sent)

    def replay(self, sent: Tensor) -> OnDevice:
        """What the pass gives for other tiles."""
        self.sent.copy_(sent)
        self.graph.replay()
        return OnDevice(*(tensor.clone() for tensor in self.result))  # the next replay overwrites it


class StaysOnDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches whether a pass can be recorded: it needs nothing from main memory, and no value decides what comes next."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.stays = True

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        """Do one operation of the pass."""
        result = operator(*arguments, **(options or {}))
        tensors = (leaf for leaf in tree_leaves((arguments, options, result)) if isinstance(leaf, Tensor))
        decides = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(operator.tags)
        self.stays &= not decides and all(tensor.device.type == self.device.type for tensor in tensors)
        return result


class CudaBackend(TorchBackend):
    """A network in one type on one GPU; see `TorchBackend`. What it keeps of earlier calls changes no pixel."""

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(network, device, dtype)
        self.recordable: bool | None = None
        """Not known before the first pass."""
        self.recordings: dict[object, Recording | None] = {}
        """By shape, those used last at the end; None if it came once. Changed in turns only."""

    def __reduce__(self) -> tuple[type, tuple[nn.Module, torch.device, torch.dtype]]:
        return type(self), (self.network, self.device, self.dtype)

    def __call__(
        self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """Restore a batch of tiles; see `Backend`."""
        lanes = lanes_of(self.device)
        run = partial(self._pass, context, at, torch.from_numpy(np.empty(0, dtype)).dtype)
        with fitting():
            sent, arrived = lanes.upload(tiles)
        with self._running(self._known(context)):
            lanes.computing.wait_event(arrived)
            alike = context is None and sent[..., 0].numel() <= RECORDED_PIXELS
            result = self._repeated(run, sent, (sent.shape, sent.dtype, np.dtype(dtype))) if alike else run(sent)
            computed = lanes.computing.record_event()
        pixels, finite = lanes.download(result, computed)
        if not finite:
            raise NotFinite
        return pixels

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """What a tile adds to the statistics of its image; see `Backend`. In main memory: who adds up knows no streams."""
        sums = super().measure(tiles, context, at)
        with torch.cuda.stream(lanes_of(self.device).computing):
            return {name: replace(s, total=s.total.cpu(), squares=s.squares.cpu()) for name, s in sums.items()}

    def _pass(self, context: Context | None, at: Sequence[Place], dtype: torch.dtype, sent: Tensor) -> OnDevice:
        """From pixels to pixels."""
        return to_pixels(self._restore(to_batch(sent), context, at), dtype)

    def _repeated(self, run: Callable[[Tensor], OnDevice], sent: Tensor, shape: object) -> OnDevice:
        """Run a pass that depends on nothing but its tiles, and record it when it comes again."""
        if self.recordable is None:
            with StaysOnDevice(self.device) as watch:
                result = run(sent)
            self.recordable = watch.stays
            return result
        if not self.recordable:
            return run(sent)
        again, recording = shape in self.recordings, self.recordings.pop(shape, None)
        try:
            if again and recording is None:
                recording = Recording(run, sent, lanes_of(self.device))
            replayed = None if recording is None else recording.replay(sent)
        except RuntimeError:  # no memory for it, or CUDA cannot record an operation
            self.recordable = False
            self.recordings.clear()
            return run(sent)
        self.recordings[shape] = recording
        if len(self.recordings) > MOST_RECORDINGS:
            del self.recordings[next(iter(self.recordings))]
        return run(sent) if replayed is None else replayed

    @contextmanager
    def _running(self, source: MomentSource | None) -> Iterator[None]:
        lanes, cudnn = lanes_of(self.device), torch.backends.cudnn
        # As results should not depend on what else the process does: float32 as on a CPU, and no kernels chosen by timing.
        flags = cudnn.flags(enabled=cudnn.enabled, allow_tf32=False)
        with lanes.turn, torch.cuda.stream(lanes.computing), flags, super()._running(source):
            yield


def to_pixels(restored: Tensor, dtype: torch.dtype) -> OnDevice:
    """(N,3,sh,sw) in float32 as pixels (N,sh,sw,3), where they are: what `from_unit` does."""
    values, top = restored.permute(0, 2, 3, 1), TOPS[dtype]
    scaled = values.clamp(0, 1) if dtype == torch.float32 else (values * top).add_(0.5).clamp_(0, top)
    pixels = torch.empty(scaled.shape, dtype=dtype, device=scaled.device).copy_(scaled)  # cuts off
    return OnDevice(pixels, restored.isfinite().all())
