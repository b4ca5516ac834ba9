"""How fast two processes render scenes of 256x256 px at 50-80 px: the processors' own time against that of 40 a second."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
from common import parser, photo, record

from restorekit.degradation.synthetic_blur import BlurSettings, DrawnBlur

SIDE, CROPS, PROCESSES, CLAIMED = 256, 80, 2, 40


def main() -> None:
    asked = parser(__doc__, rounds=5).parse_args()
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), cv2.setNumThreads, (1,)) as processes:
        list(processes.map(render, range(CROPS)))
        taken = [sum(processes.map(render, range(CROPS))) / PROCESSES for _ in range(asked.rounds)]
    sides = {f"{CLAIMED} a second": [CROPS / CLAIMED] * asked.rounds, "restorekit": taken}
    record(asked.history, f"{CROPS} scenes of {SIDE}x{SIDE}, {PROCESSES} processes", sides, *sides)


def render(seed: int) -> float:
    """One scene of the paper's range. Returns the seconds that a processor worked on it."""
    rng = np.random.default_rng(seed)
    crop = photo(SIDE, SIDE)
    begun = time.process_time()
    DrawnBlur.draw(BlurSettings(kind="scene"), SIDE, SIDE, rng).apply(crop, 0, rng)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
