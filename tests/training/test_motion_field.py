"""Gong's objective: the fields it draws, the blur they make, and the loss, by hand."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor, nn

from restorekit.deconvolution import Lines
from restorekit.training.objectives import motion_field
from restorekit.training.objectives.motion_field import MARGIN, LossWeights, Objective, Options, blur_along, draw_fields

CPU = torch.device("cpu")
STILL = Options(translation=0, acceleration=0, spread=0, turn=0, centre=0, sharp_share=0)


def draw(height: int = 101, width: int = 101, count: int = 200, **options: float) -> Tensor:
    torch.manual_seed(0)
    return draw_fields(Options(**{**vars(STILL), **options}), count, height, width, CPU)


def test_a_translation_is_uniform_up_to_its_largest() -> None:
    fields = draw(9, 9, count=4000, translation=27)
    assert (fields == fields[:, :, :1, :1]).all()
    u, v = fields[:, :, 0, 0].unbind(1)
    assert (u.min(), u.max(), v.min(), v.max()) == (0, 27, -27, 27)
    assert float(u.mean()) == pytest.approx(13.5, abs=0.4)
    assert float(v.mean()) == pytest.approx(0, abs=0.8)
    assert not ((u == 0) & (v < 0)).any()  # that is the motion up, whose opposite is told


def test_it_grows_or_shrinks_across_the_image_by_its_acceleration() -> None:
    fields = draw(translation=27, acceleration=0.3)
    left, middle, right = fields[:, 0, 50, 0], fields[:, 0, 50, 50], fields[:, 0, 50, 100]
    fast = middle > 20
    # From (1 - a/2) to (1 + a/2) times, and a full pixel for two roundings.
    assert ((right - left).abs() <= 0.3 * middle + 1)[fast].all()
    assert ((right - left).abs() > 0.2 * middle)[fast].any()
    assert ((left + right - 2 * middle).abs() <= 1.5)[fast].all()
    assert (fields[:, 1].abs() == fields[:, 1, :, :1].abs()).all()  # what goes down does not change across


def outward_and_around(fields: Tensor) -> tuple[Tensor, Tensor]:
    """How far everything moves away from the middle, and around it; signs are unknown."""
    y, x = torch.meshgrid(torch.arange(101) - 50.5, torch.arange(101) - 50.5, indexing="ij")
    radius = torch.hypot(x, y)
    u, v = fields[:, 0], fields[:, 1]
    return ((u * x + v * y) / radius).abs(), ((v * x - u * y) / radius).abs()


def test_what_spreads_moves_away_from_the_centre_by_the_tangent() -> None:
    outward, around = outward_and_around(draw(spread=10))
    assert around.max() <= 1  # rounding
    assert float(outward[:, 50, 0].max()) == pytest.approx(50.5 * math.tan(math.radians(10)), abs=0.8)
    assert float(outward[:, 50, 25].max()) == pytest.approx(25.5 * math.tan(math.radians(10)), abs=0.8)


def test_what_turns_moves_around_the_centre_by_the_power_of_one_and_a_half() -> None:
    outward, around = outward_and_around(draw(turn=0.05))
    assert outward.max() <= 1
    assert float(around[:, 50, 0].max()) == pytest.approx(0.05 * 50.5**1.5, abs=0.8)
    assert float(around[:, 50, 25].max()) == pytest.approx(0.05 * 25.5**1.5, abs=0.8)


def test_the_centre_is_drawn_too() -> None:
    fields = draw(turn=0.2, centre=15)
    fields = fields[fields.amax((1, 2, 3)) > 20]  # those that turn fast have one still point
    still = (fields.abs().sum(1) == 0).nonzero()[:, 1:]  # row and column, 50 in the middle
    low, high = still.amin(0), still.amax(0)
    assert (low >= 28).all()
    assert (low < 40).all()
    assert (high <= 73).all()
    assert (high > 61).all()


def test_labels_stay_within_what_there_is_and_some_fields_are_still() -> None:
    fields = draw(9, 9, translation=90, count=2000, sharp_share=0.25)
    assert (fields[:, 0].min(), fields[:, 0].max()) == (0, 38)
    assert (fields[:, 1].min(), fields[:, 1].max()) == (-36, 36)
    assert float((fields.abs().sum((1, 2, 3)) == 0).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_the_blur_is_that_of_lines() -> None:
    sharp = torch.from_numpy(data.astronaut()[:90, :120] / 255).float().permute(2, 0, 1)[None]
    torch.manual_seed(4)
    fields = draw_fields(Options(translation=9), 1, 90, 120, CPU)
    inner = slice(10, -10)
    moved = blur_along(sharp, fields[..., inner, inner], 10)
    lines = Lines(fields[0, 0].numpy(), fields[0, 1].numpy())
    expected = lines.on(sharp).forward(sharp)[..., inner, inner]
    unlike, error = (float((x - expected).square().mean()) for x in (sharp[..., inner, inner], moved))
    assert error < min(5e-6, unlike / 90)  # 53 dB, and 20 below the blur


def test_a_line_is_as_wide_as_its_cells() -> None:
    point, field = torch.zeros(1, 1, 21, 21), torch.zeros(1, 2, 21, 21)
    point[..., 10, 10], field[:, 0] = 1, 7
    line = blur_along(point, field, 0)[0, 0]
    at = torch.arange(21) - 10
    assert line.sum() == pytest.approx(1)
    assert float((line * at**2).sum()) == pytest.approx(4, rel=0.02)  # of -3, -2 .. 3
    assert float((line.mT * at**2).sum()) == 0
    assert (MARGIN, motion_field.MOST_RIGHT, motion_field.MOST_DOWN) == (19, 38, 36)  # half the longest; labels


def test_what_does_not_move_stays() -> None:
    sharp = torch.rand(2, 3, 20, 20)
    torch.testing.assert_close(blur_along(sharp, torch.zeros(2, 2, 16, 16), 2), sharp[..., 2:-2, 2:-2])


class Scores(nn.Module):
    """Gives the same scores to every pixel, and keeps what it saw."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = torch.tensor(scores)

    def predict(self, rgb: Tensor) -> Tensor:
        self.seen = rgb
        return self.scores[None, :, None, None].expand(len(rgb), -1, *rgb.shape[2:])


