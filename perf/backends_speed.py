"""Runtimes beside PyTorch: ONNX Runtime, OpenVINO and, for compact, ncnn: those that are installed, on one tile.

PyTorch runs as the engine does: folded, in channels-last memory, with freed buffers kept. ncnn gets the same weights. All
compute in float32; ONNX Runtime and OpenVINO in int8 too, where weights ship so, and with --bf16 PyTorch and OpenVINO in
bfloat16. The last line of a system compares what `--backend auto` takes with the fastest in float32.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import ncnn_tool
import numpy as np
import torch
from common import arguments_for_side, in_processes, parser, photo, record, take_turns
from numpy.typing import DTypeLike, NDArray
from torch import nn

from restorekit.imaging.dtypes import from_unit
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Runtime, Settings
from restorekit.models.model import Model
from restorekit.runtime.memory import keep_buffers
from restorekit.weights.load import load_model
from restorekit.weights.manifest import BundledWeights, load_manifest
from restorekit.weights.network import load_network

SIZES = {"compact": (128, 128), "gggan": (192, 192), "gggan-lite": (352, 352)}
"""Width and height of the tile in pixels."""
Run = Callable[[], NDArray[Any]]


def write_ncnn(model: Model, folder: Path) -> None:
    """Write the network of compact for ncnn: convolutions with PReLUs, pixel shuffle, plus the input enlarged."""
    lines, numbers, blob = ["Input in 0 1 in", "Split two 1 2 in small base"], [], "small"
    for index, layer in enumerate(part for part in model.module.modules() if isinstance(part, (nn.Conv2d, nn.PReLU))):
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            sizes = f"0={layer.out_channels} 1=3 4=1 5=1 6={layer.weight.numel()}"
            lines.append(f"Convolution l{index} 1 1 {blob} b{index} {sizes}")
            numbers += [torch.zeros(1), layer.weight, layer.bias]  # the first tells that float32 follows
        else:
            lines.append(f"PReLU l{index} 1 1 {blob} b{index} 0={layer.weight.numel()}")
            numbers.append(layer.weight)
        blob = f"b{index}"
    scale = model.spec.scale
    lines += [
        f"PixelShuffle shuffle 1 1 {blob} shuffled 0={scale}",
        f"Interp enlarge 1 1 base enlarged 0=1 1={scale} 2={scale}",
        "BinaryOp add 2 1 shuffled enlarged out 0=0",
    ]
    blobs = len(lines) + 1  # the split makes two
    text = "\n".join(["7767517", f"{len(lines)} {blobs}", *lines])
    (folder / "net.param").write_text(text, encoding="ascii")
    (folder / "net.bin").write_bytes(b"".join(part.detach().numpy().tobytes() for part in numbers))


def by_ncnn(network: Any, tile: NDArray[np.uint8], dtype: DTypeLike) -> NDArray[Any]:
    """As a back end does."""
    return np.asarray(from_unit(ncnn_tool.enlarge(network, tile)[None], dtype))


def installed(name: str, bf16: bool) -> list[str]:
    """What can run weights here, PyTorch first; those in int8 and bfloat16 last."""
    model, weights = named(name)
    packages = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
    packages |= {"ncnn": "ncnn"} if model == "compact" else {}
    there = [runtime for runtime, package in packages.items() if importlib.util.find_spec(package)]
    entry = load_manifest().choose(model, None if weights == "auto" else weights)
    int8 = isinstance(entry, BundledWeights) and entry.int8
    there += [f"{runtime} int8" for runtime in there if int8 and runtime in ("onnx", "openvino")]
    return there + [f"{runtime} bf16" for runtime in there if bf16 and runtime in ("torch", "openvino")]


def named(name: str) -> tuple[str, str]:
    """Model and weights of `MODEL[:TAG]`."""
    model, _, tag = name.partition(":")
    return model, tag or "auto"


def ready(name: str, side: str, tile: NDArray[np.uint8], dtype: DTypeLike) -> Run:
    """Weights in a runtime, ready to restore the tile as pixels of that type."""
    model, weights = named(name)
    runtime, _, precision = side.partition(" ")
    network = load_network(model, weights, int8=precision == "int8")
    if runtime == "ncnn":
        assert isinstance(network, Model)
        with TemporaryDirectory() as folder:
            write_ncnn(network, Path(folder))
            return partial(by_ncnn, ncnn_tool.open_network(Path(folder), torch.get_num_threads()), tile, dtype)
    engine = Engine(network, Settings("cpu", precision or "fp32", backend=runtime))  # type: ignore[arg-type]
    return partial(engine.backend, tile[None], None, (), dtype)


def main() -> None:
    options = parser(__doc__, rounds=7)
    options.add_argument("systems", nargs="*", default=list(SIZES), help="MODEL[:TAG] (%(default)s)")
    options.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("WIDTH", "HEIGHT"),
        help="of the tile; by default one that fits the system",
    )
    options.add_argument("--bf16", action="store_true", help="in bfloat16 too")
    options.add_argument("--side", help="be one side: for the script itself")
    asked = options.parse_args()
    keep_buffers()
    for name in asked.systems:
        width, height = asked.size or SIZES[named(name)[0]]
        tile, size = photo(width, height), f"{width}x{height}"
        if asked.side:
            take_turns(ready(name, asked.side, tile, np.uint8))
            return
        runtimes = installed(name, asked.bf16)
        results = {runtime: ready(name, runtime, tile, np.float32)() for runtime in runtimes}
        # Each in a process of its own: threads of one runtime that wait would slow down the next.
        told = [name, "--size", str(width), str(height)]
        taken = in_processes(asked.rounds, {runtime: arguments_for_side(runtime, told) for runtime in runtimes})
        for runtime, seconds in taken.items():
            difference = np.abs(results[runtime] - results["torch"]).max()
            speed = width * height / 1e6 / float(np.median(seconds))
            print(f"{name} {size}, {runtime}: {speed:.3g} MP/s, differs from torch by {difference:.1e}")
        for runtime in runtimes[1:]:
            kind = "fp32, " if runtime in get_args(Runtime) else ""
            record(asked.history, f"{name} {size}, {kind}torch / {runtime}", taken, "torch", runtime)
        floats = [runtime for runtime in runtimes if runtime in get_args(Runtime)]
        best = min(floats, key=lambda runtime: float(np.median(taken[runtime])))
        auto = Engine(load_model(*named(name)), Settings("cpu", backend="auto")).runtime
        record(asked.history, f"{name} {size}, fp32, {best}, the fastest / auto: {auto}", taken, best, auto)


if __name__ == "__main__":
    main()
