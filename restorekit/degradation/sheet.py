"""One image of what blurs the first pairs of a set: their PSFs, or what a grid of points leaves."""

import base64
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.pairs import RECORDS
from restorekit.degradation.scene import Scene
from restorekit.media.decode import read_image
from restorekit.runtime.journal import Journal

CELL = 240  # pixels of a side
COLUMNS, CELLS = 6, 24
POINTS = 5  # of a grid, along a side


def draw_sheet(out: Path) -> NDArray[np.uint8]:
    """Draw the blur of up to `CELLS` pairs of a set, in the order of their names, white on black.

    A cell shows a PSF, enlarged as far as it fits, or the whole image's motion: the streaks of a grid of points, as long
    beside the cell as they are beside the image. Means of frames have neither and leave their cells black; so do damaged
    lines.

    Args:
        out: folder of the set.

    Returns:
        (H,W,1) uint8.
    """
    cells = [_draw_cell_or_none(out, entry) for entry in islice(Journal(out / RECORDS, {}).entries(), CELLS)]
    cells += [np.zeros((CELL, CELL), np.float32)] * (-len(cells) % COLUMNS)
    framed = [cv2.copyMakeBorder(cell, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0.3) for cell in cells]
    rows = [np.hstack(framed[start : start + COLUMNS]) for start in range(0, len(framed), COLUMNS)]
    return (np.vstack(rows)[..., None] * 255).astype(np.uint8)


def _draw_cell_or_none(out: Path, entry: dict[str, Any]) -> NDArray[np.float32]:
    try:
        return _draw_cell(out, entry)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # whatever a damaged line makes of its values
        return np.zeros((CELL, CELL), np.float32)


def _draw_cell(out: Path, entry: dict[str, Any]) -> NDArray[np.float32]:
    shown: NDArray[Any]
    if "kernel" in entry:
        side = entry["kernel_side"]
        shown = np.frombuffer(base64.b64decode(entry["kernel"]), np.float32).reshape(side, side)
        times = max(1, CELL // side)
        shown = shown.repeat(times, axis=0).repeat(times, axis=1)
        shown = shown if side <= CELL else cv2.resize(shown, (CELL, CELL), interpolation=cv2.INTER_AREA)
    elif "camera" in entry:
        height, width = read_image(out / entry["sharp"]).pixels.shape[:2]
        scale = CELL / max(height, width)
        path = np.frombuffer(base64.b64decode(entry["camera"]), np.float32).reshape(-1, 3) * (scale, scale, 1)
        points = np.zeros((max(1, round(height * scale)), max(1, round(width * scale)), 1), np.float32)
        down, across = (((np.arange(POINTS) + 0.5) / POINTS * side).astype(int) for side in points.shape[:2])
        points[np.ix_(down, across)] = 1
        shown = Scene(path).expose(points)[..., 0]
    else:
        shown = np.zeros((1, 1), np.float32)
    top, left = (CELL - shown.shape[0]) // 2, (CELL - shown.shape[1]) // 2
    cell = np.zeros((CELL, CELL), np.float32)
    bright = np.clip(shown / max(shown.max(), 1e-9), 0, 1) ** 0.25  # a long streak is faint beside a point at rest
    cell[top : top + shown.shape[0], left : left + shown.shape[1]] = bright
    return cell
