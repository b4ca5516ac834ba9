"""Enlarge a folder of PNGs with ncnn alone, as realesrgan-ncnn-vulkan does on a CPU: tiles of 200 px with 10 px around.

python perf/ncnn_tool.py NETWORK IN OUT THREADS
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TILE, AROUND = 200, 10  # px


def open_network(folder: Path, threads: int) -> Any:
    """The network in net.param and net.bin, in float32."""
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = threads
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(network.opt, f"use_{half}", False)
    network.load_param(str(folder / "net.param"))
    network.load_model(str(folder / "net.bin"))
    return network


def enlarge(network: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H,W,3) to (sH,sW,3) in 0..1."""
    import ncnn

    extractor = network.create_extractor()
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255)
    extractor.input("in", ncnn.Mat(planes))  # which refers to this memory
    return np.asarray(extractor.extract("out")[1], np.float32).transpose(1, 2, 0).clip(0, 1)


def enlarge_tiled(network: Any, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H,W,3) to (4H,4W,3)."""
    height, width = pixels.shape[:2]
    enlarged = np.empty((4 * height, 4 * width, 3), np.uint8)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            above, before = max(0, top - AROUND), max(0, left - AROUND)
            tile = enlarge(network, pixels[above : top + TILE + AROUND, before : left + TILE + AROUND])
            core = enlarged[4 * top : 4 * (top + TILE), 4 * left : 4 * (left + TILE)]
            y, x = 4 * (top - above), 4 * (left - before)
            core[:] = (tile[y : y + core.shape[0], x : x + core.shape[1]] * 255).round()
    return enlarged


def main() -> None:
    folder, source, out = map(Path, sys.argv[1:4])
    network = open_network(folder, int(sys.argv[4]))
    for path in sorted(source.glob("*.png")):
        pixels = np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]
        cv2.imwrite(str(out / path.name), enlarge_tiled(network, pixels)[..., ::-1])


if __name__ == "__main__":
    main()
