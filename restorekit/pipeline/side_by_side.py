"""Views of an image and its result beside each other."""

import numpy as np

from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.media.image import Image

GAP = 8  # white pixels between the two halves


def side_by_side(before: Image, after: Image) -> Image:
    """Both as 8-bit RGB, the smaller one enlarged, with a white gap between."""
    left, right = (from_unit(to_unit(half.rgb())) for half in (before, after))
    if left.shape != right.shape:
        left = resize(left, after.size)
    return Image(np.hstack([left, np.full((after.size[0], GAP, 3), 255, np.uint8), right]))
