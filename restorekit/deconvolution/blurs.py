"""What blurred an image, as a linear map A of the scene: one interface, and the two kinds that convolve.

A blur is a description and knows no canvas; `on` makes it act on tensors of one size. What happens at a canvas's own edges
is left to the kind: `Kernel` and `Windows` wrap around, `Lines` and `Shake` repeat the edge. So the scene gets a canvas
that is larger than the image by the blur's radius (see `edges`), and nothing of that is seen.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restorekit.deconvolution.fourier import Size, fast_size, transform, transform_back
from restorekit.deconvolution.gradients import divergence, gradient, gradient_power
from restorekit.errors import UsageError

CG_STEPS = 8  # of one solution; those that call it in a loop start where the last one ended


class Operator(ABC):
    """A blur on a canvas of one size, type and device."""

    @abstractmethod
    def forward(self, scene: Tensor) -> Tensor:
        """Blur (N,C,H,W): A x."""

    @abstractmethod
    def adjoint(self, image: Tensor) -> Tensor:
        """The exact adjoint, A' y of (N,C,H,W)."""

    def project(self, image: Tensor) -> Tensor:
        """What `solve` must know of y (N,C,H,W): here y itself."""
        return image

    def solve(self, projected: Tensor, prior: Tensor, data: float, smooth: float, start: Tensor) -> Tensor:
        """Solve (data A'A + smooth D'D) x = data A'y + smooth prior, D being the gradient; here by conjugate gradients.

        Args:
            projected: `project(y)`.
            prior: (N,C,H,W).
            data, smooth: weights above 0.
            start: (N,C,H,W), from where to begin.

        Returns:
            x (N,C,H,W).
        """
        return self.solve_and_blur(projected, prior, data, smooth, start)[0]

    def solve_and_blur(
        self, projected: Tensor, prior: Tensor, data: float, smooth: float, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The x of `solve`, and A x (N,C,H,W), which comes with it for less than by `forward`."""
        x, blurred = start.clone(), self.forward(start)
        residual = self.adjoint(projected - blurred).mul_(data)
        residual.add_(prior - divergence(*gradient(x)), alpha=smooth)
        direction, energy = residual.clone(), _energy(residual)
        for _ in range(CG_STEPS):
            spread = self.forward(direction)
            image = self.adjoint(spread).mul_(data).add_(divergence(*gradient(direction)), alpha=smooth)
            step = energy / (direction * image).sum(dtype=torch.float64).clamp(min=1e-30)
            x.addcmul_(direction, step.to(x.dtype))
            blurred.addcmul_(spread, step.to(x.dtype))
            residual.addcmul_(image, step.to(x.dtype), value=-1)
            before, energy = energy, _energy(residual)
            direction.mul_((energy / before.clamp(min=1e-30)).to(x.dtype)).add_(residual)
        return x, blurred


def _energy(residual: Tensor) -> Tensor:
    return residual.square().sum(dtype=torch.float64)


class Blur(ABC):
    """How a scene became an image. A value: it pickles, and nothing on it changes."""

    @property
    @abstractmethod
    def radius(self) -> int:
        """Pixels that a point spreads at most, up, down, left or right."""

    @property
    def is_identity(self) -> bool:
        """Whether it is known to change nothing."""
        return False

    @abstractmethod
    def crop(self, top: int, left: int, height: int, width: int) -> "Blur":
        """The blur of a part of the image, which may go beyond it: there what is at the edge goes on."""

    @abstractmethod
    def enlarge(self, factor: float, height: int, width: int) -> "Blur":
        """The blur of the same image where it is larger.

        Args:
            factor: by which it is, at least 1.
            height, width: of the larger image in pixels.
        """

    @abstractmethod
    def on(self, canvas: Tensor) -> Operator:
        """The operator for tensors like (N,C,H,W), whose pixel (0, 0) is that of the blur."""


@dataclass(frozen=True, eq=False)
class Kernel(Blur):
    """One PSF everywhere: convolution.

    Raises:
        UsageError: no odd sides, negative or not finite values, or a sum that is not 1.
    """

    psf: NDArray[np.float32]
    """(K,L), K and L odd, sum 1; its middle is where an unmoved point stays."""

    def __post_init__(self) -> None:
        check_psf(self.psf)

    def __str__(self) -> str:
        return f"PSF of {self.psf.shape[1]}x{self.psf.shape[0]} px"

    @property
    def radius(self) -> int:
        """Half the longer side."""
        return int(max(self.psf.shape)) // 2

    @property
    def is_identity(self) -> bool:
        """Whether only the middle counts."""
        return np.count_nonzero(self.psf) == 1 and bool(self.psf[self.psf.shape[0] // 2, self.psf.shape[1] // 2])

    def crop(self, top: int, left: int, height: int, width: int) -> "Kernel":
        """Itself."""
        return self

    def enlarge(self, factor: float, height: int, width: int) -> "Kernel":
        """The PSF with larger sides."""
        return self if self.is_identity else Kernel(_enlarge(self.psf, factor))

    def on(self, canvas: Tensor) -> "KernelOperator":
        """Take the PSF's Fourier transform once."""
        height, width = canvas.shape[-2:]
        psf = torch.tensor(self.psf).to(canvas)
        if psf.shape[0] > height or psf.shape[1] > width:
            raise UsageError(f"A PSF of {psf.shape[1]}x{psf.shape[0]} px is larger than {width}x{height} px.")
        return KernelOperator(_transfer(psf, height, width), (height, width))


def _enlarge(psfs: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """PSFs (...,K,L) as many times as large, by linear interpolation about their middles."""
    padded = F.pad(torch.tensor(psfs).reshape(-1, 1, *psfs.shape[-2:]), (1, 1, 1, 1))
    before = [side // 2 for side in padded.shape[-2:]]
    after = [math.ceil(radius * factor) - 1 for radius in before]
    # affine_grid measures from -1 to 1, whatever the side.
    y, x = (new / (factor * old) for new, old in zip(after, before, strict=True))
    transform = torch.tensor([[x, 0, 0], [0, y, 0]]).expand(len(padded), 2, 3)
    size = (len(padded), 1, *(2 * radius + 1 for radius in after))
    grid = F.affine_grid(transform, list(size), align_corners=True)
    enlarged = F.grid_sample(padded, grid, align_corners=True).numpy()[:, 0]
    enlarged /= enlarged.sum(axis=(1, 2), keepdims=True)
    return enlarged.reshape(*psfs.shape[:-2], *size[2:])


def check_psf(psf: NDArray[np.floating]) -> None:
    """Check one PSF, or several in an array (...,K,L).

    Raises:
        UsageError: see `Kernel`.
    """
    height, width = psf.shape[-2:] if psf.ndim >= 2 else (0, 0)
    if height % 2 == 0 or width % 2 == 0:
        raise UsageError(f"A PSF has odd sides, not {' x '.join(map(str, psf.shape))}.", "Pad it with zeros.")
    if not np.isfinite(psf).all() or psf.min() < 0:
        raise UsageError("A PSF holds values that are negative or not finite.")
    if np.abs(psf.sum(axis=(-2, -1), dtype=np.float64) - 1).max() > 1e-3:
        raise UsageError("The values of a PSF do not sum to 1.")


def as_psf(values: NDArray[Any]) -> NDArray[np.float32]:
    """Make PSFs of values (...,K,L) from anywhere: even sides get a row or column of zeros behind, the sum becomes 1.

    Raises:
        UsageError: none is above 0, or some are negative or not finite.
    """
    values = np.asarray(values, np.float64)
    if values.ndim < 2 or 0 in values.shape:
        raise UsageError(f"An array of shape {values.shape} holds no PSF.")
    if not np.isfinite(values).all() or values.min() < 0:
        raise UsageError("A PSF holds values that are negative or not finite.")
    sums = values.sum(axis=(-2, -1), keepdims=True)
    if not sums.all():
        raise UsageError("A PSF is empty: all its values are 0.")
    even = [(0, 0)] * (values.ndim - 2) + [(0, 1 - side % 2) for side in values.shape[-2:]]
    return np.pad(values / sums, even).astype(np.float32)


def _transfer(psf: Tensor, height: int, width: int) -> Tensor:
    """The real Fourier transform (...,height,width//2+1) of PSFs (...,K,L) with their middle at (0, 0)."""
    rows, columns = psf.shape[-2:]
    placed = F.pad(psf, (0, width - columns, 0, height - rows))
    return transform(placed.roll((-(rows // 2), -(columns // 2)), (-2, -1)))


class KernelOperator(Operator):
    """Products of Fourier transforms; the canvas is periodic.

    Args:
        otf: (H,W//2+1) complex.
        size: H, W.
    """

    def __init__(self, otf: Tensor, size: Size) -> None:
        self.otf, self.size = otf, size
        self.conjugate = otf.conj().resolve_conj()
        self.power = otf.real.square() + otf.imag.square()
        self.roughness = gradient_power(*size, self.power)

    def forward(self, scene: Tensor) -> Tensor:
        """Convolve."""
        return transform_back(transform(scene).mul_(self.otf), self.size)

    def adjoint(self, image: Tensor) -> Tensor:
        """Correlate."""
        return transform_back(self.project(image), self.size)

    def project(self, image: Tensor) -> Tensor:
        """The spectrum of the correlation."""
        return transform(image).mul_(self.conjugate)

    def solve(self, projected: Tensor, prior: Tensor, data: float, smooth: float, start: Tensor) -> Tensor:
        """The exact solution, a quotient; `start` does not matter."""
        return transform_back(self._quotient(projected, prior, data / smooth), self.size)

    def solve_and_blur(
        self, projected: Tensor, prior: Tensor, data: float, smooth: float, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `solve`; blurring its spectrum spares a transform."""
        spectrum = self._quotient(projected, prior, data / smooth)
        return transform_back(spectrum, self.size), transform_back(spectrum.mul_(self.otf), self.size)

    def solve_near(self, projected: Tensor, scene: Tensor, data: float, weight: float) -> Tensor:
        """Solve (data A'A + weight) x = data A'y + weight scene; see `Operator.solve`."""
        spectrum = transform(scene).mul_(weight).add_(projected, alpha=data)
        return transform_back(spectrum.mul_((data * self.power).add_(weight).reciprocal_()), self.size)

    def _quotient(self, projected: Tensor, prior: Tensor, data: float) -> Tensor:
        """The solution's spectrum where the weight of the gradients is 1."""
        inverse = torch.add(self.roughness, self.power, alpha=data).reciprocal_()  # complex division is slow
        return transform(prior).add_(projected, alpha=data).mul_(inverse)


@dataclass(frozen=True, eq=False)
class Windows(Blur):
    """A grid of PSFs, faded into each other: y = sum_r w_r (k_r * x) with tents w_r that sum to 1.

    Hirsch, Sra, Schoelkopf, Harmeling. Efficient filter flow for space-variant multiframe blind deconvolution. CVPR 2010.
    They weigh the scene; we weigh the image, so that what is constant stays so. The image is divided into equal cells, a
    PSF belongs to the middle of each; beyond the outer middles it goes on.

    Raises:
        UsageError: see `Kernel`.
    """

    psfs: NDArray[np.float32]
    """(R,S,K,L): of R rows and S columns of cells."""
    height: int
    width: int
    """Of the image that the cells divide."""
    top: int = 0
    left: int = 0
    """The place in it of what is restored."""

    def __post_init__(self) -> None:
        if self.psfs.ndim != 4 or 0 in self.psfs.shape[:2]:
            raise UsageError(f"A grid of PSFs has four axes, not the shape {self.psfs.shape}.")
        check_psf(self.psfs)

    def __str__(self) -> str:
        rows, columns, height, width = self.psfs.shape
        return f"{rows}x{columns} PSFs of {width}x{height} px"

    @property
    def radius(self) -> int:
        """Half the longer side of the PSFs."""
        return int(max(self.psfs.shape[2:])) // 2

    def crop(self, top: int, left: int, height: int, width: int) -> "Windows":
        """The same PSFs, seen from elsewhere."""
        return replace(self, top=self.top + top, left=self.left + left)

    def enlarge(self, factor: float, height: int, width: int) -> "Windows":
        """As many PSFs with larger sides."""
        return Windows(_enlarge(self.psfs, factor), height, width)

    def on(self, canvas: Tensor) -> "WindowsOperator":
        """Lay out the tents, and take the Fourier transforms of the PSFs that they let through."""
        rows, columns = canvas.shape[-2:]
        tents = (
            cell_tents(self.psfs.shape[0], self.height, self.top, rows),
            cell_tents(self.psfs.shape[1], self.width, self.left, columns),
        )
        used = [np.flatnonzero(tent.any(axis=1)) for tent in tents]
        return WindowsOperator(
            self.psfs[np.ix_(used[0], used[1])],
            torch.from_numpy(tents[0][used[0]]).to(canvas),
            torch.from_numpy(tents[1][used[1]]).to(canvas),
        )


def cell_middles(count: int, length: int) -> NDArray[np.int64]:
    """The pixels in the middle of `count` cells that divide `length` pixels; rounded half up."""
    return np.floor((np.arange(count) + 0.5) * length / count).astype(np.int64)


def cell_tents(count: int, length: int, start: int, size: int) -> NDArray[np.float64]:
    """(count,size): how much every cell counts at the pixels from `start` on, where `count` cells divide `length` pixels."""
    middles = cell_middles(count, length)
    at = np.clip(np.arange(start, start + size), middles[0], middles[-1])
    return np.stack([np.interp(at, middles, one) for one in np.eye(count)])


class WindowsOperator(Operator):
    """All cells in one batch of Fourier transforms; the canvas is periodic.

    Args:
        psfs: (R,S,K,L).
        down, across: (R,H) and (S,W), the tents.
    """

    def __init__(self, psfs: NDArray[np.float32], down: Tensor, across: Tensor) -> None:
        self.sides: Size = psfs.shape[2], psfs.shape[3]
        self.canvas = down.shape[1], across.shape[1]
        self.rows, self.columns = _spans(down), _spans(across)
        self.window = self.rows[0].stop - self.rows[0].start, self.columns[0].stop - self.columns[0].start
        self.size = fast_size(*(window + side - 1 for window, side in zip(self.window, self.sides, strict=True)))
        weights = [
            row[rows][:, None] * column[columns]
            for row, rows in zip(down, self.rows, strict=True)
            for column, columns in zip(across, self.columns, strict=True)
        ]
        self.weights = torch.stack(weights)[:, None, None]  # (RS,1,1,h,w)
        turned = torch.tensor(psfs.reshape(-1, *self.sides)).to(down).flip(-2, -1)
        self.otf = transform(turned, self.size)[:, None, None]  # not centred: results begin half a side earlier

    def forward(self, scene: Tensor) -> Tensor:
        """Cut windows with half a PSF around them out, convolve each with its PSF, and lay them over each other."""
        rows, columns = self.sides[0] // 2, self.sides[1] // 2
        grown = F.pad(scene, (columns, columns, rows, rows), mode="circular")
        windows = torch.stack([grown[..., row, column] for row, column in self._places(grown=True)])
        height, width = self.window
        blurred = self._filter(windows, self.otf.conj())[..., :height, :width] * self.weights
        total = torch.zeros_like(scene)
        for (row, column), window in zip(self._places(), blurred, strict=True):
            total[..., row, column] += window
        return total

    def adjoint(self, image: Tensor) -> Tensor:
        """The same steps backwards."""
        windows = torch.stack([image[..., row, column] for row, column in self._places()])
        spread = self._filter(windows * self.weights, self.otf)
        grown = image.new_zeros(*image.shape[:2], *(c + k - 1 for c, k in zip(self.canvas, self.sides, strict=True)))
        for (row, column), window in zip(self._places(grown=True), spread, strict=True):
            grown[..., row, column] += window[..., : row.stop - row.start, : column.stop - column.start]
        return _wrap(grown, *self.sides)

    def _places(self, grown: bool = False) -> list[tuple[slice, slice]]:
        """Where the windows lie on the canvas; or those with half a PSF around them, on the canvas with as much."""
        more = self.sides if grown else (1, 1)
        return [
            (slice(row.start, row.stop + more[0] - 1), slice(column.start, column.stop + more[1] - 1))
            for row in self.rows
            for column in self.columns
        ]

    def _filter(self, windows: Tensor, otf: Tensor) -> Tensor:
        return transform_back(transform(windows, self.size).mul_(otf), self.size)


def _spans(tents: Tensor) -> list[slice]:
    """Equally long parts of a line, each with all of its tent."""
    inside = [torch.nonzero(tent).flatten() for tent in tents]
    length = max(int(pixels[-1] - pixels[0]) + 1 for pixels in inside)
    starts = [min(int(pixels[0]), tents.shape[1] - length) for pixels in inside]
    return [slice(start, start + length) for start in starts]


def _wrap(grown: Tensor, rows: int, columns: int) -> Tensor:
    """Add what goes beyond one edge of a canvas, by half of `rows` and `columns`, to the opposite one."""
    for dim, margin in ((2, rows // 2), (3, columns // 2)):
        length = grown.shape[dim] - 2 * margin
        inside = grown.narrow(dim, margin, length).clone()
        inside.narrow(dim, length - margin, margin).add_(grown.narrow(dim, 0, margin))
        inside.narrow(dim, 0, margin).add_(grown.narrow(dim, margin + length, margin))
        grown = inside
    return grown


def sample_windows(blur: Blur, height: int, width: int, rows: int, columns: int) -> Windows:
    """The PSF in the middle of each cell, as a grid.

    Args:
        blur: of an image of that height and width.
        height, width: pixels.
        rows, columns: of cells.
    """
    radius = blur.radius
    side = 6 * radius + 1  # room, so that nothing meets the canvas's edges
    point = torch.zeros(1, 1, side, side)
    point[..., 3 * radius, 3 * radius] = 1
    near = slice(2 * radius, 4 * radius + 1)
    psfs = np.empty((rows, columns, 2 * radius + 1, 2 * radius + 1), np.float32)
    for row, y in enumerate(cell_middles(rows, height)):
        for column, x in enumerate(cell_middles(columns, width)):
            cell = blur.crop(int(y) - 3 * radius, int(x) - 3 * radius, side, side)
            # What the pixel in the middle is made of; turned by 180 degrees it is the PSF.
            gathered = cell.on(point).adjoint(point)[0, 0, near, near]
            psf = gathered.flip(0, 1).clamp(min=0)
            psfs[row, column] = (psf / psf.sum()).numpy()
    return Windows(psfs, height, width)
