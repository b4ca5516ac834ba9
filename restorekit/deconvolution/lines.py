"""Straight motion that differs from pixel to pixel."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restorekit.deconvolution.blurs import Blur, Kernel, Operator
from restorekit.errors import UsageError

LONGEST = 1000  # px of a motion
DRAWN = 1 << 20  # cells of lines that are drawn together
KEPT = 1 << 26  # cells of lines that are kept, at 16 bytes: 1.5 megapixels of 22 px; longer ones cost time instead


@dataclass(frozen=True, eq=False)
class Lines(Blur):
    """Every pixel is the mean along a line of its own, centred on it; beyond the edge the edge goes on.

    Lines are drawn as MATLAB's `fspecial('motion')` draws them, so a vector counts pixels: length 1 and below is sharp
    (Sun et al., CVPR 2015; Gong et al., CVPR 2017). (u, v) and (-u, -v) are the same blur.

    Raises:
        UsageError: two fields of different shape, values that are not finite, or motion beyond 1000 px.
    """

    u: NDArray[np.float32]
    """(H,W): pixels to the right during the exposure."""
    v: NDArray[np.float32]
    """(H,W): pixels down."""

    def __post_init__(self) -> None:
        if self.u.ndim != 2 or self.u.shape != self.v.shape or 0 in self.u.shape:
            raise UsageError(f"A motion field has two planes of one shape, not {self.u.shape} and {self.v.shape}.")
        if not np.isfinite(self.u + self.v).all():
            raise UsageError("A motion field holds values that are not finite.", "Write 0 where nothing moves.")
        longest = np.hypot(self.u, self.v).max()
        if longest > LONGEST:
            raise UsageError(f"A motion field holds vectors of {longest:g} px.", f"At most {LONGEST} are taken.")

    def __str__(self) -> str:
        return f"motion of {float(np.median(np.hypot(self.u, self.v))):.1f} px in the median"

    @property
    def radius(self) -> int:
        """Half the longest line, and the pixel beyond its end."""
        return max(0, math.ceil((float(np.hypot(self.u, self.v).max()) - 1) / 2)) + 1

    @property
    def is_identity(self) -> bool:
        """Whether no line is longer than a pixel."""
        return not (np.hypot(self.u, self.v) > 1).any()

    def crop(self, top: int, left: int, height: int, width: int) -> "Lines":
        """The same vectors; beyond the field those at its edge go on."""
        rows = np.clip(np.arange(top, top + height), 0, self.u.shape[0] - 1)[:, None]
        columns = np.clip(np.arange(left, left + width), 0, self.u.shape[1] - 1)
        return Lines(self.u[rows, columns], self.v[rows, columns])

    def enlarge(self, factor: float, height: int, width: int) -> "Lines":
        """The nearest vectors: the mean of two opposite ones would be no motion at all."""
        rows, columns = (
            np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
            for new, old in zip((height, width), self.u.shape, strict=True)
        )
        u, v = (field[np.ix_(rows, columns)] for field in (self.u, self.v))
        length = np.maximum(np.hypot(u, v), 1e-6)
        longer = np.where(length > 1, (1 + (length - 1) * factor) / length, 1).astype(np.float32)  # 1 px stays sharp
        return Lines(u * longer, v * longer)

    def on(self, canvas: Tensor) -> "LinesOperator":
        """Draw every pixel's line.

        Raises:
            UsageError: the field has another size.
        """
        if tuple(canvas.shape[-2:]) != self.u.shape:
            raise UsageError(
                f"A motion field of {self.u.shape[1]}x{self.u.shape[0]} px does not fit "
                f"{canvas.shape[-1]}x{canvas.shape[-2]} px."
            )
        return LinesOperator(self, canvas)


class _Products(NamedTuple):
    """A sparse matrix by its rows, as `embedding_bag` takes it."""

    columns: Tensor
    offsets: Tensor
    weights: Tensor

    def __matmul__(self, image: Tensor) -> Tensor:
        """The product with every channel of (N,C,H,W)."""
        flat = image.flatten(2).flatten(0, 1).T.contiguous()  # (HW,NC)
        product = F.embedding_bag(
            self.columns, flat, self.offsets, mode="sum", per_sample_weights=self.weights, include_last_offset=True
        )
        return product.T.reshape(image.shape)

    def transpose(self) -> "_Products":
        """The matrix, which is square, by its columns."""
        from scipy import sparse  # for which those who undo no motion do not wait

        by_rows = tuple(part.cpu().numpy() for part in (self.weights, self.columns, self.offsets))
        matrix = sparse.csr_array(by_rows, shape=(len(self.offsets) - 1,) * 2).tocsc()  # it counts, a sort takes longer
        parts = (
            torch.from_numpy(part).to(self.columns.device) for part in (matrix.indices, matrix.indptr, matrix.data)
        )
        return _Products(*parts)


class LinesOperator(Operator):
    """Two sparse matrices: one gathers, its transpose scatters. Where they would be too large, lines are drawn anew."""

    def __init__(self, lines: Lines, canvas: Tensor) -> None:
        self.height, self.width = lines.u.shape
        self.u, self.v = (torch.from_numpy(field.ravel()).to(canvas) for field in (lines.u, lines.v))
        self.step = max(1, DRAWN // (4 * (2 * lines.radius + 1)))
        self.gather: _Products | None = None
        self.scatter: _Products | None = None
        if (
            2 * float(torch.hypot(self.u, self.v).clamp(min=1).double().sum()) <= KEPT
        ):  # about two cells along each pixel
            self._keep()

    def _keep(self) -> None:
        pairs = torch.stack([self.u, self.v], dim=1).float().view(torch.int64)[:, 0]  # both numbers' bits as one
        different, line = torch.unique(pairs, return_inverse=True)
        u, v = different[:, None].view(torch.float32).unbind(1)
        parts = []
        for start in range(0, len(u), self.step):  # many pixels share a line, which is drawn once
            down, across, weights = draw_lines(u[start : start + self.step], v[start : start + self.step])
            used = weights > 0
            parts.append((used.sum(1), down[used].int(), across[used].int(), weights[used]))
        counts, down, across, weights = (torch.cat(part) for part in zip(*parts, strict=True))
        lengths = counts[line]
        offsets = _offsets(lengths)
        pixels = torch.repeat_interleave(torch.arange(len(line), device=line.device, dtype=torch.int32), lengths)
        first = (_offsets(counts)[line] - offsets[:-1])[pixels]  # of its line's cells, less the first of its own
        cells = first.add_(torch.arange(len(first), device=first.device, dtype=torch.int32))
        rows = (pixels // self.width).add_(down[cells]).clamp_(0, self.height - 1)
        columns = (pixels % self.width).add_(across[cells]).clamp_(0, self.width - 1)
        self.gather = _Products(rows.mul_(self.width).add_(columns), offsets, weights[cells].to(self.u))
        self.scatter = self.gather.transpose()

    def _parts(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some of the pixels at a time, and the cells (P,M) of their lines with their weights."""
        for start in range(0, self.height * self.width, self.step):
            part = slice(start, min(start + self.step, self.height * self.width))
            pixels = torch.arange(part.start, part.stop, device=self.u.device)[:, None]
            down, across, weights = draw_lines(self.u[part], self.v[part])
            rows = (pixels // self.width + down).clamp_(0, self.height - 1)
            yield part, rows * self.width + (pixels % self.width + across).clamp_(0, self.width - 1), weights

    def forward(self, scene: Tensor) -> Tensor:
        """Every pixel gathers its line."""
        if self.gather is not None:
            return self.gather @ scene
        flat = scene.flatten(2)
        gathered = torch.empty_like(flat)
        for part, cells, weights in self._parts():
            gathered[..., part] = (flat[..., cells] * weights).sum(-1)
        return gathered.view(scene.shape)

    def adjoint(self, image: Tensor) -> Tensor:
        """Every pixel is spread over its line."""
        if self.scatter is not None:
            return self.scatter @ image
        flat = image.flatten(2)
        spread = torch.zeros_like(flat)
        for part, cells, weights in self._parts():
            spread.index_add_(2, cells.flatten(), (flat[..., part, None] * weights).flatten(2))
        return spread.view(image.shape)


def _offsets(counts: Tensor) -> Tensor:
    return F.pad(counts.cumsum(0), (1, 0)).int()


def draw_lines(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw centred lines as MATLAB's `fspecial('motion')`: a cell's weight falls from 1 on the line to 0 a pixel from it.

    Args:
        u, v: (P,), right and down; a line has the length max(1, |(u, v)|), of which its cells' middles span one less.

    Returns:
        For every line M cells (P,M): rows down, columns to the right, and weights that sum to 1.
    """
    length = torch.hypot(u, v)
    safe = length.clamp(min=1e-6)
    right, down = torch.where(length > 1e-6, u / safe, 1.0)[:, None], (v / safe)[:, None]  # a direction
    half = ((length - 1) / 2).clamp(min=0)[:, None]
    steps = torch.arange(-math.ceil(float(half.max())) - 1, math.ceil(float(half.max())) + 2, device=u.device)
    steep = down.abs() > right.abs()
    slope = torch.where(steep, right / torch.where(steep, down, 1.0), down / torch.where(steep, 1.0, right))
    beside = (steps * slope).floor()[:, :, None] + torch.arange(-1, 3, device=u.device)  # four cells hold all within 1
    along = steps[None, :, None].expand_as(beside)
    x, y = (torch.where(steep[:, :, None], a, b).flatten(1) for a, b in ((beside, along), (along, beside)))
    distance = y * right - x * down
    beyond = torch.where(torch.hypot(x, y) >= half, half - (x * right + y * down).abs(), 0.0)
    weights = (1 - torch.hypot(distance, beyond)).clamp_(min=0)
    return y.long(), x.long(), weights / weights.sum(1, keepdim=True)


def line_kernel(u: float, v: float) -> Kernel:
    """The PSF of one line, see `draw_lines`."""
    rows, columns, weights = draw_lines(torch.tensor([u], dtype=torch.float64), torch.tensor([v], dtype=torch.float64))
    used = weights > 0
    radius = int(max(rows[used].abs().max(), columns[used].abs().max()))
    psf = torch.zeros(2 * radius + 1, 2 * radius + 1, dtype=torch.float64)
    psf[rows[used] + radius, columns[used] + radius] = weights[used]
    return Kernel(psf.float().numpy())
