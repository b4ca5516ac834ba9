"""Kim & Lee: the scene and a straight motion of every pixel's own, by one energy, from coarse to fine.

Kim, Lee. Segmentation-free Dynamic Scene Deblurring. CVPR 2014. Over the scene L and the motion u, minimise

    E(L, u) = sum_g |d_g (A(u) L - B)| + |D L| / mu + nu sum w |D u|,   g: 1, the right and the lower difference,

where A(u) averages along a line about each pixel, and w is small where the image B has edges. At each level the motions are
chosen anew among candidates; then the scene is improved for the motion, and the motion for the scene.

What the paper's abstract says is certain: one energy with robust terms and total variation, a motion of every pixel without
segmentation, coarse to fine, kernels that are initialised anew at each level. Its formulas were not at hand: the weights,
numbers of steps and solvers are our reading. Ours alone are

- how candidates are compared (`evidence`). A scene that was restored for a motion has a lower E there than at the true
  motion, and no motion at all has the lowest total variation: the energy cannot compare them. In what we measured the
  steps on the motion hardly changed what had been chosen; they are exact where the scene is known.
- that an image comes back as it is where its edges are too steep for what is found, or little of it moves, and that total
  variation with unknown edges undoes the motion in the end.

Ten of BSDS500's test images, blurred by lines of 5 and 9 px with 0.5 % of noise, gain 2.2 and 2.6 dB on average, none
less than 0.7. Of 45 sharp ones, by which some limits were set, all come back as they are.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.deconvolution import Blur, Lines, noise_level
from restorekit.deconvolution.gradients import divergence, gradient
from restorekit.deconvolution.steepness import may_be_blurred
from restorekit.models.blind_deconvolution import INEXACT, NO_BLUR, BlindDeconvolution, is_flat, luma
from restorekit.models.config import Count
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

SHRINK = 0.7  # from a level to the next coarser one
SHORTEST = 5.0  # px that the longest motion measures at the coarsest level; less would tell nothing
FIDELITY = 7.0  # mu
SMOOTHNESS = 0.08  # nu
EDGE = 25 / 255  # w = exp(-|D B|^2 / EDGE^2)
STEPS = 60  # of both primal-dual methods
WARPS = 3  # linearisations of A(u) L in a step on the motion
DUAL = 10.0  # times as large are the steps of the dual variables of a motion, and so much smaller its own
WINDOW, STRIDE = 32, 16  # px of a window in which candidates are compared, and from one to the next
WEDGES = 8  # of directions in a spectrum, each with a contrast of its own: a window may hold one edge
LOWEST, HIGHEST = 0.15, 2.9  # radians per pixel that are compared: within, neither the window nor the corners count
FALL, LENS = 0.5, 0.12  # the gradients of sharp photographs have the power f^-0.5 exp(-0.12 f^2); fitted on BSDS500's
DEFOCUS = (0.0, 1.0, 2.0)  # px: more is lost by exp(-d^2 f^2), in all directions alike; not known either
CONTRASTS = tuple(10 ** (step / 3 - 6) for step in range(19))  # powers that a wedge may have
ANGLES = 16
BOX = 5  # windows on a side over which costs are averaged
ADVANTAGE = 4.0  # what motion must explain better than none, in units of the log-likelihood
AGREEMENT = 6.0  # cost of a pixel between the motions of neighbouring windows
APART = 6.0  # pixels that count at most
SWEEPS = 20
FEWEST = 0.5  # of all pixels: of sharp photographs up to a third seems to move, of those blurred by a line 3/4 or more

spec = Spec(
    name="kim-lee-2014",
    task="deblur",
    summary="every pixel's motion and the scene, by one energy",
    paper="Kim & Lee, CVPR 2014",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=1500,
    half_precision=False,  # Fourier transforms
    blur="any",
    estimates=True,
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    longest: Count = 15
    """Pixels of the longest motion that is looked for, where the longest side has at most `side`."""
    side: Count = 640
    """Larger images are reduced to this longest side while motion is looked for."""


class KimLee(BlindDeconvolution[Config]):
    """The method."""

    inexact = INEXACT

    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Find the motion field from coarse to fine."""
        height, width = rgb.shape[-2:]
        factor = max(1.0, max(height, width) / self.config.side)
        image = _resize(luma(rgb.float().cpu()), round(height / factor), round(width / factor))
        if min(image.shape[-2:]) < 2 * WINDOW or is_flat(image):
            return NO_BLUR
        field = find_motion(image, self.config.longest, listener)
        lines = _lines(field)
        if (field.norm(dim=0) > 1).float().mean() < FEWEST or not may_be_blurred(image, lines):
            return NO_BLUR
        return lines if factor == 1 else lines.enlarge(factor, height, width)


