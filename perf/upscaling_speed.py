"""How long `sr` takes from the command to the last file, against ncnn with the same network: starting and PNGs included.

compact by 4 on photographs. ncnn reads, enlarges and writes one image after the other in float32, with OpenCV and without
PyTorch, in the tiles of realesrgan-ncnn-vulkan, which leave seams; restorekit's leave none. Of restorekit there is each back
end in float32, and OpenVINO in int8, as far as they are installed.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import ncnn_tool
from backends_speed import write_ncnn
from common import in_turns, parser, photo, record

from restorekit.weights.load import load_model

BACKENDS = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}


def run(*command: str | Path) -> None:
    """Run Python."""
    subprocess.run(
        [sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )


def main() -> None:
    options = parser(__doc__, rounds=1)
    options.add_argument("--images", type=int, default=20, help="(%(default)s)")
    options.add_argument("--size", type=int, default=512, help="of their sides in pixels (%(default)s)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        source, net, out = (root / name for name in ("in", "net", "ncnn"))
        for folder in (source, net, out):
            folder.mkdir()
        scene = photo(2 * asked.size, 2 * asked.size)
        for number in range(asked.images):
            left = number * asked.size // asked.images
            cv2.imwrite(str(source / f"{number:02}.png"), scene[left : left + asked.size, : asked.size, ::-1])
        write_ncnn(load_model("compact"), net)
        sr = ("-m", "restorekit", "sr", source, "-o", root / "out", "--model", "compact", "--overwrite")
        sides = {"ncnn": partial(run, ncnn_tool.__file__, net, source, out, str(os.cpu_count()))}
        for backend, package in BACKENDS.items():
            if importlib.util.find_spec(package):
                sides[backend] = partial(run, *sr, "--backend", backend)
        if importlib.util.find_spec("openvino"):
            sides["openvino int8"] = partial(run, *sr, "--backend", "openvino", "--precision", "int8")
        taken = in_turns(asked.rounds, sides, warm_up=False)
        for side in sides:
            if side != "ncnn":
                case = f"sr of {asked.images} PNGs {asked.size}x{asked.size} by 4, ncnn / {side}"
                record(asked.history, case, taken, "ncnn", side)


if __name__ == "__main__":
    main()
