"""Read and write an image by bands of rows, so that memory need not hold all of it."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import RANGES


class RowReader(Protocol):
    """An image whose rows can be read in any order, any number of times.

    The same rows always have the same values. One thread at a time may call a reader.
    """

    @property
    def height(self) -> int:
        """Rows of the image, at least 1."""
        ...

    @property
    def width(self) -> int:
        """Pixels of a row, at least 1."""
        ...

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for grey. Alpha is not a colour: it has a reader of its own."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8, uint16, or float32 in 0..1."""
        ...

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Read the rows `start` to `stop - 1`.

        Args:
            start: first row, 0 <= start < stop.
            stop: first row that is not read, stop <= height.

        Returns:
            (stop - start, width, channels) of type `dtype`, RGB order, upright. It may be a view of the source: do not
            write to it.

        Raises:
            ValueError: the rows do not lie in the image.
            UnreadableImage: the file is damaged there.
        """
        ...


class RowWriter(Protocol):
    """An image file that is written from top to bottom and appears whole or not at all.

    Height, width, channels and type are fixed when the writer is made. Until `commit` returns, whatever was at the
    destination stays as it was. Every writer ends with one `commit` or one `abort`.
    """

    def write(self, rows: NDArray[Any]) -> None:
        """Append rows below those already written.

        Args:
            rows: (n, width, channels), n >= 1, of the writer's type, RGB order. They are copied or stored before the
                call returns: the caller may change the array afterwards.

        Raises:
            ValueError: another shape or type, or more rows than the image has.
            UnwritableOutput: no space, no permission. Only `abort` may follow.
        """
        ...

    def commit(self) -> tuple[str, ...]:
        """Finish the file, sync it and rename it into place. Nothing may follow.

        Returns:
            What the format could not keep, in plain words, as `write_image` returns it.

        Raises:
            ValueError: rows are missing.
            UnwritableOutput: the file cannot be finished. The destination is as it was.
        """
        ...

    def abort(self) -> None:
        """Remove all that was written. Never raises; after `commit` or another `abort` it does nothing."""
        ...


@dataclass(frozen=True)
class ArrayReader:
    """An array as a `RowReader`; its rows are views.

    Args:
        pixels: (H,W,3) RGB or (H,W,1) grey; uint8, uint16, or float32 in 0..1.

    Raises:
        UsageError: another shape or type, or no pixel at all.
    """

    pixels: NDArray[Any]

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or dtype not in RANGES:
            raise UsageError(
                f"Cannot read rows of {shape} {dtype}.", "Give (H,W,3) or (H,W,1) uint8, uint16, or float32 in 0..1."
            )

    @property
    def height(self) -> int:
        """Rows of the array."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Pixels of a row."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for grey."""
        return int(self.pixels.shape[2])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's type."""
        return self.pixels.dtype

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop - 1`; see `RowReader.rows`."""
        if not 0 <= start < stop <= self.height:
            raise ValueError(f"rows {start} to {stop} do not lie in an image of {self.height} rows")
        return self.pixels[start:stop]


class SequentialReader(ABC):
    """Rows of what can only be made from top to bottom, as a `RowReader`.

    It keeps what was read last, from the first row asked for; whoever goes back further makes it begin again.

    Args:
        height, width: of the image in pixels.
        channels: 3 for RGB, 1 for grey.
        dtype: uint8, uint16 or float32.
    """

    def __init__(self, height: int, width: int, channels: int, dtype: np.dtype[Any]) -> None:
        self.height, self.width, self.channels, self.dtype = height, width, channels, dtype
        self._source: Iterator[NDArray[Any]] | None = None
        self._kept: deque[NDArray[Any]] = deque()  # consecutive rows, from `_top` to `_bottom` - 1
        self._top = self._bottom = 0

    @abstractmethod
    def parts(self) -> Iterator[NDArray[Any]]:
        """Begin at the top: (n, width, channels), some rows at a time, each part once."""

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop - 1`; see `RowReader.rows`."""
        if not 0 <= start < stop <= self.height:
            raise ValueError(f"rows {start} to {stop} do not lie in an image of {self.height} rows")
        if self._source is None or start < self._top:
            self._source, self._top, self._bottom = self.parts(), 0, 0
            self._kept.clear()
        while self._bottom < stop:
            self._forget(start)
            part = next(self._source)
            self._kept.append(part)
            self._bottom += len(part)
        wanted = []
        top = self._top
        for part in self._kept:
            if top < stop and start < top + len(part):
                wanted.append(part[max(0, start - top) : stop - top])
            top += len(part)
        return wanted[0] if len(wanted) == 1 else np.concatenate(wanted)

    def _forget(self, start: int) -> None:
        """Drop the rows above `start`. Of a part with some above and some below, those below are copied."""
        while self._kept and self._top < start:
            part = self._kept.popleft()
            above = min(len(part), start - self._top)
            self._top += above
            if above < len(part):
                self._kept.appendleft(part[above:].copy())
