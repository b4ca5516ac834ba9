"""Peak memory of `restorekit deblur` on 4000x3000 and of `restorekit sr` from 2040x1536, as the system counts.

Each is compared with the same command on an image of a quarter as many pixels: near 1, memory is bounded by the tile, not by
the image. Linux and macOS only.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import parser, photo, record

from restorekit.media.encode import write_image
from restorekit.media.image import Image

PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10  # ru_maxrss is in bytes there, elsewhere in KiB


def peak(command: str, width: int, height: int) -> float:
    """Peak memory in MB of a command on one image."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "image.png")
        write_image(Image(photo(width, height)), source)
        arguments = ["restorekit", command, str(source), "-o", f"{folder}/out", "--device", "cpu"]
        ran = subprocess.run(
            [sys.executable, "-c", PEAK, sys.executable, "-m", *arguments], capture_output=True, text=True, check=True
        )
    return int(ran.stdout) / MEGABYTE


def main() -> None:
    options = parser(__doc__, rounds=1)
    options.add_argument("--divide", type=int, default=1, help="make all sides this much shorter, for a quick try")
    asked = options.parse_args()
    for command, (width, height) in (("deblur", (4000, 3000)), ("sr", (2040, 1536))):
        width, height = width // asked.divide, height // asked.divide
        taken = {
            "quarter": [peak(command, width // 2, height // 2) for _ in range(asked.rounds)],
            "whole": [peak(command, width, height) for _ in range(asked.rounds)],
        }
        record(asked.history, f"{command} on {width}x{height}, peak memory", taken, "quarter", "whole", "MB")


if __name__ == "__main__":
    main()
