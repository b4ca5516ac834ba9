"""How fast scenes of 256x256 px are rendered at 50-80 px, by two processes as training's loaders do: against 40 a second."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
from common import parser, photo, record, seconds

from restorekit.degradation.synthetic_blur import BlurSettings, DrawnBlur

SIDE, CROPS, PROCESSES, CLAIMED = 256, 80, 2, 40


def main() -> None:
    asked = parser(__doc__, rounds=5).parse_args()
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), cv2.setNumThreads, (1,)) as processes:
        list(processes.map(render, range(PROCESSES)))
        taken = [seconds(lambda: list(processes.map(render, range(CROPS)))) for _ in range(asked.rounds)]
    sides = {f"{CLAIMED} a second": [CROPS / CLAIMED] * asked.rounds, "restorekit": taken}
    record(asked.history, f"{CROPS} scenes of {SIDE}x{SIDE}, {PROCESSES} processes", sides, *sides)


def render(seed: int) -> None:
    """One scene of the paper's range."""
    rng = np.random.default_rng(seed)
    crop = photo(SIDE, SIDE)
    DrawnBlur.draw(BlurSettings(kind="scene"), SIDE, SIDE, rng).apply(crop, 0, rng)


if __name__ == "__main__":
    main()