@pytest.mark.parametrize("every", [1, 4])
def test_the_loss_is_the_cross_entropy_of_both_labels(every: int) -> None:
    scores = [0.0] * 112
    scores[0], scores[39 + 36] = math.log(5), math.log(9)  # of no motion; 38 and 72 other labels have 1 each
    model, sharp = Scores(scores), torch.rand(2, 3, 50, 60)
    still = Options(**{**vars(STILL), "every": every})
    terms, handed_back = Objective(LossWeights(), still).generator_loss(model, sharp, sharp)
    assert terms.keys() == {"u", "v"}
    assert float(terms["u"]) == pytest.approx(-math.log(5 / 43), rel=1e-5)
    assert float(terms["v"]) == pytest.approx(-math.log(9 / 81), rel=1e-5)
    assert handed_back is sharp
    inner = slice(MARGIN, -MARGIN)
    torch.testing.assert_close(model.seen, (sharp[..., inner, inner] * 255).round() / 255)
    double = Objective(LossWeights(u=2, v=0), still).generator_loss(model, sharp, sharp)[0]
    assert {name: float(term) for name, term in double.items()} == {"u": pytest.approx(2 * math.log(43 / 5), rel=1e-5)}


def test_each_pixel_is_compared_with_its_own_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    field = torch.zeros(1, 2, 2 * MARGIN + 8, 2 * MARGIN + 8)
    field[:, 0, :, MARGIN + 4 :], field[:, 1, MARGIN + 4 :] = 3, -2
    monkeypatch.setattr(motion_field, "draw_fields", lambda *_: field)

    class Right(Scores):
        def predict(self, rgb: Tensor) -> Tensor:
            scores = torch.zeros(1, 112, 8, 8)
            scores[:, 0, :, :4] = scores[:, 3, :, 4:] = scores[:, 39 + 36, :4] = scores[:, 39 + 34, 4:] = 50
            return scores

    sharp = torch.rand(1, 3, *field.shape[2:])
    terms, _ = Objective(LossWeights(), STILL).generator_loss(Right([]), sharp, sharp)
    assert all(float(term) < 1e-6 for term in terms.values())


def test_fields_follow_from_torchs_seed() -> None:
    one, two = (draw(9, 9, translation=20) for _ in range(2))
    np.testing.assert_array_equal(one, two)
