import json
from pathlib import Path

import numpy as np

from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.sheet import draw_sheet
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.media.encode import write_image
from restorekit.media.image import Image


def make(folder: Path, **settings: object) -> np.ndarray:
    for name in ("a", "b"):
        write_image(Image(np.zeros((60, 120, 3), np.uint8)), folder / "in" / f"{name}.png")
    synthesize_pairs([folder / "in"], folder / "out", settings=BlurSettings(**settings))
    sheet = draw_sheet(folder / "out")
    assert sheet.shape == (242, 6 * 242, 1)  # cells of 240 px in frames of 1 px
    assert not sheet[1:-1, 2 * 242 + 1 : 3 * 242 - 1].any()  # there is no third pair
    return sheet[1:-1, 1:241, 0]


def test_psfs_are_drawn_as_large_as_they_fit(tmp_path: Path) -> None:
    cell = make(tmp_path, length=(5, 5), angle=(0, 0))
    y, x = np.nonzero(cell)
    assert (x.min(), x.max(), y.min(), y.max()) == (0, 239, 96, 143)  # a row of 5 cells of 48 px


def test_what_is_smaller_than_its_cell_lies_in_the_middle(tmp_path: Path) -> None:
    cell = make(tmp_path, length=(7, 7), angle=(90, 90))
    y, x = np.nonzero(cell)
    assert (x.min(), x.max(), y.min(), y.max()) == (103, 136, 1, 238)  # 7 cells of 34 px, and a pixel on either side


def test_a_damaged_line_leaves_its_cell_black(tmp_path: Path) -> None:
    good = {"kernel": "AACAPw==", "kernel_side": 1}  # 1.0
    odd = ({"kernel": "A"}, {"kernel": 3}, {"kernel": "\u00fc"}, {"kernel_side": "x"}, {"kernel_side": 0})
    lines = [json.dumps({"key": f"{at}"} | good | change) for at, change in enumerate((*odd, {}))]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    cells = np.split(draw_sheet(tmp_path)[1:241], 6, axis=1)
    assert [cell[1:-1, 1:-1].max() for cell in cells] == [0, 0, 0, 0, 0, 255]


def test_a_roll_leaves_the_middle_point_alone_and_draws_longer_streaks_outside(tmp_path: Path) -> None:
    cell = make(tmp_path, kind="rotational", sweep=(10, 10))
    y, x = np.nonzero(cell > 60)
    assert (y >= 60).all()
    assert (y < 180).all()  # a wide image in a square cell
    inner = (np.hypot(x - 120, y - 120) < 12).sum()
    assert 1 <= inner <= 9
    arc = y[np.hypot(x - 216, y - 120) < 12]  # 96 px from the middle: 2 * 96 * sin(5 degrees) = 16.7 px high
    assert abs(np.ptp(arc) - 16.7) <= 3
