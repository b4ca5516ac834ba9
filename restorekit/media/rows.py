"""Read and write an image by bands of rows, so that memory need not hold all of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import RANGES
from restorekit.imaging.resize import RowResizer


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
        self._kept = self._ahead = np.empty((0, width, channels), dtype)  # read last, and made beyond that
        self._top = 0  # place of the first row kept

    @abstractmethod
    def parts(self) -> Iterator[NDArray[Any]]:
        """Begin at the top: (n, width, channels), some rows at a time, each part once."""

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop - 1`; see `RowReader.rows`."""
        if not 0 <= start < stop <= self.height:
            raise ValueError(f"rows {start} to {stop} do not lie in an image of {self.height} rows")
        if self._source is None or start < self._top:
            self._source, self._top = self.parts(), 0
            self._kept = self._ahead = self._kept[:0].copy()
        if stop > self._top + len(self._kept):
            bottom = self._top + len(self._kept)
            overlap = self._kept[start - self._top :].copy()
            self._kept = overlap  # what is above is free before as much is taken again
            self._skip(start - bottom)
            self._kept, self._top = self._extended(overlap, stop - start), start
            if stop == self.height:
                next(
                    self._source, None
                )  # nothing follows, but the source may close its file, or find fault with it all
        return self._kept[start - self._top : stop - self._top]

    def _skip(self, rows: int) -> None:
        """Leave out the next rows, if the number is positive."""
        while rows > 0:
            rows -= len(self._next(rows))

    def _extended(self, rows: NDArray[Any], height: int) -> NDArray[Any]:
        """The same rows with the next ones below them."""
        extended = np.empty((height, self.width, self.channels), self.dtype)
        extended[: len(rows)] = rows
        done = len(rows)
        while done < height:
            part = self._next(height - done)
            extended[done : done + len(part)] = part
            done += len(part)
            del part  # before the next one takes as much memory
        return extended

    def _next(self, most: int) -> NDArray[Any]:
        """At most so many rows, at least one."""
        assert self._source is not None
        if not len(self._ahead):
            self._ahead = np.empty(0)  # lets go of the part before
            self._ahead = next(self._source)
        part, self._ahead = self._ahead[:most], self._ahead[most:]
        return part


class ResizedReader:
    """An image at another size, by rows; see `imaging.resize.resize`, and `RowReader`.

    Args:
        source: the image.
        size: height and width of the result.
    """

    def __init__(self, source: RowReader, size: tuple[int, int]) -> None:
        self.height, self.width = size
        self.channels, self.dtype = source.channels, source.dtype
        self._source, self._resizer = source, RowResizer((source.height, source.width), size)

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop - 1`; see `RowReader.rows`."""
        first, behind = self._resizer.source_rows(start, stop)
        resized = self._resizer.rows(self._source.rows(first, behind), first, start, stop)
        return np.clip(resized, 0, 1).astype(np.float32) if self.dtype == np.float32 else resized
