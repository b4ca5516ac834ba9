"""What a GPU computes in a second, what each measure of the engine buys there, and what reading and writing cost beside it.

One run on a machine that is at hand for minutes. Its three parts begin in turn while there is time left (--seconds):

passes: the bare network on a batch that is ready on the device, a tenth of a second of passes in a row, then waited for; the
    faster of two rounds counts. eager is PyTorch's default layout under autocast; channels-last is what the engine
    launches; half has its weights in half precision, without autocast; tuned lets cuDNN time its kernels; recorded is
    replayed as a CUDA graph; compiled is torch.compile of channels-last (of systems named by --compile). Megapixels are
    those of the input; the share of the peak is 2 x multiply-accumulates of all convolutions a second, of 990 TFLOP/s (H100
    and H200, dense bfloat16).
measures: (of quick systems) the engine on arrays that are ready in main memory, as many at once as it likes, with
    everything, then without one measure after the other.
end to end: `restore_folder` on PNG and JPEG files and on a clip, beside the passes that the network alone takes on ready
    tensors (launched one after the other, and replayed), and beside reading and writing the same files without a network.

Frames have 1280x720 for deblurring and 320x180 for super-resolution by 4. A ratio reference / ours of 0.95 means 1.05 times
the reference's time. What a machine lacks (av, imagecodecs) is skipped with a word.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from common import Rounds, in_turns, parser, photo, record, seconds
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.imaging.dtypes import from_unit
from restorekit.inference.backends import cuda
from restorekit.inference.backends.torch import TorchBackend, prepared
from restorekit.inference.engine import Engine
from restorekit.inference.folding import folded
from restorekit.inference.settings import Settings
from restorekit.models.model import Model
from restorekit.runtime.executor import LocalExecutor
from restorekit.runtime.precision import NAMES
from restorekit.weights.load import load_model

PEAK = 990e12  # FLOP/s
SLOW = 1_000_000  # multiply-accumulates a pixel: such a network waits for nobody
SPELL = 0.1  # seconds that passes take in a row, about
MOST_PASSES = 20  # in a row
SIZES = {"deblur": (1280, 720), "sr": (320, 180)}
Pass = Callable[[Tensor], Tensor]


def moving_camera(count: int, width: int, height: int) -> list[NDArray[np.uint8]]:
    """(height,width,3) views of a photograph, no two of them equal."""
    scene = photo(width + 2 * count, height + count)
    return [np.ascontiguousarray(scene[i : i + height, 2 * i : 2 * i + width]) for i in range(count)]


def wait(device: torch.device) -> None:
    """Until all that was launched is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def several(run: Pass, batch: Tensor, count: int, device: torch.device) -> None:
    """Passes in a row, until they are done."""
    for _ in range(count):
        run(batch)
    wait(device)


def recorded(run: Pass, batch: Tensor, pool: Any = None) -> Pass:
    """A CUDA graph of a pass on one batch; the network alone is replayed. Graphs of one pool work in the same memory."""
    run(batch)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool):
        result = run(batch)

    def replay(_: Tensor) -> Tensor:
        graph.replay()
        return result

    return replay


def ways_to_pass(model: Model, device: torch.device, dtype: torch.dtype, compiled: bool) -> dict[str, Pass]:
    """How to launch a network."""
    plain, ours = folded(model.module).requires_grad_(False).to(device), prepared(model.module, device)
    half = deepcopy(ours).to(dtype)

    def under_autocast(network: nn.Module, batch: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, dtype):
            return network(batch)  # type: ignore[no-any-return]

    def in_half(batch: Tensor) -> Tensor:
        with torch.inference_mode():
            return half(batch.to(dtype))  # type: ignore[no-any-return]

    def tuned(batch: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):
            return under_autocast(ours, batch)

    ways: dict[str, Pass] = {
        "eager": lambda batch: under_autocast(plain, batch.contiguous()),
        "channels-last": partial(under_autocast, ours),
        "half": in_half,
        "tuned": tuned,
    }
    if compiled:
        ways["compiled"] = partial(under_autocast, torch.compile(ours))  # type: ignore[arg-type]
    return ways


