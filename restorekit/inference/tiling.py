"""Cut a picture into tiles and fade them together. Geometry only: nothing here knows of torch.

A tile is read with an overlap on every inner side. With an overlap of at least the network's reach the core of a tile is
exactly what the whole picture would give, so cores are simply put side by side. With less, neighbours are faded into
each other over half the overlap.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """One tile along one axis."""

    start: int
    """First pixel read; a multiple of the divisor."""
    stop: int
    """One past the last pixel read; a multiple of the divisor or the end of the picture."""
    weight: NDArray[np.float32]
    """(stop - start): how much the tile counts at each pixel. The weights of all spans sum to 1 everywhere."""

    def own(self) -> tuple[int, int]:
        """The pixels that count most in this tile: the first, and one past the last. Those of all spans lie side by side."""
        most = np.flatnonzero(self.weight > 0.5)
        return self.start + int(most[0]), self.start + int(most[-1]) + 1


def spans(length: int, tile: int, overlap: int, divisor: int, fade: int) -> list[Span]:
    """Cut a line of pixels into evenly sized tiles.

    Args:
        length: pixels of the line.
        tile: most pixels a tile reads; grown where `overlap` leaves no core.
        overlap: context in pixels that every tile has beyond its core, where the picture goes on.
        divisor: tiles start on multiples of it.
        fade: pixels beyond the core, at most `overlap`, over which neighbours are mixed; 0 puts cores side by side.

    Returns:
        Spans in order; their weights are a partition of unity.
    """
    overlap = math.ceil(overlap / divisor) * divisor
    if length <= tile:
        return [Span(0, length, np.ones(length, np.float32))]
    core = max(divisor, (tile - 2 * overlap) // divisor * divisor)
    count = math.ceil(length / core)
    core = math.ceil(length / count / divisor) * divisor  # even sizes, so that the last tile is no sliver
    edges = [*range(0, length, core), length]
    found = []
    for first, last in pairwise(edges):
        start, stop = max(0, first - overlap), min(length, last + overlap)
        at = np.arange(start, stop) + 0.5
        rise = _ramp(at - first, fade) if first > 0 else np.ones(len(at))
        fall = _ramp(at - last, fade) if last < length else np.zeros(len(at))
        found.append(Span(start, stop, (rise - fall).astype(np.float32)))
    return found


def _ramp(distance: NDArray[np.float64], fade: int) -> NDArray[np.float64]:
    """0 well before an edge, 1 well after it; a straight line over `fade` pixels on both sides."""
    if fade == 0:
        return (distance > 0).astype(np.float64)
    return np.clip(distance / (2 * fade) + 0.5, 0, 1)


def best_tile(height: int, width: int, pixels: int, overlap: int, divisor: int) -> tuple[int, int]:
    """The tile, (height, width), that restores a picture with the least work.

    Full-width strips need an overlap in one direction only, large squares waste little on it: all shapes that fit are
    compared by the number of pixels read.

    Args:
        height, width: the picture.
        pixels: most pixels that a tile may have.
        overlap: context in pixels on every inner side.
        divisor: tiles start on multiples of it.
    """
    if height * width <= pixels:
        return height, width
    smallest = max(3 * overlap, 2 * overlap + divisor)  # below that everything would be read nine times and more
    best, least = (min(height, smallest), min(width, smallest)), math.inf
    for columns in range(1, 65):
        tile_width = min(width, math.ceil(width / columns) + (2 * overlap if columns > 1 else 0))
        tile_height = min(height, pixels // tile_width)
        if tile_width < min(width, smallest):
            break
        if tile_height < min(height, smallest):
            continue
        read = _read(height, tile_height, overlap, divisor) * _read(width, tile_width, overlap, divisor)
        if read < least:
            best, least = (tile_height, tile_width), read
    return best


def _read(length: int, tile: int, overlap: int, divisor: int) -> int:
    """Pixels read along one axis, overlaps counted as often as they are read."""
    return sum(span.stop - span.start for span in spans(length, tile, overlap, divisor, 0))
