"""Restore images that are too large for memory: rows in, finished rows out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.inference.engine import Engine, TilingInfo
from restorekit.inference.image import Size
from restorekit.inference.rows import restore_rows
from restorekit.inference.tiling import Limits
from restorekit.media.decode import read_size
from restorekit.media.image import to_grey
from restorekit.media.large import LargeImage, open_large
from restorekit.media.metadata import Metadata
from restorekit.media.rows import ResizedReader, RowReader
from restorekit.media.write_rows import ROW_WRITERS
from restorekit.pipeline.side_by_side import GAP, join_rows
from restorekit.runtime.progress import PATIENT, Event, Listener, Progress

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur

WHOLE_PIXELS = 1 << 26
"""Of an image and its result together: what has more goes by rows, wherever its file can be read so."""
STEP = 1 << 22  # samples of the result that are handed on at once


@dataclass(frozen=True)
class RestoredLarge:
    """How a large image was restored; the result is in its place."""

    info: TilingInfo
    limits: Limits
    """Of tiles that fitted, for the next image."""
    lost: tuple[str, ...]
    """See `media.encode.Encoded`."""
    blur: Blur | None
    """What was undone, told or found."""


def find_large(path: Path, scale: int, size: Size, max_pixels: int) -> LargeImage | None:
    """An image that goes by rows; None for all others. Its result is not checked for doubt; see `imaging.doubt`.

    Args:
        path: the file.
        scale: of the network.
        size: of the result.
        max_pixels: an image that claims more is refused.

    Raises:
        UnreadableImage: see `open_large`.
    """
    height, width = read_size(path)
    result_height, result_width = size.of(height, width, scale)
    if height * width + result_height * result_width <= WHOLE_PIXELS:
        return None
    return open_large(path, max_pixels)


def restore_large(
    image: LargeImage,
    engine: Engine,
    size: Size,
    output: Path,
    view: Path | None,
    limits: Limits | None,
    progress: Progress,
    blur: Blur | None = None,
    listener: Listener = PATIENT,
) -> RestoredLarge:
    """Restore a large image into a file of its own format, whole or not at all.

    Nothing compares the result with the image, which are never in memory together: it is not checked for doubt.

    Args:
        image: the image.
        engine: the network.
        size: of the result.
        output: the file to make or replace.
        view: the file for a view of both side by side, if one is wanted.
        limits: of tiles that fitted the image before.
        progress: sees how far it is.
        blur: what blurred the image, for systems that can be told.
        listener: hears how a blur is found, and may end the search.

    Raises:
        UnreadableImage: the file is damaged.
        UnwritableOutput: the result cannot be stored.
        RestorekitError: see `restore_to_size`.
    """
    restored = restore_rows(image.colours(), engine.lean(), size, limits, blur, listener)
    alpha: RowReader | None = image.alpha()
    metadata = image.metadata
    height, width = restored.result.height, restored.result.width
    before: RowReader = image.colours()
    if (height, width) != image.size:
        metadata = metadata.resized(height, width)
        alpha = None if alpha is None else ResizedReader(alpha, (height, width))
        before = ResizedReader(before, (height, width))
    channels = image.channels + (alpha is not None)
    writer = ROW_WRITERS[image.format](output, height, width, channels, image.dtype, metadata)
    viewer = (
        None if view is None else ROW_WRITERS["png"](view, height, 2 * width + GAP, 3, np.dtype(np.uint8), Metadata())
    )
    step = max(1, STEP // (3 * width))
    megapixels = image.size[0] * image.size[1] / 1e6 / height  # of a row of the result
    try:
        for top in range(0, height, step):
            bottom = min(top + step, height)
            after = restored.result.rows(top, bottom)
            if image.channels == 1:
                after = to_grey(after)
            writer.write(after if alpha is None else np.concatenate([after, alpha.rows(top, bottom)], axis=2))
            if viewer is not None:
                viewer.write(_side_by_side(before.rows(top, bottom), after))
            progress.step(Event(str(image.path), 0, (bottom - top) * megapixels, part=f"row {bottom} of {height}"))
        if viewer is not None:
            viewer.commit()
        lost = writer.commit()
    finally:
        writer.abort()
        if viewer is not None:
            viewer.abort()
    return RestoredLarge(restored.info, restored.limits, lost, restored.passes[0].blur)


def _side_by_side(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows of a view; see `pipeline.side_by_side`."""
    left, right = (from_unit(to_unit(np.broadcast_to(half, (*half.shape[:2], 3)))) for half in (before, after))
    return join_rows(left, right)
