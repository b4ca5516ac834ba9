import pickle
from fractions import Fraction

import numpy as np
import pytest

from restorekit.errors import UnreadableImage
from restorekit.media.image import Image
from restorekit.media.video import Frame

IMAGE = Image(np.zeros((2, 3, 3), np.uint8))
ERROR = UnreadableImage("The frame is damaged.", "Copy it again.")


def test_a_frame_has_either_an_image_or_an_error() -> None:
    assert Frame(0, Fraction(0), image=IMAGE).error is None
    assert Frame(1, Fraction(1001, 30000), error=ERROR).image is None
    with pytest.raises(ValueError, match="either"):
        Frame(0, Fraction(0))
    with pytest.raises(ValueError, match="either"):
        Frame(0, Fraction(0), IMAGE, ERROR)


def test_frames_cross_processes_with_their_exact_time_and_error() -> None:
    frame = pickle.loads(pickle.dumps(Frame(1, Fraction(1001, 30000), error=ERROR)))
    assert frame.timestamp == Fraction(1001, 30000)
    assert str(frame.error) == "The frame is damaged. Copy it again."
