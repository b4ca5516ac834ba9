"""Views of an image and its result beside each other."""

import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.media.image import Image

GAP = 8  # white pixels between the two halves


def side_by_side(before: Image, after: Image) -> Image:
    """Both as 8-bit RGB, the smaller one enlarged, with a white gap between."""
    left, right = (from_unit(to_unit(half.rgb())) for half in (before, after))
    if left.shape != right.shape:
        left = resize(left, after.size)
    return Image(join_rows(left, right))


def join_rows(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows of two images of one height (n,W,3) with the gap between."""
    return np.hstack([left, np.full((len(left), GAP, 3), 255, np.uint8), right])
