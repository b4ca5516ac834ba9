from pathlib import Path

import numpy as np
import pytest

from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.media.encode import write_image
from restorekit.media.image import Image


@pytest.fixture
def frames(tmp_path: Path, photo: np.ndarray) -> Path:
    """Three small sharp frames."""
    for number, name in enumerate(("a", "b", "c")):
        write_image(Image(np.roll(photo, 40 * number, axis=1)[:64, :80]), tmp_path / f"frames/{name}.png")
    return tmp_path / "frames"


@pytest.fixture
def pairs(tmp_path: Path, frames: Path) -> Path:
    """The same frames as pairs with known kernels: `pairs/all/{blur,sharp}`."""
    synthesize_pairs([frames], tmp_path / "pairs", settings=BlurSettings(length=(5, 9)))
    return tmp_path / "pairs"
