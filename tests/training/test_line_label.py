"""Sun's objective: the lines it draws, and the loss, by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from restorekit.training.objectives.line_label import LossWeights, Objective, Options, label_motions
from restorekit.training.objectives.motion_field import blur_along


def test_labels_are_none_and_twelve_lengths_at_six_angles() -> None:
    motions = label_motions()
    assert motions.shape == (73, 2)
    assert motions[0].tolist() == [1, 0]
    assert motions[1].tolist() == [3, 0]
    expected = [25 * math.cos(math.radians(150)), -25 * math.sin(math.radians(150))]  # up and to the left
    assert motions[72].tolist() == pytest.approx(expected)
    assert motions[4].tolist() == pytest.approx([0, -3], abs=1e-6)


class Scores(nn.Module):
    """Gives label 5 the score log 4 and all others 0; keeps what it saw."""

    def predict(self, rgb: Tensor) -> Tensor:
        self.seen = rgb
        scores = torch.zeros(len(rgb), 73, 3, 2)
        scores[:, 5] = math.log(4)
        return scores


def test_the_loss_is_the_mean_cross_entropy_of_all_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor([5, 7]))
    model, sharp = Scores(), torch.rand(2, 3, 60, 64)
    terms, handed_back = Objective(LossWeights(label=3), Options(noise=0)).generator_loss(model, sharp, sharp)
    assert handed_back is sharp
    # Of 73 labels 72 have the weight 1 and one has 4.
    assert float(terms["label"]) == pytest.approx(3 * (math.log(76 / 4) + math.log(76)) / 2, rel=1e-5)
    down = torch.zeros(1, 2, 36, 40)
    down[:, 0], down[:, 1] = label_motions()[7]
    torch.testing.assert_close(model.seen[1:], blur_along(sharp[1:], down, 12), atol=0.02, rtol=0)


def test_each_crop_is_blurred_by_as_many_lines_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor([0, 7, 7, 0]))
    model, sharp = Scores(), torch.rand(2, 3, 60, 64)
    terms, handed_back = Objective(LossWeights(), Options(noise=0, lines=2)).generator_loss(model, sharp, sharp)
    assert handed_back is sharp
    assert len(model.seen) == 4
    inner = sharp[..., 12:-12, 12:-12]
    torch.testing.assert_close(model.seen[[0, 3]], inner)
    assert (model.seen[1] - inner[0]).abs().mean() < (model.seen[1] - inner[1]).abs().mean()  # the same crop, moved
    assert float(terms["label"]) == pytest.approx(math.log(76), rel=1e-5)


def test_noise_is_drawn_up_to_its_largest() -> None:
    torch.manual_seed(0)
    model, grey = Scores(), torch.full((40, 3, 60, 60), 0.5)
    Objective(LossWeights(), Options(noise=0.1)).generator_loss(model, grey, grey)
    levels = model.seen.flatten(1).std(1)
    assert 0.08 < float(levels.max()) < 0.102
    assert float(levels.min()) < 0.02
    Objective(LossWeights(), Options(noise=0.1)).generator_loss(model, grey + 0.5, grey + 0.5)
    assert model.seen.max() == 1  # as a file's


def test_all_labels_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(labels: int, size: tuple[int]) -> Tensor:
        drawn.append((labels, size))
        return torch.zeros(size, dtype=torch.long)

    monkeypatch.setattr(torch, "randint", draw)
    Objective(LossWeights(), Options(lines=3)).generator_loss(
        Scores(), torch.rand(2, 3, 60, 64), torch.rand(2, 3, 60, 64)
    )
    assert drawn == [(73, (6,))]
