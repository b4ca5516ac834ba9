"""The PSF between a blurred image and its sharp one."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from restorekit.deconvolution.blurs import Kernel, as_psf
from restorekit.deconvolution.fourier import fast_size, transform, transform_back
from restorekit.deconvolution.gradients import gradient
from restorekit.errors import UsageError

ITERATIONS = 150
FAINT = 0.02  # of the largest value: what is below is noise
SMALL = 0.05  # of the sum: so are parts that hold less and touch nothing else
HINT = 0.01  # of the largest value: from there on a pixel may belong to a path
NEAR = np.ones((3, 3))


def estimate_kernel(blurred: Tensor, sharp: Tensor, side: int) -> Kernel:
    """Find the PSF that makes the gradients of the sharp image those of the blurred one.

    Minimises |K * D S - D B|^2 over K >= 0 by FISTA (Beck & Teboulle, SIAM J. Imaging Sciences 2(1), 2009), at the pixels
    that nothing from beyond the edges has reached. A shift between the images becomes one of the PSF.

    Args:
        blurred, sharp: (1,C,H,W) of one size; channels are averaged.
        side: pixels that the PSF may measure, odd.

    Returns:
        The PSF, cut to what it needs.

    Raises:
        UsageError: the images differ in size, are not three times as large as `side`, or the sharp one has no edges.
    """
    if blurred.shape != sharp.shape:
        raise UsageError(
            f"The blurred image has {blurred.shape[-1]}x{blurred.shape[-2]} px, the sharp one "
            f"{sharp.shape[-1]}x{sharp.shape[-2]}."
        )
    if side < 1 or side % 2 == 0 or 3 * side > min(sharp.shape[-2:]):
        raise UsageError(
            f"A PSF of {side} px cannot be found in {sharp.shape[-1]}x{sharp.shape[-2]} px.",
            "Give an odd side of at most a third of the images'.",
        )
    radius = side // 2
    inner = np.s_[..., radius : sharp.shape[-2] - radius - 1, radius : sharp.shape[-1] - radius - 1]
    size = fast_size(*sharp.shape[-2:])
    spectra = transform(_edges(sharp), size)  # (2,h,w): wrapping round reaches no pixel of `inner`
    wanted = _edges(blurred)[inner]
    step = spectra.abs().square().sum(0).max()
    if not step > 0:
        raise UsageError("The sharp image has no edges, so nothing tells its blur.")

    def descend(psf: Tensor) -> Tensor:
        placed = psf.new_zeros(size)
        placed[:side, :side] = psf
        placed = placed.roll((-radius, -radius), (0, 1))
        error = psf.new_zeros(2, *size)
        error[inner] = transform_back(transform(placed) * spectra, size)[inner] - wanted
        slope = transform_back((transform(error) * spectra.conj()).sum(0), size)
        return (psf - slope.roll((radius, radius), (0, 1))[:side, :side] / step).clamp_(min=0)

    psf = momentum = sharp.new_full((side, side), 1 / side**2)
    speed = 1.0
    for _ in range(ITERATIONS):
        before, psf = psf, descend(momentum)
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        momentum = psf + (speed - 1) / faster * (psf - before)
        speed = faster
    if not psf.max() > 0:
        raise UsageError("The images have nothing in common that a PSF could explain.")
    return trim(psf.cpu().numpy())


def _edges(image: Tensor) -> Tensor:
    """Both differences (2,H,W) of the channels' mean; those of the last row and column mean nothing."""
    across, down = gradient(image.mean(1)[0])
    return torch.stack([across, down])


def trim(psf: NDArray[np.float32]) -> Kernel:
    """A PSF without noise and empty edges; of those equally much is cut on opposite sides."""
    psf = np.where(psf < FAINT * psf.max(), 0, psf)
    parts, count = ndimage.label(psf, NEAR)
    masses = ndimage.sum_labels(psf, parts, np.arange(count + 1))
    psf = np.where((masses < min(SMALL * psf.sum(), masses.max()))[parts], 0, psf)
    rows, columns = (np.flatnonzero(psf.any(axis=axis)) for axis in (1, 0))
    middle_row, middle_column = psf.shape[0] // 2, psf.shape[1] // 2
    high, wide = np.abs(rows - middle_row).max(), np.abs(columns - middle_column).max()
    psf = psf[middle_row - high : middle_row + high + 1, middle_column - wide : middle_column + wide + 1]
    return Kernel(np.asarray(psf / psf.sum(dtype=np.float64), np.float32))


def heaviest_part(psf: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a PSF the part that holds most, across gaps of two pixels: light moves along one path."""
    parts, count = ndimage.label(ndimage.binary_dilation(psf > HINT * psf.max(), NEAR), NEAR)
    masses = ndimage.sum_labels(psf, parts, np.arange(1, count + 1))
    return np.where(parts == 1 + masses.argmax(), psf, 0)


def centre(psf: NDArray[np.float32]) -> NDArray[np.float32]:
    """A PSF (K,L) with its centre of gravity in the middle."""
    away = [side // 2 - place for side, place in zip(psf.shape, ndimage.center_of_mass(psf), strict=True)]
    return as_psf(np.clip(ndimage.shift(np.pad(psf, 1), away, order=3, mode="grid-constant"), 0, None))
