"""Which runtime computes: the one that was asked for, or the fastest here that gives what PyTorch gives."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, get_args

import numpy as np
import pydantic

from restorekit.errors import RestorekitError, UsageError
from restorekit.inference.backends import Backend
from restorekit.inference.backends.graph import GraphBackend
from restorekit.inference.backends.onnx import OnnxBackend
from restorekit.inference.backends.openvino import OpenVinoBackend
from restorekit.inference.settings import Runtime, Settings
from restorekit.models.model import Model
from restorekit.models.spec import Spec
from restorekit.runtime.atomic import write_atomically
from restorekit.runtime.provenance import cpu_name, digest
from restorekit.weights.cache import cache_folder, writing
from restorekit.weights.graph import Graph
from restorekit.weights.network import Network

PACKAGES: dict[Runtime, str] = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
REPEATS = 5  # timed runs of each runtime
PAUSE = 0.02  # seconds before each: threads of the last one that wait for more would slow it down
WORK = 2e10  # multiply-accumulates of the tile that is timed: a fifth of a second on two cores
SIDE = 256  # pixels of that tile at most


@dataclass(frozen=True)
class Opened:
    """What runs a network."""

    runtime: Runtime
    backend: GraphBackend | None
    """None is PyTorch."""
    note: str = ""
    """Why it is PyTorch although another was asked for."""


@dataclass(frozen=True)
class Choice:
    """What was measured of a network on this machine, and taken."""

    model: str
    weights: str
    precision: Literal["fp32", "bf16"]
    runtime: Runtime
    tile: tuple[int, int]
    """Height and width."""
    seconds: dict[Runtime, float]
    """For that tile, of the runtimes that give what PyTorch gives."""
    versions: dict[Runtime, str]
    processor: str
    threads: int
    provider: str

    def __str__(self) -> str:
        times = ", ".join(f"{runtime} {seconds * 1e3:.0f} ms" for runtime, seconds in self.seconds.items())
        height, width = self.tile
        return f"{self.weights} in {self.precision}: {self.runtime} is taken ({times} for {height}x{width} px)"


def open_backend(model: Network, settings: Settings) -> Opened:
    """Make what `settings` ask for ready to run a network.

    Raises:
        UsageError: it is not installed, or the settings do not suit it.
        RestorekitError: its result differs from PyTorch's.
    """
    wanted = _wanted(model, settings)
    _check(model, settings)
    if isinstance(model, Graph):
        runtime = _for_graph(settings) if wanted == "auto" else wanted
        return Opened(runtime, _open(model, runtime, settings))
    from restorekit.inference.export import check_exportable, to_graph  # with PyTorch, as all below
    from restorekit.runtime.device import choose_device

    if wanted == "torch" or (wanted == "auto" and choose_device(settings.device).type != "cpu"):
        return Opened("torch", None)
    try:
        check_exportable(model.spec)
    except UsageError as error:
        return Opened("torch", None, error.reason.rstrip("."))
    if wanted == "auto":
        wanted = choose(model, settings).runtime
    if wanted == "torch":
        return Opened("torch", None)
    return Opened(wanted, _open_checked(to_graph(model), wanted, model, settings))


def choose(model: Model, settings: Settings) -> Choice:
    """The fastest runtime that is installed and gives what PyTorch gives; measured once, then remembered in the cache.

    Raises:
        UnwritableOutput: the cache cannot be written.
    """
    import torch

    about = {
        "model": model.spec.name,
        "weights": model.provenance.weights,
        "precision": "bf16" if settings.precision == "bf16" else "fp32",
        "versions": {runtime: there for runtime in get_args(Runtime) if (there := _version(runtime))},
        "processor": cpu_name(),
        "threads": torch.get_num_threads(),
        "provider": settings.provider,
    }
    key = digest(about | {"sha256": model.provenance.sha256, "spec": asdict(model.spec)})
    path = cache_folder() / "backends" / f"{key}.json"
    try:
        return _CHOICE.validate_json(path.read_bytes())
    except (OSError, ValueError):  # not measured yet, or damaged
        choice = Choice(**about, **_measure(model, settings))  # type: ignore[arg-type]
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(asdict(choice)).encode())
    return choice


def remembered(model: str | None = None) -> Iterator[Choice]:
    """What was measured of a system on this machine; None is any."""
    for path in sorted((cache_folder() / "backends").glob("*.json")):
        try:
            choice = _CHOICE.validate_json(path.read_bytes())
        except (OSError, ValueError):
            continue
        if model in (None, choice.model):
            yield choice


_CHOICE = pydantic.TypeAdapter(Choice)


def _wanted(model: Network, settings: Settings) -> Runtime | Literal["auto"]:
    """What is to compute."""
    return settings.backend or ("auto" if isinstance(model, Graph) else "torch")


def _check(model: Network, settings: Settings) -> None:
    """Check that what `settings` ask for suits each other."""
    wanted, precision = _wanted(model, settings), settings.precision
    if settings.provider != "cpu" and wanted not in ("onnx", "auto"):
        raise UsageError("A provider belongs to ONNX Runtime.", "Take the backend onnx.")
    if isinstance(model, Graph):
        if wanted == "torch":
            others = "Take onnx, openvino or auto."
            if precision == "int8":
                raise UsageError("`precision` int8 does not go with `backend` torch.", others)
            raise UsageError("`backend` torch does not run a graph, as these weights are.", others)
        if precision != model.precision and (precision not in ("auto", "bf16") or model.precision != "fp32"):
            raise UsageError(
                f"The graph computes in {model.precision}, not in {precision}.",
                f"Ask for the precision {model.precision}, or take another graph.",
            )
    elif precision == "int8":
        raise UsageError("These weights do not compute in int8.", "`restorekit quantize` makes a graph that does.")
    elif wanted != "torch" and precision == "fp16":
        raise UsageError("Only PyTorch computes in fp16.", "Take the backend torch, or another precision.")
    if wanted in ("onnx", "openvino") and settings.device not in ("auto", "cpu"):
        raise UsageError(f"Only PyTorch uses the device {settings.device}.", "ONNX Runtime takes a provider instead.")


def _open(graph: Graph, runtime: Runtime, settings: Settings) -> GraphBackend:
    bf16 = settings.precision == "bf16"
    if runtime == "openvino":
        return OpenVinoBackend(graph, bf16)
    if bf16:
        raise UsageError("ONNX Runtime does not compute in bf16.", "Take the backend openvino, or the precision fp32.")
    return OnnxBackend(graph, settings.provider)


def _open_checked(graph: Graph, runtime: Runtime, model: Model, settings: Settings) -> GraphBackend:
    from restorekit.inference.export import LARGEST_DIFFERENCE, LARGEST_IN_BF16, check

    backend = _open(graph, runtime, settings)
    check(backend, model, LARGEST_IN_BF16 if settings.precision == "bf16" else LARGEST_DIFFERENCE)
    return backend


def open_graph(graph: Graph) -> GraphBackend:
    """Make a graph ready in what `auto` takes.

    Raises:
        UsageError: nothing that runs graphs is installed.
    """
    settings = Settings()
    return _open(graph, _for_graph(settings), settings)


def _for_graph(settings: Settings) -> Runtime:
    """What `auto` takes without measuring: OpenVINO, in int8 twice as fast on a CPU, else ONNX Runtime."""
    return "openvino" if settings.provider == "cpu" and _version("openvino") else "onnx"


def _version(runtime: Runtime) -> str:
    try:
        return version(PACKAGES[runtime])
    except PackageNotFoundError:
        return ""


def _measure(model: Model, settings: Settings) -> dict[str, object]:
    """Time one tile in turns, so that a busy moment hits all; the quickest run counts."""
    import torch

    from restorekit.inference.backends.torch import TorchBackend, prepared
    from restorekit.inference.export import to_graph

    device, graph = torch.device("cpu"), None
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    backends: dict[Runtime, Backend] = {"torch": TorchBackend(prepared(model.module, device), device, dtype)}
    for runtime in ("onnx", "openvino"):
        try:
            graph = graph or to_graph(model)
            opened = _open_checked(graph, runtime, model, settings)
        except RestorekitError:  # not installed, or gives something else
            continue
        backends[runtime] = opened
    side = _tile(model.spec)
    tile = np.random.default_rng(0).integers(256, size=(1, side, side, 3), dtype=np.uint8)
    seconds = dict.fromkeys(backends, float("inf"))
    for repeat in range(REPEATS + 1):
        for runtime, backend in backends.items():
            time.sleep(PAUSE)
            begun = time.perf_counter()
            backend(tile, None, (), np.uint8)
            if repeat:  # the first one makes room
                seconds[runtime] = min(seconds[runtime], time.perf_counter() - begun)
    return {"runtime": min(seconds, key=lambda name: seconds[name]), "tile": (side, side), "seconds": seconds}


def _tile(spec: Spec) -> int:
    """Side of a square tile on the network's grid."""
    side = min(SIDE, (WORK / max(1, spec.macs_per_pixel)) ** 0.5)
    return max(1, int(side) // spec.size_multiple) * spec.size_multiple
