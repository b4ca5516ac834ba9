"""An image in cells that fade into each other: a blur that differs over the image is nearly one PSF in each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from restorekit.deconvolution.blurs import Kernel, Windows, cell_tents

MARGIN = 2  # times a PSF's radius is what a cell sees around it


@dataclass(frozen=True)
class Cell:
    """What one cell reaches before its neighbours take over."""

    rows: slice
    columns: slice
    weight: Tensor
    """(h,w) of those pixels; the weights of all cells sum to 1 at every pixel."""

    def cut(self, image: Tensor) -> Tensor:
        """Its pixels of (...,H,W)."""
        return image[..., self.rows, self.columns]


def cells_of(windows: Windows, image: Tensor) -> Iterator[tuple[Kernel, Cell]]:
    """The cells that an image (N,C,H,W), or part of one, shows, each with its PSF."""
    rows, columns = image.shape[-2:]
    down = cell_tents(windows.psfs.shape[0], windows.height, windows.top, rows)
    across = cell_tents(windows.psfs.shape[1], windows.width, windows.left, columns)
    for row, high in enumerate(down):
        for column, wide in enumerate(across):
            if high.any() and wide.any():
                y, x = np.flatnonzero(high), np.flatnonzero(wide)
                inside = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
                weight = torch.from_numpy(high[inside[0], None] * wide[inside[1]]).to(image)
                yield Kernel(windows.psfs[row, column]), Cell(*inside, weight)


def restore_cells(image: Tensor, windows: Windows, restore: Callable[[Tensor, Kernel], Tensor]) -> Tensor:
    """Restore every cell as if its PSF were that of the whole image, and fade from cell to cell.

    Args:
        image: (N,C,H,W).
        windows: its PSFs.
        restore: takes pixels (N,C,h,w) and their PSF, returns as many pixels.

    Returns:
        (N,C,H,W).

    Raises:
        UsageError: a PSF is larger than the image.
    """
    total = torch.zeros_like(image)
    margin = MARGIN * windows.radius
    for kernel, cell in cells_of(windows, image):
        (top, rows), (left, columns) = (
            _grown(cell.rows, margin, image.shape[-2]),
            _grown(cell.columns, margin, image.shape[-1]),
        )
        restored = restore(image[..., rows, columns], kernel)
        height, width = cell.weight.shape
        cell.cut(total).add_(restored[..., top : top + height, left : left + width] * cell.weight)
    return total


def _grown(span: slice, margin: int, length: int) -> tuple[int, slice]:
    """A span with a margin within a line of `length` pixels, and where the span begins in it."""
    start = max(0, span.start - margin)
    return span.start - start, slice(start, min(length, span.stop + margin))
