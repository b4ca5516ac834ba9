import numpy as np
import torch
import torch.nn.functional as F
from helpers import noise
from torch import Tensor

from restorekit.deconvolution import Kernel, Windows
from restorekit.deconvolution.cells import cells_of, restore_cells


def numbered() -> Windows:
    """Two cells of 4 px in an image of 5x8: their PSFs move a point to the left, and to the right."""
    psfs = np.zeros((1, 2, 1, 3), np.float32)
    psfs[0, 0, 0, 0], psfs[0, 1, 0, 2] = 1, 1
    return Windows(psfs, 5, 8)


def move_back(part: Tensor, kernel: Kernel) -> Tensor:
    return F.pad(part[..., :-1], (1, 0)) if kernel.psf[0, 0] else F.pad(part[..., 1:], (0, 1))


def test_every_cell_is_restored_by_its_own_psf_and_fades_into_the_next() -> None:
    row = torch.tensor([0, 8.0, 0, 0, 0, 0, 8, 0])
    restored = restore_cells(row.expand(1, 1, 5, 8), numbered(), move_back)
    # The middles are the pixels 2 and 6; at pixel 2 the left cell counts alone, at 5 the right one has 3/4.
    torch.testing.assert_close(restored[0, 0, 0], torch.tensor([0, 0, 8.0, 0, 0, 6, 0, 0]))


def test_cells_leave_what_is_not_changed() -> None:
    image = noise(2, 3, 41, 30)
    windows = Windows(np.ones((3, 4, 1, 1), np.float32), 41, 30)
    torch.testing.assert_close(restore_cells(image, windows, lambda part, kernel: part), image)


def test_of_a_part_of_an_image_only_its_own_cells_are_restored() -> None:
    windows = Windows(np.ones((4, 4, 1, 1), np.float32), 80, 80).crop(0, 60, 20, 20)
    cells = list(cells_of(windows, noise(1, 1, 20, 20)))
    assert len(cells) == 4  # the middles are 10, 30, 50 and 70: above row 20 two of them, beyond column 60 two
    total = torch.zeros(20, 20)
    for _, cell in cells:
        cell.cut(total).add_(cell.weight)
    torch.testing.assert_close(total, torch.ones(20, 20))


def test_a_cell_sees_two_radii_around_it() -> None:
    widths = []

    def remember(part: Tensor, kernel: Kernel) -> Tensor:
        widths.append(part.shape[-1])
        return part

    restore_cells(noise(1, 1, 9, 90), Windows(np.full((1, 3, 3, 3), 1 / 9, np.float32), 9, 90), remember)
    # The middles are 15, 45, 75: tents reach from 0 to 44, 16 to 74, 46 to 89; 2 px more where there is image.
    assert widths == [47, 63, 46]
