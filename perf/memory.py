"""Peak memory of `restorekit deblur` on 4000x3000 and of `restorekit sr` from 2040x1536, as the system counts.

Each is compared with the same command on an image of a quarter as many pixels: near 1, memory is bounded by the tile, not by
the image. `--large` does the same with 30000x30000 and from 10000x10000, in TIFF files that are restored by rows; that takes
half an hour and more, and room for 5 GB. `--make FILE` only makes such a file. Linux and macOS only.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import parser, photo, record

from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.metadata import Metadata
from restorekit.media.write_rows import TiffRowWriter

PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10  # ru_maxrss is in bytes there, elsewhere in KiB


def write_tiles(path: Path, width: int, height: int) -> None:
    """Write a TIFF of the same photograph side by side, by rows: memory never holds it."""
    tile = photo(2000, 2000)
    writer = TiffRowWriter(path, height, width, 3, np.dtype(np.uint8), Metadata())
    for top in range(0, height, 100):
        rows = tile[np.arange(top, min(top + 100, height)) % len(tile)]
        writer.write(np.concatenate([rows] * (width // 2000 + 1), axis=1)[:, :width])
    writer.commit()


def peak(command: str, width: int, height: int, large: bool) -> float:
    """Peak memory in MB of a command on one image."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "image.tif" if large else "image.png")
        if large:
            write_tiles(source, width, height)
        else:
            write_image(Image(photo(width, height)), source)
        arguments = ["restorekit", command, str(source), "-o", f"{folder}/out", "--device", "cpu"]
        arguments += ["--max-pixels", str(width * height)]
        ran = subprocess.run(
            [sys.executable, "-c", PEAK, sys.executable, "-m", *arguments], capture_output=True, text=True, check=True
        )
    return int(ran.stdout) / MEGABYTE


def main() -> None:
    options = parser(__doc__, rounds=1)
    options.add_argument("--divide", type=int, default=1, help="make all sides this much shorter, for a quick try")
    options.add_argument("--large", action="store_true", help="images that are restored by rows")
    options.add_argument(
        "--make", type=Path, metavar="FILE", help="only make a TIFF of 30000x30000, or as --divide says"
    )
    asked = options.parse_args()
    if asked.make:
        write_tiles(asked.make, 30000 // asked.divide, 30000 // asked.divide)
        return
    large = {"deblur": (30000, 30000), "sr": (10000, 10000)}
    for command, (width, height) in (large if asked.large else {"deblur": (4000, 3000), "sr": (2040, 1536)}).items():
        width, height = width // asked.divide, height // asked.divide
        taken = {
            "quarter": [peak(command, width // 2, height // 2, asked.large) for _ in range(asked.rounds)],
            "whole": [peak(command, width, height, asked.large) for _ in range(asked.rounds)],
        }
        record(asked.history, f"{command} on {width}x{height}, peak memory", taken, "quarter", "whole", "MB")


if __name__ == "__main__":
    main()
