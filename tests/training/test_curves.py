from pathlib import Path

import numpy as np

from restorekit.media.decode import read_rgb8
from restorekit.training.curves import GREY, HEIGHT, MARGIN, WIDTH, draw_curves

LEFT, RIGHT, TOP, BOTTOM = MARGIN, WIDTH - MARGIN // 2, MARGIN, HEIGHT - MARGIN // 2


def rows(*values: float, name: str = "loss/pixel") -> list[dict[str, str]]:
    return [{"step": str(10 * index), name: str(value)} for index, value in enumerate(values, start=1)]


def ink(image: np.ndarray, x: int) -> list[int]:
    """Heights at which a column of pixels has the curve's colour or a mix of it with white; a mix is bluer than red."""
    column = image[:HEIGHT, x].astype(int)
    return [y for y in range(HEIGHT) if column[y, 2] - column[y, 0] > 40]


def test_a_curve_goes_from_its_first_value_to_its_last(tmp_path: Path) -> None:
    draw_curves(rows(1.0, 3.0, 2.0), tmp_path / "curves.png")
    image = read_rgb8(tmp_path / "curves.png")
    assert image.shape == (HEIGHT, 3 * WIDTH, 3)
    width = RIGHT - LEFT
    for share, height in ((1 / 3, 0.0), (2 / 3, 1.0), (1.0, 0.5)):  # steps 10, 20 and 30 of 30
        drawn = ink(image, LEFT + round(share * width))
        assert min(abs(y - (BOTTOM - height * (BOTTOM - TOP))) for y in drawn) <= 1


def test_positive_values_that_span_decades_are_drawn_by_their_logarithm(tmp_path: Path) -> None:
    draw_curves(rows(100.0, 10.0, 1.0), tmp_path / "curves.png")
    logarithmic = read_rgb8(tmp_path / "curves.png")
    drawn = ink(logarithmic, LEFT + round(2 / 3 * (RIGHT - LEFT)))
    assert min(abs(y - (BOTTOM + TOP) / 2) for y in drawn) <= 1  # 10 is half way
    draw_curves(rows(100.0, 10.0, 6.0), tmp_path / "curves.png")
    corner = np.s_[TOP - 20 : TOP - 1, RIGHT - 90 : RIGHT]  # says so in the panel's upper right alone
    assert (logarithmic[corner] < 128).any()
    assert not (read_rgb8(tmp_path / "curves.png")[corner] < 128).any()


def test_every_loss_and_score_has_a_panel_with_its_finite_values(tmp_path: Path) -> None:
    log = [
        {"step": "1", "learning_rate": "0.1", "loss/a": "1", "loss/b": "-2"},
        {
            "step": "2",
            "loss/a": "2",
            "validation/psnr": "30",
            "validation/input_psnr": "20",
            "validation/measured_on": "x",
        },
        {"step": "3", "loss/c": "nan", "validation/psnr": "inf", "validation/input_psnr": "20"},
    ]
    draw_curves(log, tmp_path / "curves.png")
    image = read_rgb8(tmp_path / "curves.png")
    assert image.shape == (2 * HEIGHT, 3 * WIDTH, 3)  # a, b, c; psnr and two empty ones
    assert (image[HEIGHT:, WIDTH:] == 255).all()
    frames = [image[HEIGHT * row + TOP, WIDTH * column + RIGHT] for row, column in ((0, 0), (0, 2), (1, 0))]
    assert [tuple(colour) for colour in frames] == [GREY] * 3
    assert ink(image[:, 2 * WIDTH :], LEFT + 50) == []  # nothing of c can be drawn
    titles = image[HEIGHT : HEIGHT + 25, :WIDTH], image[:25, :WIDTH]
    width = [np.flatnonzero(title.min(axis=(0, 2)) < 128).max() for title in titles]
    assert width[0] > width[1] + 80  # "validation/psnr, input 20", "loss/a"
