"""What a system's `Spec.bytes_per_pixel` should say: peak memory of a forward pass for one more input pixel, in float32.

    python tools/measure_bytes_per_pixel.py SYSTEM [SIDE]

The peak of a process that restores an image of SIDE x SIDE is compared with that of another for SIDE x 2 SIDE. Linux and
macOS only.
"""

import argparse
import resource
import subprocess
import sys

import torch

from restorekit.models import registry

BYTE = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


def measure_peak(system: str, height: int, width: int) -> int:
    """Peak memory of this process, in bytes, after a forward pass."""
    model = registry.build(system).eval()
    with torch.inference_mode():
        model(torch.rand(1, 3, height, width))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTE


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("system")
    options.add_argument("side", type=int, nargs="?", default=512)
    options.add_argument("--width", type=int, help="measure one image of this width: for the script itself")
    asked = options.parse_args()
    if asked.width:
        print(measure_peak(asked.system, asked.side, asked.width))
        return
    peaks = []
    for width in (asked.side, 2 * asked.side):
        command = [sys.executable, sys.argv[0], asked.system, str(asked.side), "--width", str(width)]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    print(f"{asked.system}: {(peaks[1] - peaks[0]) / asked.side**2:.0f} bytes per input pixel")


if __name__ == "__main__":
    main()
