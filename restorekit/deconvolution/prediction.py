"""Sharp edges predicted from a blurred or half restored image: where a blind method begins.

Cho & Lee, Fast motion deblurring, SIGGRAPH Asia 2009, section 3: a bilateral filter takes noise away, a shock filter makes
edges steep, and of the gradients only large ones are kept, as many in every part of the image and every direction. From Xu
& Jia, Two-phase kernel estimation for robust motion deblurring, ECCV 2010, is that texture is left out. Ours: steep edges
are softened to those of a sharp photograph, or what they lack is found as blur.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.deconvolution.gradients import gradient

DECAY = 0.9  # of everything, from round to round: less and less is predicted
SPREAD = math.sqrt(2)  # of the bilateral filter, in pixels
RANGE = 0.5  # of it, times the image's contrast
CONTRAST = 0.8  # of all values lie between the two that the contrast is measured by
REGIONS = 3  # on a side, from which gradients are kept
DIRECTIONS = 4
LENS = torch.softmax(-(torch.arange(-3, 4) ** 2) / (2 * 0.7**2), 0)
"""What a lens and a sensor make of a point, along a line: a bell with a standard deviation of 0.7 px."""
WINDOW = 5  # px in which texture is told from edges
LEAST_SUM = 0.5  # px of a step of full height that a window holds at least, or it counts as texture
KEPT = 2 / 9  # times a PSF's area: gradients of every region and direction


def sharpen_edges(image: Tensor, round_: int) -> Tensor:
    """Smooth an image (1,1,H,W) and make its edges steep; less so in later rounds."""
    low, high = torch.quantile(sample(image), torch.tensor([(1 - CONTRAST) / 2, (1 + CONTRAST) / 2]).to(image))
    contrast = float(high - low) / CONTRAST
    smooth = bilateral(image, SPREAD / DECAY**round_, max(1e-4, RANGE * contrast * DECAY**round_))
    return shock(smooth, DECAY**round_)


def sample(image: Tensor) -> Tensor:
    """Values of an image, at most about a million, evenly spread: quantiles need no more."""
    flat = image.flatten()
    return flat[:: math.ceil(flat.numel() / 1e6)]


def soften(image: Tensor) -> Tensor:
    """Blur (1,1,H,W) as a lens and a sensor do."""
    weights = LENS.to(image)
    across = F.conv2d(F.pad(image, (3, 3, 0, 0), mode="replicate"), weights.view(1, 1, 1, 7))
    return F.conv2d(F.pad(across, (0, 0, 3, 3), mode="replicate"), weights.view(1, 1, 7, 1))


def usefulness(edges: Tensor) -> Tensor:
    """(H,W) of (2,H,W): towards 1 around a lone step, towards 0 in texture, where gradients cancel (Xu & Jia, eq. 2)."""
    each = edges.norm(dim=0, keepdim=True)
    padded = F.pad(torch.cat([edges, each])[None], (WINDOW // 2,) * 4, mode="replicate")
    mean = F.avg_pool2d(padded, WINDOW, 1)[0]
    return torch.hypot(mean[0], mean[1]) / (mean[2] + LEAST_SUM / WINDOW**2)


def bilateral(image: Tensor, spread: float, tone: float) -> Tensor:
    """Tomasi & Manduchi's filter on 5x5 pixels of (1,1,H,W); standard deviations in pixels and in values."""
    padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
    total, norm = torch.zeros_like(image), torch.zeros_like(image)
    height, width = image.shape[-2:]
    for down in range(5):
        for across in range(5):
            neighbour = padded[..., down : down + height, across : across + width]
            far = ((down - 2) ** 2 + (across - 2) ** 2) / (2 * spread**2)
            weight = torch.exp(-far - (neighbour - image).square() / (2 * tone**2))
            total.addcmul_(weight, neighbour)
            norm.add_(weight)
    return total / norm


def shock(image: Tensor, step: float) -> Tensor:
    """One step of Osher & Rudin's filter on (1,1,H,W): bright sides of an edge grow brighter, dark ones darker."""
    p = F.pad(image, (1, 1, 1, 1), mode="replicate")
    middle, left, right, up, down = (
        p[..., 1:-1, 1:-1],
        p[..., 1:-1, :-2],
        p[..., 1:-1, 2:],
        p[..., :-2, 1:-1],
        p[..., 2:, 1:-1],
    )
    x, y = (right - left) / 2, (down - up) / 2
    xy = (p[..., 2:, 2:] + p[..., :-2, :-2] - p[..., 2:, :-2] - p[..., :-2, 2:]) / 4
    bend = x * x * (right - 2 * middle + left) + 2 * x * y * xy + y * y * (down - 2 * middle + up)
    slope = torch.hypot(_smaller(right - middle, middle - left), _smaller(down - middle, middle - up))
    return middle - step * bend.sign() * slope


def _smaller(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of two differences, 0 where they disagree in sign: nothing beyond the neighbours' values arises."""
    return torch.where(a * b > 0, torch.minimum(a.abs(), b.abs()), torch.zeros_like(a))


def keep_large(edges: Tensor, psf_side: int, round_: int, mask: Tensor) -> Tensor:
    """Set small gradients to 0.

    Args:
        edges: (2,H,W), to the right and down.
        psf_side: pixels; the larger the PSF, the more gradients are needed.
        round_: later rounds keep more.
        mask: (H,W) bool, where gradients can be kept.

    Returns:
        (2,H,W).
    """
    height, width = mask.shape
    size = torch.hypot(edges[0], edges[1]) * mask
    turn = torch.atan2(edges[1], edges[0]).remainder(math.pi) / math.pi
    direction = (turn * DIRECTIONS + 0.5).long() % DIRECTIONS
    y = torch.arange(height, device=edges.device) * REGIONS // height
    x = torch.arange(width, device=edges.device) * REGIONS // width
    group = (y[:, None] * REGIONS + x) * DIRECTIONS + direction
    wanted = math.ceil(KEPT * psf_side**2)
    kept = torch.zeros_like(mask)
    for number in range(REGIONS * REGIONS * DIRECTIONS):
        members = group == number
        values = size[members]
        if len(values):
            threshold = values.topk(min(wanted, len(values))).values[-1] * DECAY**round_
            kept |= members & (size >= threshold) & (size > 0)
    neighbours = F.avg_pool2d(kept.to(edges)[None, None], 3, 1, 1)[0, 0] * 9
    return edges * (kept & (neighbours > 1.5))


def edges_of(image: Tensor) -> Tensor:
    """Differences (2,H,W) of (1,1,H,W) to the right and down; 0 at the last column and row."""
    across, down = (values[0, 0] for values in gradient(image))
    across[:, -1] = 0
    down[-1] = 0
    return torch.stack([across, down])
