"""curves.png: the columns of log.csv drawn over the steps."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from restorekit.degradation.degradation import Rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image

COLUMNS = 3  # panels side by side
WIDTH, HEIGHT, MARGIN = 420, 240, 40  # of a panel in pixels, and around its curve
INK, GREY = (30, 90, 180), (160, 160, 160)
LOG_ABOVE = 20
"""Positive values that spread over a larger factor are drawn on a logarithmic scale."""

Points = list[tuple[int, float]]
"""Step and value."""


def draw_curves(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draw a panel for each loss term and each score of the validation; the input's score stands in its title.

    Args:
        rows: of log.csv; see `LogRow.cells`.
        path: the image to write.

    Raises:
        UnwritableOutput: it cannot be written.
    """
    names = {name for row in rows for name in row if name.startswith(("loss/", "validation/"))}
    drawn = sorted(name for name in names if "/input_" not in name and not name.endswith("/measured_on"))
    last, panels = int(rows[-1]["step"]), []
    for name in drawn:
        unrestored = _points(rows, name.replace("/", "/input_"))
        title = f"{name}, input {unrestored[-1][1]:.4g}" if unrestored else name
        panels.append(_panel(title, _points(rows, name), last))
    panels += [np.full_like(panels[0], 255)] * (-len(panels) % COLUMNS)
    lines = [np.hstack(panels[start : start + COLUMNS]) for start in range(0, len(panels), COLUMNS)]
    write_image(Image(np.vstack(lines)), path)


def _points(rows: Sequence[Mapping[str, str]], name: str) -> Points:
    """Its finite values."""
    points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
    return [(step, value) for step, value in points if math.isfinite(value)]


def _panel(title: str, points: Points, last: int) -> Rgb8:
    """(HEIGHT,WIDTH,3): one curve; `last` is the last step."""
    panel = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    cv2.rectangle(panel, (MARGIN, MARGIN), (WIDTH - MARGIN // 2, HEIGHT - MARGIN // 2), GREY)
    _write(panel, title, MARGIN, 20)
    _write(panel, f"step {last}", WIDTH - 110, HEIGHT - 6)
    if points:
        steps, values = np.array(points).T
        low, high = values.min(), values.max()
        _write(panel, f"{high:.4g}", MARGIN, MARGIN - 4)
        _write(panel, f"{low:.4g}", MARGIN, HEIGHT - 6)
        if low > 0 and high > LOG_ABOVE * low:
            _write(panel, "logarithmic", WIDTH - 110, MARGIN - 4)
            values, low, high = np.log(values), np.log(low), np.log(high)
        x = MARGIN + steps / last * (WIDTH - 1.5 * MARGIN)
        y = HEIGHT - MARGIN // 2 - (values - low) / (high - low or 1) * (HEIGHT - 1.5 * MARGIN)
        cv2.polylines(panel, [np.stack([x, y], 1).round().astype(np.int32)], False, INK, 1, cv2.LINE_AA)
    return panel


def _write(panel: Rgb8, text: str, x: int, y: int) -> None:
    cv2.putText(panel, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
