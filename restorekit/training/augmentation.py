"""What training crops go through beside their degradation.

none: nothing. flips: every second sample is mirrored left to right. flips-and-turns: one of the eight flips and quarter
turns. sang: Sang et al. 2018, section 3.2, which is Nah et al.'s: flips and turns, the channels in any order and the
saturation times 0.5 to 1.5 on both halves, then noise on the degraded half alone. Sang et al. print "a random angle"; ours
are quarter turns, because others would bring in corners that no camera saw.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.degradation import Rgb8
from restorekit.degradation.noise import add_noise
from restorekit.imaging.dtypes import from_unit, to_unit

Augment = Literal["none", "flips", "flips-and-turns", "sang"]

SATURATION = (0.5, 1.5)
NOISE = 2.0  # standard deviation of the noise's own standard deviation, in grey levels of 255 (Nah et al. 2017)


def draw_turn(augment: Augment, rng: np.random.Generator) -> int:
    """Draw one of the flips and turns that `orient` knows. All kinds of augmentation take one number from `rng`."""
    turn = int(rng.integers(8))
    if augment == "none":
        return 0
    return turn // 4 * 4 if augment == "flips" else turn


def orient(image: Rgb8, turn: int) -> Rgb8:
    """One of the eight flips and quarter turns, as a view; `turn` is 0..7."""
    turned = np.rot90(image, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def change_colours(degraded: Rgb8, sharp: Rgb8, rng: np.random.Generator) -> tuple[Rgb8, Rgb8]:
    """Sang et al.'s: channels and saturation of both crops alike, and noise on the degraded one.

    Args:
        degraded, sharp: (H,W,3) uint8.
        rng: decides what happens.
    """
    order, factor = rng.permutation(3), np.float32(rng.uniform(*SATURATION))
    sigma = abs(rng.normal(0, NOISE))
    blurred, target = (_saturate(to_unit(image[..., order]), factor) for image in (degraded, sharp))
    return from_unit(add_noise(blurred, sigma, rng)), from_unit(target)


def _saturate(rgb: NDArray[np.float32], factor: np.float32) -> NDArray[np.float32]:
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.minimum(hsv[..., 1] * factor, 1)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
