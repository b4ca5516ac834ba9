"""Read and write an image by bands of rows, so that memory need not hold all of it."""

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
