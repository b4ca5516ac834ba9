"""Edges: an image hides what was blurred into it from beyond its frame, so the scene is restored on a larger canvas.

Mirroring the blurred image instead would be wrong: its mirror image was not blurred by the same PSF but by the mirrored one.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.deconvolution.blurs import Blur, Kernel
from restorekit.deconvolution.fourier import fast_size
from restorekit.errors import UsageError

TAPERS = 4  # as published code has it


@dataclass(frozen=True)
class Canvas:
    """Where the scene lives, and the image within."""

    height: int
    width: int
    """Of the canvas, sides that Fourier transforms like."""
    top: int
    left: int
    """Place of the image."""
    rows: int
    columns: int
    """Of the image."""

    @classmethod
    def around(cls, image: Tensor, blur: Blur) -> "Canvas":
        """The canvas of an image (N,C,H,W), larger on all sides by the blur's radius at least.

        Raises:
            UsageError: the blur spreads points wider than the image.
        """
        rows, columns = image.shape[-2:]
        side = 2 * blur.radius + 1
        if side > min(rows, columns):
            raise UsageError(
                f"The blur is {side} px wide, the image {columns}x{rows}.", "A blur must be smaller than its image."
            )
        height, width = fast_size(rows + side - 1, columns + side - 1)
        return cls(height, width, (height - rows) // 2, (width - columns) // 2, rows, columns)

    def grow(self, image: Tensor) -> Tensor:
        """The image (N,C,H,W) on its canvas, its edge repeated."""
        right, bottom = self.width - self.columns - self.left, self.height - self.rows - self.top
        return F.pad(image, (self.left, right, self.top, bottom), mode="replicate")

    def cut(self, scene: Tensor) -> Tensor:
        """The part of a canvas that the image shows."""
        return scene[..., self.top : self.top + self.rows, self.left : self.left + self.columns]

    def move(self, blur: Blur) -> Blur:
        """The image's blur on the canvas."""
        return blur.crop(-self.top, -self.left, self.height, self.width)

    def mask(self, like: Tensor) -> Tensor:
        """(1,1,height,width): 1 where the image is, else 0."""
        mask = like.new_zeros(1, 1, self.height, self.width)
        self.cut(mask).fill_(1)
        return mask


def taper(grown: Tensor, kernel: Kernel) -> Tensor:
    """Blur a canvas toward its edges so that it continues beyond them as if it were periodic.

    MATLAB's `edgetaper`, applied four times as the code of Krishnan and of Zoran does: y <- a y + (1 - a) (K * y), where a
    falls to 0 at the edges as the autocorrelation of the PSF's projections does.

    Args:
        grown: (N,C,H,W).
        kernel: the PSF.
    """
    operator = kernel.on(grown)
    psf = torch.tensor(kernel.psf).to(grown)
    keep = _ramp(psf.sum(1), grown.shape[2])[:, None] * _ramp(psf.sum(0), grown.shape[3])
    for _ in range(TAPERS):
        grown = torch.lerp(operator.forward(grown), grown, keep)
    return grown


def _ramp(projection: Tensor, length: int) -> Tensor:
    """(length,): 1 within, falling to 0 at both ends."""
    spectrum = torch.fft.rfft(projection, n=length - 1)
    correlation = torch.fft.irfft(spectrum.abs().square(), n=length - 1)
    correlation = torch.cat([correlation, correlation[:1]])
    return 1 - correlation / correlation.max()
