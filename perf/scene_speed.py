"""How fast `synth-blur --kind scene` makes pairs of 256x256 px at 50-80 px, files in and files out: against 40 a second."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
from common import parser, photo, record, seconds

from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.runtime.worker_processes import worker_processes

SIDE, PAIRS, CLAIMED = 256, 200, 40


def main() -> None:
    asked = parser(__doc__, rounds=3).parse_args()
    with TemporaryDirectory() as room, worker_processes() as processes:
        sharp = Path(room, "sharp.png")
        cv2.imwrite(str(sharp), photo(SIDE, SIDE))

        def make(seed: int) -> None:
            settings = BlurSettings(kind="scene", seed=seed)
            made = synthesize_pairs(
                [sharp], Path(room, str(seed)), settings=settings, per_image=PAIRS, renderers=processes
            )
            assert made.count("done") == PAIRS

        make(asked.rounds)  # processes start when the first work comes
        taken = [seconds(partial(make, seed)) for seed in range(asked.rounds)]
    sides = {f"{CLAIMED} a second": [PAIRS / CLAIMED] * asked.rounds, "restorekit": taken}
    record(asked.history, f"{PAIRS} pairs of {SIDE}x{SIDE} by processes", sides, *sides)


if __name__ == "__main__":
    main()
