"""How fast `synth-blur` convolves a photograph of 1349x1079, 65 px at 30 degrees: against `cv2.filter2D` on uint8."""

from functools import partial

import cv2
import numpy as np
from common import in_turns, parser, photo, record

from restorekit.degradation.convolution import convolve
from restorekit.degradation.psf import linear


def main() -> None:
    asked = parser(__doc__, rounds=15).parse_args()
    image, psf = photo(1349, 1079), linear(65, 30)
    sides = {
        "cv2.filter2D": partial(cv2.filter2D, image, -1, psf, borderType=cv2.BORDER_REFLECT_101),
        "restorekit": partial(convolve, image, psf),
    }
    plain, ours = (np.asarray(work()).astype(int) for work in sides.values())
    print(f"largest difference {np.abs(plain - ours).max()} grey level(s)")
    record(asked.history, "1349x1079 RGB uint8, 65 px", in_turns(asked.rounds, sides), "cv2.filter2D", "restorekit")


if __name__ == "__main__":
    main()
