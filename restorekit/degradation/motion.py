"""Paths of a camera or an object during an exposure, and the poses that an image is averaged over.

A pose is (x, y, roll): where the content of the image has moved to, in pixels to the right and down, and how far it has
turned counter-clockwise, in degrees. Camera shake has six dimensions; these three explain what it leaves in an image, and
are what Koehler et al. (ECCV 2012) replayed.
"""

import math

import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.float64]
"""(K,3): poses at K equal steps of the exposure, the first at its beginning, the last at its end; straight in between."""

Matrices = NDArray[np.float64]
"""(N,2,3): affine maps of positions (x, y), one for each pose."""

KNOTS = 33  # of a drawn path
SMOOTHNESS = (0.3, 1.5)  # parts of the exposure over which a hand keeps its course
POSES = 64  # in an exposure leave a photograph's light within half a grey level of that of very many, ...
LONGEST = 1.5  # ... if none is farther than so many pixels from the next


def draw_path(rng: np.random.Generator, length: float, sweep: float) -> Path:
    """Draw a smooth path at random: three independent Gaussian processes, scaled.

    Args:
        rng: source of the path, and of how smooth it is.
        length: pixels travelled from beginning to end.
        sweep: degrees between the extremes of the roll.

    Returns:
        A path whose mean pose is zero.
    """
    times = np.linspace(0, 1, KNOTS)
    covariance = np.exp(-(((times[:, None] - times) / rng.uniform(*SMOOTHNESS)) ** 2) / 2)
    path = np.linalg.cholesky(covariance + 1e-9 * np.eye(KNOTS)) @ rng.standard_normal((KNOTS, 3))
    path[:, :2] *= length / np.hypot(*np.diff(path[:, :2], axis=0).T).sum()
    path[:, 2] *= sweep / np.ptp(path[:, 2])
    return path - np.trapezoid(path, times, axis=0)


def roll(sweep: float) -> Path:
    """The path of a camera that rolls steadily, by `sweep` degrees in all, centred on the image as it is."""
    return np.array([[0, 0, -sweep / 2], [0, 0, sweep / 2]])


def sections(travelled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide the exposure into sections that one pose in the middle of each can stand for: short ones where motion is fast.

    Args:
        travelled: (K,) pixels that the farthest point has come at K equal steps of the exposure, from 0.

    Returns:
        (N+1,): when the sections begin, and the last one ends, from 0 to 1. In each the farthest point travels half a
        pixel, or more where that would make over `POSES` of them, but `LONGEST` pixels at most.
    """
    length = travelled[-1]
    count = max(1, math.ceil(np.clip(POSES, length / LONGEST, 2 * length)))
    ends = np.interp(np.linspace(0, length, count + 1), travelled, np.linspace(0, 1, len(travelled)))
    ends[0], ends[-1] = 0, 1  # also of a path that rests there
    return ends


def steps(maps: Matrices, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N-1,): the pixels that the farthest of points (2,P), x and y, moves from each of N maps to the next."""
    moved = np.diff(maps[:, :, :2] @ points + maps[:, :, 2:], axis=0)
    return np.asarray(np.hypot(moved[:, 0], moved[:, 1]).max(axis=1))


def reach(path: Path, radius: float) -> int:
    """The pixels by which a path brings in what is beyond an edge whose farthest point is `radius` from the axis.

    Two are added for the interpolation.
    """
    x, y, turn = np.abs(path).T
    return int(np.ceil((np.hypot(x, y) + np.radians(turn) * radius).max())) + 2


def sample(path: Path, times: NDArray[np.float64]) -> Path:
    """(N,3): the poses at (N,) instants from 0, the beginning of the exposure, to 1, its end."""
    knots = np.linspace(0, 1, len(path))
    return np.stack([np.interp(times, knots, axis) for axis in path.T], axis=1)


def matrices(poses: Path, centre: tuple[float, float]) -> Matrices:
    """What poses do to positions: a turn about `centre` (x, y), then the shift."""
    x, y, turn = poses.T
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    across, down = centre  # y points down, so a counter-clockwise turn has its sine above the diagonal
    return np.stack(
        [
            np.stack([cosine, sine, (1 - cosine) * across - sine * down + x], axis=1),
            np.stack([-sine, cosine, sine * across + (1 - cosine) * down + y], axis=1),
        ],
        axis=1,
    )


def chain(outer: Matrices, inner: Matrices) -> Matrices:
    """The maps that apply `inner` first and `outer` to its result."""
    chained = outer[:, :, :2] @ inner
    chained[:, :, 2] += outer[:, :, 2]
    return chained
