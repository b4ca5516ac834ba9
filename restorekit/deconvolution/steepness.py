"""Whether an image can have been blurred as an estimate says: edges that are steeper than it leaves them show that not.

Predicted edges are steeper than those of a sharp photograph, so a blind method finds some blur there too. Within a window
around a step, one pixel has at most the share of its height that the PSF's projection onto its direction has in one pixel.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restorekit.deconvolution.blurs import Kernel, Windows
from restorekit.deconvolution.lines import Lines
from restorekit.deconvolution.noise import noise_level
from restorekit.deconvolution.prediction import LENS, edges_of, sample

DIRECTIONS = 4
RADIUS = 7  # px of the window in which an edge's height is measured
HIGH = 0.25  # of the image's contrast is the least height of an edge that counts
ABOVE_NOISE = 16  # standard deviations of the noise that it has at least
WIDENED = 0.3  # share of its height that a pixel has at most where the blur counts as visible
STEEP = 0.4  # share that it has in sharp images; 2 % of the edges of blurred ones may
FEW = 0.1  # of all edges: a blur that is visible at fewer counts as none
FEW_MOVING = 0.17  # the same of a motion field: in sharp images networks see motion here and there


def may_be_blurred(image: Tensor, blur: Kernel | Windows | Lines) -> bool:
    """Whether the edges of an image are as flat as a blur would have made them.

    Of 20 sharp photographs of BSDS500 none may be, by what `whyte` finds in them; of 8 that a PSF of 9 to 15 px blurred all
    may, and of 12 by a camera that rolled 2 degrees 9. The motion that `gong` finds in 29 of 30 sharp ones shows at 15 % of
    their edges at most, that of lines of 5 px at 20 % at least; what `sun` finds at 16 % in 27 sharp ones, and at 37 %.

    Args:
        image: (1,1,H,W) in 0..1.
        blur: of the whole image.
    """
    height = F.max_pool2d(image, 2 * RADIUS + 1, 1, RADIUS) + F.max_pool2d(-image, 2 * RADIUS + 1, 1, RADIUS)
    across, down = edges_of(image)
    turn = torch.atan2(down, across).remainder(math.pi) / math.pi
    direction = (turn * DIRECTIONS + 0.5).long() % DIRECTIONS
    low, high = torch.quantile(sample(image), torch.tensor([0.05, 0.95]).to(image))
    steepness = torch.hypot(across, down) / height[0, 0].clamp(min=1e-6)
    edge = (height[0, 0] > max(HIGH * float(high - low), ABOVE_NOISE * noise_level(image))) & (steepness > 0)
    left = torch.from_numpy(_steepest_of(blur)).to(image)
    row, column = (
        torch.arange(length, device=image.device) * count // length
        for length, count in zip(edge.shape, left.shape[:2], strict=True)
    )
    widened = steepness[edge & (left[row[:, None], column, direction] < WIDENED)]
    if len(widened) <= (FEW_MOVING if isinstance(blur, Lines) else FEW) * int(edge.sum()):
        return False
    return float(torch.quantile(sample(widened), 0.98)) < STEEP


def _steepest_of(blur: Kernel | Windows | Lines) -> NDArray[np.floating]:
    """(R,S,4): as `steepest`, for equal cells of the image; for motion fields those are its pixels."""
    if isinstance(blur, Lines):
        angles = math.pi * np.arange(DIRECTIONS, dtype=np.float32) / DIRECTIONS
        spread = np.abs(blur.u[..., None] * np.cos(angles) + blur.v[..., None] * np.sin(angles))
        return np.asarray(1 / np.maximum(spread, 1))
    return steepest(blur.psfs if isinstance(blur, Windows) else blur.psf[None, None])


def steepest(psfs: NDArray[np.float32]) -> NDArray[np.float64]:
    """(R,S,4): the largest share of a step's height in one pixel that PSFs (R,S,K,L) and a lens leave in each direction."""
    y, x = (places - side // 2 for places, side in zip(np.indices(psfs.shape[2:]), psfs.shape[2:], strict=True))
    left = np.empty((*psfs.shape[:2], DIRECTIONS))
    for direction in range(DIRECTIONS):
        angle = math.pi * direction / DIRECTIONS
        along = (x * math.cos(angle) + y * math.sin(angle)).ravel() + sum(psfs.shape[2:])  # above 0
        below = along.astype(int)
        for row, column in np.ndindex(psfs.shape[:2]):
            psf = psfs[row, column].ravel()
            bins = np.bincount(below, (1 - along + below) * psf, below.max() + 2)
            bins += np.bincount(below + 1, (along - below) * psf)
            left[row, column, direction] = np.convolve(bins, LENS).max()
    return left
