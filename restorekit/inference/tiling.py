"""Cut an image into tiles. Geometry only: nothing here knows of torch, files or devices.

A tile is read with an overlap on every inner side. With an overlap of at least the network's receptive field the core of
a tile is exactly what the whole image would give, so cores are simply put side by side. With less, neighbours are faded
into each other over half the overlap.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from restorekit.inference.settings import Statistics
from restorekit.models.spec import Spec

MOST_COLUMNS = 64  # of tiles, when the best shape is looked for
MOST_TOGETHER = 8  # tiles in a batch that is chosen automatically


@dataclass(frozen=True)
class Span:
    """One tile along one axis."""

    start: int
    """First pixel read; a multiple of the network's grid."""
    stop: int
    """One past the last pixel read; on the grid too, or the end of the image."""
    core_start: int
    """First pixel of the core; the cores of all spans lie side by side and cover the axis."""
    core_stop: int
    fade: int = 0
    """Pixels beyond the core, on each inner side, over which the tile fades into its neighbour; 0 cuts sharply."""

    def weight(self) -> NDArray[np.float32]:
        """(stop - start): how much the tile counts at each pixel. The weights of all spans sum to 1 everywhere."""
        at = np.arange(self.start, self.stop) + 0.5
        rise = _ramp(at - self.core_start, self.fade) if self.start < self.core_start else np.ones(len(at))
        fall = _ramp(at - self.core_stop, self.fade) if self.core_stop < self.stop else np.zeros(len(at))
        return (rise - fall).astype(np.float32)


class Place(NamedTuple):
    """Where a tile lies."""

    row: Span
    column: Span