def build(config: Config) -> KimLee:
    """Make the method."""
    return KimLee(config)


def find_motion(blurred: Tensor, longest: float, listener: Listener = PATIENT) -> Tensor:
    """The motion of every pixel.

    Args:
        blurred: (1,1,H,W) in 0..1, no side below `2 * WINDOW`.
        longest: pixels of the longest motion.
        listener: hears of every level.

    Returns:
        (2,H,W): pixels right and down during the exposure; 1 and below is none, see `Lines`.
    """
    factors = [1.0]
    while min(longest / SHORTEST, min(blurred.shape[-2:]) / (2 * WINDOW)) * factors[-1] * SHRINK >= 1:
        factors.append(factors[-1] * SHRINK)
    field = blurred.new_zeros(2, 1, 1)
    for number, factor in enumerate(reversed(factors)):
        listener.begin(f"level {number + 1} of {len(factors)}")
        image = _resize(blurred, *(round(side * factor) for side in blurred.shape[-2:]))
        parents = F.interpolate(field[None] / SHRINK, image.shape[-2:], mode="nearest")[0]
        field = choose_motion(image, parents, longest * factor, listener)
        scene = scene_step(image, image, field, listener)
        field = motion_step(image, scene, field, listener)
    return field


def _lines(field: Tensor) -> Lines:
    return Lines(field[0].numpy(), field[1].numpy())


def energy(blurred: Tensor, scene: Tensor, field: Tensor) -> float:
    """E(L, u), see above.

    Args:
        blurred, scene: (1,1,H,W).
        field: (2,H,W).
    """
    residual = _lines(field).on(scene).forward(scene) - blurred
    data = sum(float(part.abs().sum()) for part in (residual, *gradient(residual)))
    variation = torch.hypot(*gradient(scene)).sum() / FIDELITY
    turns = _smoothness(blurred) * torch.hypot(*gradient(field))
    return data + float(variation) + float(turns.sum())


def _smoothness(blurred: Tensor) -> Tensor:
    """Weight of the motion's variation: nu w, (1,H,W)."""
    across, down = gradient(blurred[0])
    weight = SMOOTHNESS * torch.exp(-(across.square() + down.square()) / EDGE**2)
    return weight.clamp(min=1e-6)  # of no weight no step would be finite


def scene_step(blurred: Tensor, scene: Tensor, field: Tensor, listener: Listener = PATIENT) -> Tensor:
    """Lower E over the scene, by the primal-dual method of Chambolle & Pock, J. Math. Imaging and Vision 40(1), 2011.

    Args:
        blurred, scene: (1,1,H,W); the scene is where to begin.
        field: (2,H,W).
        listener: may end it.
    """
    operator = _lines(field).on(scene)
    # |A|^2 is at most the product of the largest sums of a row, 1, and of a column; |D|^2 is at most 8.
    step = 0.99 / math.sqrt(9 * float(operator.adjoint(torch.ones_like(scene)).max()) + 8)
    new = ahead = scene
    value, right, below, across, down = (torch.zeros_like(scene) for _ in range(5))
    for _ in range(STEPS):
        listener.go_on()
        value, right, below = _data_duals(operator.forward(ahead) - blurred, (value, right, below), (step, step, step))
        across, down = _shorten(across, down, gradient(ahead), step, 1 / FIDELITY)
        pull = operator.adjoint(value + divergence(right, below)) + divergence(across, down)
        before, new = new, new - step * pull
        ahead = 2 * new - before
    return new if energy(blurred, new, field) < energy(blurred, scene, field) else scene


