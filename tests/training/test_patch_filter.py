"""Chakrabarti's objective: the splines it draws, the patches it cuts, and the loss, by hand."""

import numpy as np
import pytest
import torch
from helpers import noise
from scipy import signal
from torch import Tensor, nn

from restorekit.training.objectives import patch_filter
from restorekit.training.objectives.patch_filter import LossWeights, Objective, Options, draw_splines

CPU = torch.device("cpu")


@pytest.mark.parametrize("grid", [1, 8, 16, 24])
def test_psfs_are_paths_in_their_grid_about_the_middle(grid: int) -> None:
    torch.manual_seed(0)
    kernels = draw_splines((grid,), 300, CPU)
    assert kernels.shape == (300, 41, 41)
    assert kernels.min() >= 0
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(300))
    place = torch.arange(41.0) - 20
    off = torch.cat([(kernels.sum(axis) @ place).abs() for axis in (1, 2)])
    assert off.quantile(0.99) <= 0.51  # the centre of gravity is rounded; few paths leave the frame
    width = (kernels.sum(1) > 0).sum(1)
    assert width.max() <= grid
    assert width.float().median() >= 0.7 * grid


def test_all_grids_are_as_likely() -> None:
    torch.manual_seed(0)
    widths = (draw_splines((1, 1, 8), 600, CPU).sum(1) > 0).sum(1)
    assert 0.6 < (widths == 1).float().mean() < 0.73


def test_cells_on_the_path_weigh_one_with_a_deviation_of_a_half(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = torch.tensor([0.5, 4.5, 8.5, 12.5, 16.5, 20.5]) / 24  # a straight path in equal steps
    monkeypatch.setattr(torch, "rand", lambda count, *_, **__: ladder.expand(count, 2, 6))
    torch.manual_seed(0)
    kernels = draw_splines((24,), 500, CPU)
    for kernel in kernels:
        rows, columns = kernel.nonzero().T
        assert torch.equal(rows, columns)
        assert len(rows) == 21
    cells = kernels[kernels > 0]
    assert 0.44 < float(cells.std() / cells.mean()) < 0.5  # of what is clipped at 0 the deviation is 0.48


class Told(nn.Module):
    """Gives the middles of what it sees, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def sharpen(self, patches: Tensor) -> Tensor:
        self.seen = patches
        return self.factor * patches[:, 16:-16, 16:-16]


def test_patches_are_cut_where_their_sharp_middles_are() -> None:
    sharp, model = noise(2, 3, 105 + 2 * 33 + 5, 105 + 40), Told(1)
    terms, handed_back = Objective(LossWeights(), Options(grids=(1,), noise=0)).generator_loss(model, sharp, sharp)
    assert float(terms["mse"]) < 1e-10
    assert handed_back is sharp
    assert model.seen.shape == (2 * 3 * 2, 65, 65)
    grey = 0.299 * sharp[1, 0] + 0.587 * sharp[1, 1] + 0.114 * sharp[1, 2]
    torch.testing.assert_close(model.seen[-1], grey[20 + 66 : 20 + 66 + 65, 20 + 33 : 20 + 33 + 65])


def test_a_crop_may_have_several_psfs(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = torch.zeros(4, 41, 41)
    for number in range(4):
        kernels[number, 20, 18 + number] = 1  # a shift, to be seen in the patch
    monkeypatch.setattr(patch_filter, "draw_splines", lambda _, count, __: kernels[:count])
    sharp, model = noise(2, 1, 105, 105).expand(-1, 3, -1, -1), Told(1)
    Objective(LossWeights(), Options(psfs=2, noise=0)).generator_loss(model, sharp, sharp)
    for seen, image, left in zip(model.seen, (0, 0, 1, 1), (22, 21, 20, 19), strict=True):
        torch.testing.assert_close(seen, sharp[image, 0, 20:85, left : left + 65])


def test_every_crop_is_blurred_by_its_psf_and_made_noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    kernels, sharp, model = draw_splines((8, 24), 2, CPU), noise(2, 1, 105, 105).expand(-1, 3, -1, -1), Told(0)
    monkeypatch.setattr(patch_filter, "draw_splines", lambda *_: kernels)
    terms, _ = Objective(LossWeights(mse=3), Options(noise=0.01)).generator_loss(model, sharp, sharp)
    assert float(terms["mse"]) == pytest.approx(3 * float(sharp[:, 0, 36:-36, 36:-36].square().mean()), rel=1e-5)
    for image, kernel, seen in zip(sharp[:, 0], kernels, model.seen, strict=True):
        grain = seen.numpy() - signal.convolve(image.numpy(), kernel.numpy(), mode="valid")
        assert float(np.std(grain)) == pytest.approx(0.01, rel=0.1)