@dataclass(frozen=True)
class Limits:
    """All that decides tiles beside the network and the image. A value: the same limits give the same tiles."""

    tile_pixels: int
    """Pixels of the largest tile that the device has memory for."""
    whole_pixels: int
    """Pixels of the largest image that a network whose tiles are not exact sees whole."""
    tile: int | None = None
    """Side of square tiles in pixels; None chooses the shape that costs least."""
    overlap: int | None = None
    """Context around a tile in pixels; None takes the receptive field, or what the system states."""
    batch: int | None = None
    """Tiles that go through the network together; None fills the memory of a GPU, and is 1 on a CPU."""
    parallel: bool = False
    """Whether the device gains from batches."""
    statistics: Statistics = "fast"
    """How often the statistics of a whole image are gathered: "fast" once, "exact" until they no longer change."""
    halvings: int = 0
    """How often a tile turned out not to fit."""

    def halved(self, plan: "TilePlan") -> "Limits":
        """Limits under which tiles have half as many pixels as those of `plan`, which did not fit."""
        height, width = plan.tile
        pixels = max(1, height * width // 2)
        return replace(self, tile_pixels=pixels, whole_pixels=pixels, halvings=self.halvings + 1)


@dataclass(frozen=True)
class TilePlan:
    """How an image is cut up."""

    height: int
    width: int
    """Of the image; spans may go up to the next multiple of the network's grid."""
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    overlap: int
    """Context in pixels that tiles were given."""
    exact: bool
    """Whether tiles equal the whole image up to rounding, given what is observed of it first."""
    why: str
    """Why not; empty if they do."""
    batch: int
    """Tiles that go through the network together at most."""
    statistics: Statistics | None
    """How the statistics of the whole image are gathered first; None where nothing needs to be observed."""

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of the largest tile in pixels."""
        return max(row.stop - row.start for row in self.rows), max(col.stop - col.start for col in self.columns)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    @property
    def surplus(self) -> float:
        """Share of the pixels that tiles read which lie in their overlaps."""
        height, width = (sum(span.stop - span.start for span in spans) for spans in (self.rows, self.columns))
        return 1 - self.padded[0] * self.padded[1] / (height * width)

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of what the tiles cover."""
        return self.rows[-1].stop, self.columns[-1].stop


def plan_tiles(spec: Spec, height: int, width: int, limits: Limits) -> TilePlan:
    """Decide how an image is cut up. The same arguments always give the same plan.

    Args:
        spec: facts of the network.
        height, width: the image in pixels.
        limits: what the user and the device allow.
    """
    (tile_height, tile_width), overlap = _shape(spec, height, width, limits)
    tiled = tile_height < height or tile_width < width
    # Networks that normalise by the whole image continue it themselves; tiled, it is continued here instead, so that
    # every tile covers whole cells of the deepest grid.
    grid = spec.size_multiple if tiled and spec.tiling == "whole" else 1
    padded = (math.ceil(height / grid) * grid, math.ceil(width / grid) * grid)
    seamless = spec.tiling != "approximate" and overlap >= (spec.receptive_field or 0)
    fade = 0 if seamless else overlap // 2
    rows = spans(padded[0], tile_height, overlap, spec.size_multiple, fade)
    columns = spans(padded[1], tile_width, overlap, spec.size_multiple, fade)
    several = len(rows) * len(columns) > 1
    why = "" if seamless or not several else f"tiles see {overlap} px around them, less than the receptive field"
    statistics = limits.statistics if several and spec.tiling == "whole" else None
    tile = max(row.stop - row.start for row in rows) * max(column.stop - column.start for column in columns)
    room = limits.tile_pixels // tile if limits.parallel else 1
    batch = limits.batch or max(1, min(MOST_TOGETHER, room))
    return TilePlan(height, width, rows, columns, overlap, not why, why, batch, statistics)


def _shape(spec: Spec, height: int, width: int, limits: Limits) -> tuple[tuple[int, int], int]:
    """The tile, (height, width), and the overlap."""
    if spec.tiling != "exact" and limits.tile is None and height * width <= limits.whole_pixels:
        return (height, width), 0
    natural = spec.overlap if spec.tiling == "approximate" else spec.receptive_field or 0
    overlap = natural if limits.overlap is None else limits.overlap
    if limits.tile is not None:
        side = max(1, limits.tile // 2**limits.halvings)
        return (side, side), overlap
    if limits.halvings:  # the memory decides now, not the overlap's cost
        overlap = min(overlap, int(limits.tile_pixels**0.5) // 3)
    return best_tile(height, width, limits.tile_pixels, overlap, spec.size_multiple), overlap


def spans(length: int, tile: int, overlap: int, multiple: int, fade: int) -> tuple[Span, ...]:
    """Cut a line of pixels into evenly sized tiles.

    Args:
        length: pixels of the line.
        tile: most pixels a tile reads; grown where `overlap` leaves no core.
        overlap: context in pixels that every tile has beyond its core, where the image goes on.
        multiple: tiles start on multiples of it.
        fade: pixels beyond the core, at most `overlap`, over which neighbours are mixed; 0 puts cores side by side.

    Returns:
        Spans in order; their weights are a partition of unity.
    """
    overlap = math.ceil(overlap / multiple) * multiple
    if length <= tile:
        return (Span(0, length, 0, length, fade),)
    core = max(multiple, (tile - 2 * overlap) // multiple * multiple)
    count = math.ceil(length / core)
    core = math.ceil(length / count / multiple) * multiple  # even sizes, so that the last tile is no sliver
    edges = [*range(0, length, core), length]
    return tuple(
        Span(max(0, first - overlap), min(length, last + overlap), first, last, fade) for first, last in pairwise(edges)
    )


def _ramp(distance: NDArray[np.floating[Any]], fade: int) -> NDArray[np.floating[Any]]:
    """0 well before an edge, 1 well after it; a straight line over `fade` pixels on both sides."""
    if fade == 0:
        return (distance > 0).astype(distance.dtype)
    return np.clip(distance / (2 * fade) + 0.5, 0, 1)


def best_tile(height: int, width: int, pixels: int, overlap: int, multiple: int) -> tuple[int, int]:
    """The tile, (height, width), that restores an image with the least work.

    Full-width strips need an overlap in one direction only, large squares waste little on it: all shapes that fit are
    compared by the number of pixels read.

    Args:
        height, width: the image.
        pixels: most pixels that a tile may have.
        overlap: context in pixels on every inner side.
        multiple: tiles start on multiples of it.
    """
    if height * width <= pixels:
        return height, width
    smallest = max(3 * overlap, 2 * overlap + multiple)  # below that everything would be read nine times and more
    best, least = (min(height, smallest), min(width, smallest)), math.inf
    for columns in range(1, MOST_COLUMNS + 1):
        tile_width = min(width, math.ceil(width / columns) + (2 * overlap if columns > 1 else 0))
        tile_height = min(height, pixels // tile_width)
        if tile_width < min(width, smallest):
            break
        if tile_height < min(height, smallest):
            continue
        read = _read(height, tile_height, overlap, multiple) * _read(width, tile_width, overlap, multiple)
        if read < least:
            best, least = (tile_height, tile_width), read
    return best


def _read(length: int, tile: int, overlap: int, multiple: int) -> int:
    """Pixels read along one axis, overlaps counted as often as they are read."""
    return sum(span.stop - span.start for span in spans(length, tile, overlap, multiple, 0))