def motion_step(blurred: Tensor, scene: Tensor, field: Tensor, listener: Listener = PATIENT) -> Tensor:
    """Lower E over the motion, where A(u) L is linearised several times.

    Args:
        blurred, scene: (1,1,H,W).
        field: (2,H,W), where to begin.
        listener: may end it.
    """
    field = align(field)
    least = energy(blurred, scene, field)
    weight = _smoothness(blurred)
    for _ in range(WARPS):
        rest = (_lines(field).on(scene).forward(scene) - blurred)[0]
        tried = _solve_motion(field, slope(scene, field), rest, weight, listener)
        reached = energy(blurred, scene, tried)
        if reached >= least:
            break
        field, least = tried, reached
    return field


def _solve_motion(field: Tensor, along: Tensor, rest: Tensor, weight: Tensor, listener: Listener) -> Tensor:
    """The v within a pixel of u that minimises sum_g |d_g (along . (v - u) + rest)| + sum weight |D v|.

    Every variable has a step of its own: Pock & Chambolle, Diagonal preconditioning for first order primal-dual
    algorithms in convex optimization, ICCV 2011.

    Args:
        field: u (2,H,W).
        along: derivative of A(u) L (2,H,W).
        rest: A(u) L - B (1,H,W).
        weight: (1,H,W).
        listener: may end it.
    """
    size = along.abs().sum(0, keepdim=True).clamp(min=1e-6)
    steps = tuple(DUAL / total for total in (size, size + size.roll(-1, 2), size + size.roll(-1, 1)))
    step = 1 / (DUAL * (5 * along.abs() + 4 * weight))
    new = ahead = field
    value, right, below = (torch.zeros_like(rest) for _ in range(3))
    across, down = (torch.zeros_like(field) for _ in range(2))
    for _ in range(STEPS):
        listener.go_on()
        residual = (along * (ahead - field)).sum(0, keepdim=True) + rest
        value, right, below = _data_duals(residual, (value, right, below), steps)
        across, down = _shorten(across, down, gradient(ahead), DUAL / 2 * weight, weight)
        pull = along * (value + divergence(right, below)) + divergence(across, down)
        before, new = new, torch.clamp(new - step * pull, field - 1, field + 1)
        ahead = 2 * new - before
    return new


