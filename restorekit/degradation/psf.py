"""Point-spread functions (PSF) of motion during the exposure. Each sums to 1 and is centred."""

import numpy as np

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import PSF

MAX_LENGTH = 10_000  # px: a PSF of that side takes 400 MB
TRAJECTORY_SAMPLES = 2000  # points of a hand-held path, as DeblurGAN's generator has
DISC_SAMPLES = 8  # of a defocus disc, for a pixel and axis


def linear(length: float, angle: float) -> PSF:
    """PSF of a straight path at constant speed: the exposure-time integral of a square pixel along a segment.

    The weight of a cell is the exact length of the segment inside it, divided by the whole length: the segment is
    clipped against the grid lines it crosses, nothing is sampled.

    Args:
        length: distance travelled in pixels, at least 0 (0 gives the identity).
        angle: direction in degrees, counter-clockwise from the x axis with y up.

    Returns:
        (K,K) float32 with the smallest odd K that holds every cell the segment enters.

    Raises:
        UsageError: a negative or absurd length.
    """
    if not 0 <= length <= MAX_LENGTH:
        raise UsageError(f"A blur cannot be {length:g} px long.", f"Give 0 to {MAX_LENGTH}.")
    if length == 0:
        return np.ones((1, 1), np.float32)
    direction = np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))])  # x right, y down
    direction[np.abs(direction) < 1e-12] = 0
    half = length / 2
    radius = max(0, int(np.ceil(half * np.abs(direction).max() - 0.5)))  # cells beyond the central one
    lines = np.arange(-radius - 1, radius + 1) + 0.5
    crossings = [lines / d for d in direction if d]
    cuts = np.unique(np.clip(np.concatenate([*crossings, [-half, half]]), -half, half))
    middles = (cuts[1:] + cuts[:-1]) / 2
    column, row = np.rint(middles[:, None] * direction).astype(int).T + radius
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    np.add.at(kernel, (row, column), np.diff(cuts) / length)
    return np.asarray(kernel / kernel.sum(), np.float32)


def trajectory(rng: np.random.Generator, length: float, anxiety: float = 0.005, exposure: float = 1.0) -> PSF:
    """PSF of a hand-held camera: a particle with inertia, jitter and rare abrupt shakes.

    Boracchi & Foi, Modeling the performance of image restoration from motion blur, TIP 2012, section VI, with the
    parameter ranges that DeblurGAN's training uses. A step is v + anxiety * (G - I x) and has constant length; G is
    Gaussian jitter, I pulls back to the start, and with small probability the direction is reversed.

    Args:
        rng: source of the path and of its character (jitter, pull, probability of a shake).
        length: length of the whole path in pixels (a calm path is straight, a nervous one crumples).
        anxiety: 0 (a straight line) to about 0.005.
        exposure: part of the path during which the shutter is open, in (0, 1].

    Returns:
        (K,K) float32 with odd K, splatted bilinearly, centre of mass within half a pixel of the middle.
    """
    samples = TRAJECTORY_SAMPLES
    step = length / (samples - 1)
    pull, shake, jitter = 0.7 * rng.random(), 0.2 * rng.random(), 10 * rng.random()
    kicks = jitter * (rng.normal(size=samples) + 1j * rng.normal(size=samples))
    shaken = rng.random(samples) < shake * anxiety
    reversals = 2 * np.exp(1j * (np.pi + rng.random(samples) - 0.5))
    velocity = step * np.exp(2j * np.pi * rng.random())
    path = np.zeros(samples, complex)
    for t in range(1, samples):
        reversal = velocity * reversals[t] if shaken[t] else 0
        velocity += reversal + anxiety * (kicks[t] - pull * path[t - 1]) * step
        velocity *= step / max(abs(velocity), 1e-12)
        path[t] = path[t - 1] + velocity
    path = path[: max(1, round(samples * exposure))]
    points = np.stack([path.real, path.imag], axis=1)
    points -= points.mean(axis=0)
    radius = int(np.ceil(np.abs(points).max())) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    base = np.floor(points).astype(int)
    fraction = points - base
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - fraction[:, 0]) * np.abs(1 - dy - fraction[:, 1])
            np.add.at(kernel, (base[:, 1] + dy + radius, base[:, 0] + dx + radius), weight)
    return np.asarray(kernel / kernel.sum(), np.float32)


def draw_anxiety(rng: np.random.Generator) -> float:
    """Draw how nervous a hand is, for `trajectory`: 0.0001 to 0.006, each power of ten as often as the other."""
    return float(10 ** rng.uniform(-4, -2.2))


def defocus(radius: float) -> PSF:
    """PSF of a lens out of focus: a disc with anti-aliased edge.

    Args:
        radius: in pixels, at least 0; below 0.5 the disc is half a pixel.

    Returns:
        (K,K) float32 with K = 2 ceil(radius) + 1.
    """
    cells = int(np.ceil(radius))  # beyond the central one
    side, fine = 2 * cells + 1, DISC_SAMPLES
    grid = (np.arange(side * fine) + 0.5) / fine - cells - 0.5
    inside = grid[:, None] ** 2 + grid[None, :] ** 2 <= max(radius, 0.5) ** 2
    kernel = inside.reshape(side, fine, side, fine).sum(axis=(1, 3)).astype(float)
    return np.asarray(kernel / kernel.sum(), np.float32)
