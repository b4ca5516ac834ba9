"""Runtimes beside PyTorch: ONNX Runtime, OpenVINO and, for compact, ncnn: those that are installed, on one tile in float32.

PyTorch runs as the engine does: folded, in channels-last memory, with freed buffers kept. ncnn gets the same weights.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import arguments_for_side, in_processes, parser, photo, record, take_turns
from numpy.typing import NDArray
from torch import nn

from restorekit.imaging.dtypes import to_unit
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models.model import Model
from restorekit.runtime.memory import keep_buffers
from restorekit.weights.load import load_model

SIDES = {"compact": 128, "gggan": 192, "gggan-lite": 352}
"""Of the tile in pixels."""
Run = Callable[[], NDArray[np.float32]]


def ncnn_network(model: Model, folder: Path) -> Any:
    """The network of compact in ncnn: convolutions with PReLUs, pixel shuffle, plus the input enlarged."""
    import ncnn

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
    network = ncnn.Net()
    network.opt.num_threads = torch.get_num_threads()
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(network.opt, f"use_{half}", False)
    network.load_param(str(folder / "net.param"))
    network.load_model(str(folder / "net.bin"))
    return network


def by_ncnn(network: Any, tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    import ncnn

    extractor = network.create_extractor()
    batch = np.ascontiguousarray(to_unit(tile).transpose(2, 0, 1))  # ncnn refers to its memory
    extractor.input("in", ncnn.Mat(batch))
    return np.asarray(extractor.extract("out")[1]).transpose(1, 2, 0)[None].clip(0, 1)


def installed(name: str) -> list[str]:
    """Runtimes that can run a system here, PyTorch first."""
    packages = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
    packages |= {"ncnn": "ncnn"} if name == "compact" else {}
    return [runtime for runtime, package in packages.items() if importlib.util.find_spec(package)]


def ready(name: str, runtime: str, tile: NDArray[np.uint8]) -> Run:
    """A system in a runtime, ready to restore the tile."""
    model = load_model(name)
    if runtime == "ncnn":
        with TemporaryDirectory() as folder:
            return partial(by_ncnn, ncnn_network(model, Path(folder)), tile)
    engine = Engine(model, Settings("cpu", "fp32", backend=runtime))  # type: ignore[arg-type]
    return partial(engine.backend, tile[None], None, ())


def main() -> None:
    options = parser(__doc__, rounds=7)
    options.add_argument("systems", nargs="*", default=list(SIDES), help="with weights that ship (%(default)s)")
    options.add_argument("--size", type=int, help="side of the tile in pixels; by default one that fits the system")
    options.add_argument("--side", help="be one side: for the script itself")
    asked = options.parse_args()
    keep_buffers()
    for name in asked.systems:
        side = asked.size or SIDES[name]
        tile = photo(side, side)
        if asked.side:
            take_turns(ready(name, asked.side, tile))
            return
        runtimes = installed(name)
        results = {runtime: ready(name, runtime, tile)() for runtime in runtimes}
        # Each in a process of its own: threads of one runtime that wait would slow down the next.
        told = [name, "--size", str(side)]
        taken = in_processes(asked.rounds, {runtime: arguments_for_side(runtime, told) for runtime in runtimes})
        for runtime, seconds in taken.items():
            difference = np.abs(results[runtime] - results["torch"]).max()
            speed = side * side / 1e6 / float(np.median(seconds))
            print(f"{name} {side}x{side}, {runtime}: {speed:.3g} MP/s, differs from torch by {difference:.1e}")
        for runtime in runtimes[1:]:
            record(asked.history, f"{name} {side}x{side}, fp32, torch / {runtime}", taken, "torch", runtime)


if __name__ == "__main__":
    main()
