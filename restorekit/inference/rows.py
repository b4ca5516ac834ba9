"""Restore one image to its final size by rows: what `inference.image` does in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restorekit.inference.backends import OutOfDeviceMemory
from restorekit.inference.engine import Engine, TilingInfo
from restorekit.inference.image import Size, check_flat, is_one_colour
from restorekit.inference.tiling import Limits
from restorekit.media.rows import ResizedReader, RowReader, SequentialReader
from restorekit.runtime.progress import PATIENT, Listener

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur

LOOK = 256  # rows of an image that are looked at together


@dataclass(frozen=True)
class RestoredRows:
    """An image that is restored while it is read."""

    result: RowReader
    """(H,W,3) of the image's type, at its final size."""
    passes: tuple[NetworkReader, ...]
    """Through the network, in order."""

    @property
    def info(self) -> TilingInfo:
        """Of all passes together, once the result was read to its end."""
        return sum((network.info for network in self.passes[1:]), self.passes[0].info)

    @property
    def limits(self) -> Limits:
        """Of tiles that fitted, for the next image."""
        return self.passes[-1].limits


def restore_rows(
    source: RowReader,
    engine: Engine,
    size: Size = Size(),
    limits: Limits | None = None,
    blur: Blur | None = None,
    listener: Listener = PATIENT,
) -> RestoredRows:
    """Restore an image and bring it to its size, as `restore_to_size` does and with the same pixels.

    Nothing is computed before rows are read. What is in memory is bounded by a row of tiles in each pass.

    Args:
        source: the image.
        engine: the network.
        size: of the result.
        limits: of tiles that fitted the image before.
        blur: what blurred the image, for systems that can be told.
        listener: hears how a blur is found and undone, and may end both.
    """
    height, width = size.of(source.height, source.width, engine.spec.scale)
    passes = [NetworkReader(source, engine, limits or engine.limits, blur, listener)]
    while engine.spec.scale > 1 and (passes[-1].height < height or passes[-1].width < width):
        passes.append(NetworkReader(passes[-1], engine, passes[-1].limits))
    last = passes[-1]
    same = (last.height, last.width) == (height, width)
    return RestoredRows(last if same else ResizedReader(last, (height, width)), tuple(passes))


class NetworkReader(SequentialReader):
    """What a network makes of an image, by rows. Reading raises what `Engine.bands` and `restore_to_size` raise.

    Args:
        source: the image.
        engine: the network.
        limits: of its tiles.
        blur: what blurred it, for systems that can be told.
        listener: see `restore_rows`.
    """

    def __init__(
        self,
        source: RowReader,
        engine: Engine,
        limits: Limits,
        blur: Blur | None = None,
        listener: Listener = PATIENT,
    ) -> None:
        scale = engine.spec.scale
        super().__init__(source.height * scale, source.width * scale, 3, source.dtype)
        self.source, self.engine, self.limits, self.blur, self.listener = source, engine, limits, blur, listener
        self.found = blur is None and engine.spec.estimates
        self.info = TilingInfo()
        """Once it was read to its end."""

    def parts(self) -> Iterator[NDArray[Any]]:
        """Restore from the top; see `SequentialReader.parts`."""
        finished = halvings = 0
        if self.found and self.blur is None:
            self.blur = self.engine.find_blur(self.source, self.listener)
        while True:
            plan = self.engine.plan(self.source.height, self.source.width, self.limits, self.blur)
            try:
                context = self.engine.observe(self.source, plan, self.blur, self.found, self.listener)
                redone, one_colour = 0, None
                for band in self.engine.bands(self.source, plan, context):
                    redone += band.redone
                    if one_colour is None:
                        one_colour = band.pixels[0, 0].copy()
                        blank = True
                    blank = blank and is_one_colour(band.pixels, one_colour)
                    fresh = band.pixels[max(0, finished - band.top) :]
                    finished += len(fresh)
                    del band  # before the next one takes as much memory
                    if len(fresh):
                        yield fresh
                    del fresh
                break
            except OutOfDeviceMemory:  # smaller tiles go on below what is finished
                self.limits = self.engine.smaller(plan, self.limits, self.blur)
                halvings += 1
        if blank:
            self._check_flat()
        self.info = replace(self.engine.info(plan, context), redone=redone, halvings=halvings)

    def _check_flat(self) -> None:
        """Look at the image again, which is worth it only if the result is of one colour."""
        spread: list[NDArray[Any]] = []
        for top in range(0, self.source.height, LOOK):
            rows = self.source.rows(top, min(top + LOOK, self.source.height))
            spread += [rows.min(axis=(0, 1)), rows.max(axis=(0, 1))]
        check_flat(np.min(spread, axis=0), np.max(spread, axis=0))