def _data_duals(
    residual: Tensor, duals: tuple[Tensor, Tensor, Tensor], steps: tuple[Tensor | float, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """One step up of the multipliers of a residual and of its two differences; all stay within -1..1."""
    parts = (residual, *gradient(residual))
    value, right, below = (
        (dual + step * part).clamp_(-1, 1) for dual, step, part in zip(duals, steps, parts, strict=True)
    )
    return value, right, below


def _shorten(
    across: Tensor, down: Tensor, differences: tuple[Tensor, Tensor], step: Tensor | float, most: Tensor | float
) -> tuple[Tensor, Tensor]:
    """One step up of the multipliers of a total variation; as vectors they stay within the length `most`."""
    across, down = across + step * differences[0], down + step * differences[1]
    longer = (torch.hypot(across, down) / most).clamp_(min=1)
    return across / longer, down / longer


def line_mean(image: Tensor, field: Tensor, moment: int = 0) -> Tensor:
    """The mean of t^moment image(x + t u) over t from -1/2 to 1/2; beyond the edge the edge goes on.

    Args:
        image: (1,C,H,W).
        field: u (2,H,W).
        moment: 0 or 1.

    Returns:
        (1,C,H,W).
    """
    height, width = image.shape[-2:]
    samples = max(2, math.ceil(float(torch.linalg.vector_norm(field, dim=0).max())))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([x, y], -1).to(field)
    half = field.new_tensor([width - 1, height - 1]) / 2  # grid_sample measures from -1 to 1
    total = torch.zeros_like(image)
    for number in range(samples):
        t = (number + 0.5) / samples - 0.5
        grid = (place + t * field.permute(1, 2, 0)) / half - 1
        total += t**moment * F.grid_sample(image, grid[None], padding_mode="border", align_corners=True)
    return total / samples


def slope(scene: Tensor, field: Tensor) -> Tensor:
    """The derivative (2,H,W) of `line_mean` of a scene (1,1,H,W) by the motion: the mean of t D L(x + t u)."""
    across, down = torch.gradient(scene, dim=(3, 2))
    return line_mean(torch.cat([across, down], 1), field, moment=1)[0]


def align(field: Tensor) -> Tensor:
    """The same motions (2,H,W) with signs that agree: u and -u are one blur, but would count as an edge."""
    u, v = field.double()
    axis = 0.5 * torch.atan2((2 * u * v).sum(), (u * u - v * v).sum())  # of most motion; it has no sign either
    field = torch.where(u * axis.cos() + v * axis.sin() < 0, -field, field)
    near = F.avg_pool2d(field[None], 9, 1, 4)[0]
    return torch.where((near * field).sum(0) < 0, -field, field)


def choose_motion(blurred: Tensor, parents: Tensor, longest: float, listener: Listener = PATIENT) -> Tensor:
    """The kernels anew: in windows, the motion that explains them best and agrees with that of their neighbours.

    Candidates are no motion, a polar grid, and all motions of the coarser level, to half a pixel.

    Args:
        blurred: (1,1,H,W).
        parents: (2,H,W), the motion of the coarser level.
        longest: length of the longest candidates of the grid.
        listener: may end it.

    Returns:
        (2,H,W), constant in squares of `STRIDE` px.
    """
    power = window_power(blurred)
    rows, columns = power.shape[:2]
    y, x = (torch.arange(count) * STRIDE + WINDOW // 2 for count in (rows, columns))
    coarser = torch.unique((2 * parents[:, y[:, None], x].flatten(1).T).round(), dim=0) / 2
    candidates = torch.cat([torch.zeros(1, 2), polar_grid(longest), coarser[coarser.norm(dim=1) > 1]])
    cost = evidence(power.flatten(0, 1), candidates, noise_level(blurred), listener).T.reshape(-1, rows, columns)
    cost = F.avg_pool2d(F.pad(cost[None], (BOX // 2,) * 4, mode="replicate"), BOX, 1)[0]
    cost[1:] += ADVANTAGE
    chosen = candidates[agree(cost, candidates)].permute(2, 0, 1)
    row, column = (
        ((torch.arange(length) - WINDOW / 2) / STRIDE).round().long().clamp(0, count - 1)
        for length, count in zip(blurred.shape[-2:], (rows, columns), strict=True)
    )
    return chosen[:, row[:, None], column].contiguous()


def polar_grid(longest: float) -> Tensor:
    """Motions (K,2) of 3, 5, ... px in 16 directions."""
    lengths = torch.arange(3, max(longest, 3) + 0.01, 2)
    angles = torch.arange(ANGLES) * (math.pi / ANGLES)
    return (lengths[:, None, None] * torch.stack([angles.cos(), -angles.sin()], -1)).flatten(0, 1)


def agree(cost: Tensor, candidates: Tensor) -> Tensor:
    """Choose a candidate for every window, one after the other the cheapest by itself and beside its four neighbours.

    Iterated conditional modes: Besag, J. Royal Statistical Society B 48(3), 1986.

    Args:
        cost: (K,h,w).
        candidates: (K,2).

    Returns:
        (h,w), numbers of candidates.
    """
    same, opposite = (torch.cdist(candidates, other) for other in (candidates, -candidates))
    apart = AGREEMENT * torch.minimum(same, opposite).clamp(max=APART)
    chosen = cost.argmin(0)
    y, x = (torch.arange(side) for side in chosen.shape)
    even = (y[:, None] + x) % 2 == 0  # of a chessboard: no two of one colour are neighbours
    for _ in range(SWEEPS):
        for colour in (even, ~even):
            far = F.pad(apart[:, chosen], (1, 1, 1, 1))
            total = cost + far[:, :-2, 1:-1] + far[:, 2:, 1:-1] + far[:, 1:-1, :-2] + far[:, 1:-1, 2:]
            chosen = torch.where(colour, total.argmin(0), chosen)
    return chosen


def window_power(image: Tensor) -> Tensor:
    """The power spectra (h,w,F) of both differences of an image (1,1,H,W), summed, in overlapping windows.

    White noise of variance 1 has the power |D|^2 of the differences.
    """
    bell = torch.hann_window(WINDOW, periodic=False)
    bell = bell[:, None] * bell
    power = torch.zeros(())
    for differences in gradient(image[0, 0]):
        windows = differences[:-1, :-1].unfold(0, WINDOW, STRIDE).unfold(1, WINDOW, STRIDE)
        power = power + torch.fft.rfft2(windows * (bell / bell.norm())).abs().square()
    return power.flatten(2)


def evidence(power: Tensor, candidates: Tensor, noise: float, listener: Listener = PATIENT) -> Tensor:
    """How badly each motion explains each window: minus the log-likelihood of its spectrum, but for a constant.

    A scene's gradients are taken as Gaussian with the spectrum of sharp photographs, so the spectrum that a blur leaves is
    known but for the contrast, and all scenes are integrated over. That is what Levin et al., Understanding blind
    deconvolution algorithms, PAMI 33(12), 2011, put in place of the best scene; unknown contrasts of windows are from
    Chakrabarti, Zickler, Freeman, Analyzing spatially-varying blur, CVPR 2010. Here each direction has its own, so that a
    lone edge is not taken for motion along it, and the scene may be out of focus.

    Args:
        power: (W,F), see `window_power`.
        candidates: (K,2).
        noise: standard deviation of the image's noise.
        listener: may end it.

    Returns:
        (W,K).
    """
    down, across = torch.meshgrid(
        2 * math.pi * torch.fft.fftfreq(WINDOW), 2 * math.pi * torch.fft.rfftfreq(WINDOW), indexing="ij"
    )
    radius = torch.hypot(across, down)
    wedge = (torch.atan2(down, across) / math.pi * WEDGES).round().long() % WEDGES
    wedge[(radius < LOWEST) | (radius > HIGHEST)] = WEDGES  # in none
    counted = torch.ones_like(radius)
    counted[:, [0, -1]] = 0.5  # the transform of real values has these columns twice
    sharp = radius.clamp(min=LOWEST) ** -FALL * torch.exp(-LENS * radius.square())
    grain = noise**2 * (4 - 2 * across.cos() - 2 * down.cos())
    kept = line_transfer(candidates, across, down).square()
    least = torch.full((len(power), len(candidates)), math.inf)
    for defocus in DEFOCUS:
        expected = _leak(kept * sharp * torch.exp(-((defocus * radius) ** 2)))
        cost = torch.zeros_like(least)
        for number in range(WEDGES):
            listener.go_on()
            part = wedge == number
            seen, weight = power[:, part.flatten()] * counted[part], counted[part]
            best = torch.full_like(least, math.inf)
            for contrast in CONTRASTS:
                model = contrast * expected[:, part] + grain[part]
                best = torch.minimum(best, torch.addmm(model.log() @ weight, seen, model.reciprocal().T))
            cost += best
        least = torch.minimum(least, cost)
    return least


def line_transfer(motions: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """The Fourier transform (K,...) of lines (K,2) as `Lines` counts them, at frequencies (...) in radians per pixel."""
    length = motions.norm(dim=1)[:, None, None]
    ahead = motions / motions.norm(dim=1, keepdim=True).clamp(min=1e-6)
    along = (across * ahead[:, :1, None] + down * ahead[:, 1:, None]) / (2 * math.pi)
    return torch.sinc(along * length.clamp(min=1)) / torch.sinc(along)


def _leak(power: Tensor) -> Tensor:
    """Power (...,WINDOW,WINDOW/2+1) spread to the neighbouring frequencies, as the windows' bells do."""
    power = (power.roll(1, -2) + 4 * power + power.roll(-1, -2)) / 6
    left, right = (
        torch.cat(parts, -1)
        for parts in (
            (power[..., 1:2], power[..., :-1]),
            (power[..., 1:], power[..., -2:-1]),
        )
    )
    return (left + 4 * power + right) / 6


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(0, 1)