def passes(
    history: Path, model: Model, device: torch.device, precision: str, batches: list[int], divide: int, compiled: bool
) -> None:
    """Megapixels a second of the network alone, launched in every way."""
    width, height = (side // divide for side in SIZES[model.spec.task])
    ways = ways_to_pass(model, device, getattr(torch, NAMES[precision]), compiled)  # type: ignore[index]
    frames = moving_camera(max(batches), width, height)
    for count in batches:
        batch = torch.from_numpy(np.stack(frames[:count])).to(device).permute(0, 3, 1, 2).float() / 255
        sides = dict(ways)
        if device.type == "cuda":
            pool = torch.cuda.graph_pool_handle()
            able = [way for way in ways if way not in ("eager", "tuned")]
            sides |= {f"{way}, recorded": recorded(ways[way], batch, pool) for way in able}
        several(ways["eager"], batch, 1, device)
        in_a_row = int(SPELL / seconds(partial(several, ways["eager"], batch, 1, device)))
        in_a_row = max(1, min(in_a_row, MOST_PASSES))
        taken = in_turns(2, {side: partial(several, run, batch, in_a_row, device) for side, run in sides.items()})
        for side in sides:
            case = f"{model.spec.name} {precision} {width}x{height}, batch {count}, {side}"
            if side != "eager":
                record(history, case, taken, "eager", side)
            speed = in_a_row * count * width * height / 1e6 / min(taken[side])
            print(
                f"{case}: {speed:.0f} MP/s, {2e6 * model.spec.macs_per_pixel * speed / PEAK:.1%} of the peak",
                flush=True,
            )
        del sides


class Arrays:
    """Restores arrays; see `runtime.executor.Worker`."""

    def __init__(self, run: Callable[[NDArray[Any]], object]) -> None:
        self.run = run

    def read(self, job: NDArray[Any]) -> NDArray[Any]:
        """It is there."""
        return job

    def compute(self, job: NDArray[Any], item: NDArray[Any]) -> object:
        """Restore it."""
        return self.run(item)

    def write(self, job: NDArray[Any], computed: object) -> None:
        """Forget it."""

    def failed(self, job: NDArray[Any], error: Exception) -> None:
        """It must not."""
        raise error


@contextmanager
def one_stream() -> Iterator[None]:
    """Copy on the stream that computes."""

    class Lane(cuda.Lanes):
        def __init__(self, device: torch.device) -> None:
            super().__init__(device)
            self.uploads = self.downloads = self.computing

    cuda.lanes_of.cache_clear()
    with patch.object(cuda, "Lanes", Lane):
        yield
    cuda.lanes_of.cache_clear()


def pageable(_: cuda.Lanes, shape: Any, dtype: torch.dtype) -> Tensor:
    """Memory as the system gives it."""
    return torch.empty(shape, dtype=dtype)


def measures(history: Path, rounds: int, model: Model, settings: Settings, count: int, divide: int) -> None:
    """The engine with everything, and without one measure after the other."""
    width, height = (side // divide for side in SIZES[model.spec.task])
    images = moving_camera(count, width, height)

    def floats(engine: Engine, pixels: NDArray[Any]) -> object:
        return from_unit(engine.backend(pixels[None], None, ())[0], pixels.dtype)

    def batched(engine: Engine, four: NDArray[Any]) -> object:
        return engine.backend(four, None, (), np.uint8)

    def launching(engine: Engine) -> Engine:
        engine.backend.recordable = False  # type: ignore[attr-defined]
        return engine

    def side(
        jobs: list[NDArray[Any]], run: Callable[[Engine, NDArray[Any]], object], at_once: int = 0, record: bool = True
    ) -> Callable[[], object]:
        engine = Engine(model, settings)
        engine = engine if record else launching(engine)
        worker = Arrays(partial(run, engine))
        return lambda: list(LocalExecutor().run(jobs, worker, at_once or engine.at_once))

    fours = [np.stack(images[start : start + 4]) for start in range(0, count, 4)]
    changed: dict[str, tuple[Callable[[], object], Any]] = {
        "everything": (side(images, Engine.__call__), nullcontext),
        "without pinned memory": (side(images, Engine.__call__), partial(patch.object, cuda.Lanes, "pinned", pageable)),
        "without recordings": (side(images, Engine.__call__, record=False), nullcontext),
        # A recording would take in the copies of others.
        "without recordings or streams of copies": (side(images, Engine.__call__, record=False), one_stream),
        "without others at once": (side(images, Engine.__call__, 1), nullcontext),
        "float32 over the bus": (side(images, floats), nullcontext),
        "batches of 4": (side(fours, batched), nullcontext),
    }
    taken: Rounds = {name: [] for name in changed}
    for turn in range(1 + rounds):
        for name, (work, context) in changed.items():
            with context():
                begun = time.perf_counter()
                work()
                if turn:  # the first one warms up, and records
                    taken[name].append(time.perf_counter() - begun)
    for name in changed:
        if name != "everything":
            case = f"{model.spec.name} {settings.precision}, {count} arrays of {width}x{height}, {name}"
            record(history, case, taken, name, "everything")


class Copies:
    """Reads images and writes them again; see `runtime.executor.Worker`."""

    def __init__(self, folder: Path) -> None:
        from restorekit.media.decode import read_image
        from restorekit.media.encode import write_image

        self.folder, self.read_image, self.write_image = folder, read_image, write_image

    def read(self, job: Path) -> Any:
        """Decode."""
        return self.read_image(job)

    def compute(self, job: Path, item: Any) -> Any:
        """Nothing."""
        return item

    def write(self, job: Path, computed: Any) -> None:
        """Encode."""
        self.write_image(computed, self.folder / job.name)

    def failed(self, job: Path, error: Exception) -> None:
        """It must not."""
        raise error


def end_to_end(
    history: Path, rounds: int, model: Model, settings: Settings, images: int, frames: int, divide: int
) -> None:
    """Files in, files out."""
    from end_to_end_speed import decoded, encode, image_ways, video_ways

    from restorekit import restore_folder

    width, height = (side // divide for side in SIZES[model.spec.task])
    engine = Engine(model, settings)
    backend = engine.backend
    assert isinstance(backend, TorchBackend)
    device = backend.device
    for kind, count in (("PNG images", images), ("JPEG images", images), ("frames of a video", frames)):
        views = moving_camera(count, width, height)
        batch = torch.from_numpy(views[0])[None].to(device).permute(0, 3, 1, 2).float() / 255

        def launch(batch: Tensor) -> Tensor:
            with torch.inference_mode(), torch.autocast(device.type, backend.dtype, backend.dtype != torch.float32):
                return backend.network(batch)  # type: ignore[no-any-return]

        sides: dict[str, Callable[[], object]] = {"launched": partial(several, launch, batch, count, device)}
        if device.type == "cuda":
            sides["replayed"] = partial(several, recorded(launch, batch), batch, count, device)
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            if kind == "frames of a video":
                ways = video_ways(root, model.spec.name, lambda pixels: pixels, views, settings)

                def copy_clip(root: Path) -> None:
                    import av

                    with av.open(str(root / "copy.mp4"), "w") as out:
                        encode(out, decoded(root / "clip.mp4"))

                sides["read and written"] = partial(copy_clip, root)
            else:
                suffix = ".png" if kind == "PNG images" else ".jpg"
                ways = image_ways(root, model.spec.name, lambda pixels: pixels, views, suffix, settings)
                copies, files = Copies(root / "copies"), sorted((root / "in").iterdir())
                restore_folder(files[:1], root / "warm", model=model.spec.name, settings=settings)
                sides["read and written"] = partial(
                    lambda files, copies: list(LocalExecutor().run(files, copies, helpers=engine.helpers)),
                    files,
                    copies,
                )
            sides["restorekit"] = ways["restorekit"]
            taken = in_turns(rounds, sides, warm_up=False)
        for side in sides:
            if side != "restorekit":
                case = f"{model.spec.name} {settings.precision}, {count} {kind}, {width}x{height}, {side}"
                record(history, case, taken, side, "restorekit")


def main() -> None:
    options = parser(__doc__, rounds=2)
    options.add_argument("models", nargs="*", default=["gggan-lite", "compact", "gggan"], help="(%(default)s)")
    options.add_argument("--device", default="cuda", help="(%(default)s)")
    options.add_argument("--precisions", nargs="+", default=["fp16", "bf16"], help="of the passes (%(default)s)")
    options.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8], help="(%(default)s)")
    options.add_argument("--compile", nargs="*", default=[], help="systems that torch.compile takes, a minute each")
    options.add_argument("--images", type=int, default=64, help="in a folder (%(default)s)")
    options.add_argument("--frames", type=int, default=300, help="of the clip (%(default)s)")
    options.add_argument("--divide", type=int, default=1, help="width and height by this, to try the script")
    options.add_argument("--seconds", type=float, default=90, help="after which no part begins (%(default)s)")
    asked = options.parse_args()
    begun, device = time.monotonic(), torch.device(asked.device)
    models = {name: load_model(name) for name in asked.models}

    def parts() -> Iterator[tuple[str, Callable[[], None]]]:
        settings = Settings(asked.device, asked.precisions[0])
        sizes = (asked.images, asked.frames, asked.divide)
        slow = {name for name, model in models.items() if model.spec.macs_per_pixel > SLOW}
        files = {
            name: partial(end_to_end, asked.history, asked.rounds, model, settings, *sizes)
            for name, model in models.items()
        }
        yield from ((f"end to end, {name}", files[name]) for name in models if name not in slow)
        for name, model in models.items():
            for precision in asked.precisions:
                work = partial(passes, asked.history, model, device, precision, asked.batches, asked.divide)
                yield f"passes, {name} {precision}", partial(work, compiled=False)
        for name in models:
            if name not in slow:
                arrays = partial(measures, asked.history, asked.rounds, models[name], settings, asked.images)
                yield f"measures, {name}", partial(arrays, asked.divide)
        yield from ((f"end to end, {name}", files[name]) for name in models if name in slow)
        for name in asked.compile:
            work = partial(passes, asked.history, models[name], device, asked.precisions[0], asked.batches[:2])
            yield f"compiled, {name}", partial(work, asked.divide, compiled=True)

    for part, run in parts():
        if time.monotonic() - begun > asked.seconds:
            print(f"{part}: skipped: {asked.seconds:.0f} s are over", flush=True)
            continue
        print(f"-- {part}, after {time.monotonic() - begun:.0f} s", flush=True)
        try:
            run()
        except ModuleNotFoundError as error:
            print(f"{part}: skipped: {error}", flush=True)
        except torch.OutOfMemoryError as error:
            print(f"{part}: does not fit: {str(error).splitlines()[0]}", flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
