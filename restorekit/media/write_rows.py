"""Write an image's file by rows, from top to bottom: tiled TIFF, PNG, JPEG. See `media.rows.RowWriter`."""

import io
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from restorekit.media.decode_tiff import (
    BLACK_IS_ZERO,
    COMPRESSION,
    DEFLATE,
    DIFFERENCES,
    PREDICTOR,
    RGB,
    TILE_HEIGHT,
    TILE_LENGTHS,
    TILE_OFFSETS,
    TILE_WIDTH,
)
from restorekit.media.encode import JPEG_QUALITY, check_storable, filtered_rows, png_head
from restorekit.media.limits import MOST_METADATA
from restorekit.media.metadata import (
    EXTRA_SAMPLES,
    Metadata,
    add_to_jpeg,
    add_to_png,
    byte_order,
    fit,
    is_premultiplied,
    jpeg_segments,
    pillow_options,
    png_chunk,
    tiff_directory,
)
from restorekit.media.sniff import Format
from restorekit.media.tags import HEIGHT, LONG, LONG8, SHORT, WIDTH, Directory, Tag, write_directory
from restorekit.runtime.atomic import name_beside, put_in_place, writing

SIDE = 256
"""Rows that are encoded together, and the side of a TIFF's tiles; a multiple of 64, which is what JPEG needs."""
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLES_PER_PIXEL, SAMPLE_FORMAT = 258, 262, 277, 339
FLOATING_POINT = 3  # sample format
ASSOCIATED, UNASSOCIATED = 1, 2  # extra samples: whether colours are multiplied by alpha
LAST_RESTART = b"\xff\xd7"
END_OF_JPEG = b"\xff\xd9"


class RowFileWriter(ABC):
    """What the writers share; see `media.rows.RowWriter`.

    Args:
        path: the file to make or replace; missing folders are made.
        height, width: of the image in pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        dtype: of the samples.
        metadata: to be written along.
    """

    format: Format

    def __init__(
        self, path: Path, height: int, width: int, channels: int, dtype: np.dtype[Any], metadata: Metadata
    ) -> None:
        check_storable(self.format, height, width)
        self.path, self.height, self.width, self.channels, self.dtype = path, height, width, channels, dtype
        self.metadata, self._unstorable = fit(metadata, self.format)
        self._lost = metadata.lost
        self._beside = name_beside(path)
        self._opened: BinaryIO | None = None
        self._waiting = np.empty((0, width, channels), dtype)
        self._written = 0

    def write(self, rows: NDArray[Any]) -> None:
        """Append rows; see `RowWriter.write`."""
        if rows.shape[1:] != (self.width, self.channels) or rows.dtype != self.dtype or not len(rows):
            raise ValueError(f"rows of {rows.shape} {rows.dtype} do not fit an image of {self.width} pixels a row")
        if self._written + len(rows) > self.height:
            raise ValueError(f"there are more rows than the {self.height} of the image")
        self._written += len(rows)
        with writing(self.path):
            while len(rows):
                taken = rows[: SIDE - len(self._waiting)]
                rows = rows[len(taken) :]
                if len(self._waiting) or len(taken) < SIDE:
                    taken = self._waiting = np.concatenate([self._waiting, taken])
                if len(taken) == SIDE:
                    self._append(self._file(), taken)
                    self._waiting = self._waiting[:0].copy()

    def commit(self) -> tuple[str, ...]:
        """Finish the file; see `RowWriter.commit`."""
        if self._written != self.height:
            raise ValueError(f"{self.height - self._written} rows are missing")
        with writing(self.path):
            file = self._file()
            if len(self._waiting):
                self._append(file, self._waiting)
            self._finish(file)
            file.close()
            put_in_place(self._beside, self.path)
        return (*self._lost, *self._unstorable)

    def abort(self) -> None:
        """Remove what was written; see `RowWriter.abort`."""
        with suppress(OSError):
            if self._opened is not None:
                self._opened.close()
            self._beside.unlink(missing_ok=True)

    def _file(self) -> BinaryIO:
        if self._opened is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._opened = open(self._beside, "xb")  # noqa: SIM115 until the last row
            self._begin(self._opened)
        return self._opened

    @abstractmethod
    def _begin(self, file: BinaryIO) -> None:
        """Write what comes before the pixels."""

    @abstractmethod
    def _append(self, file: BinaryIO, rows: NDArray[Any]) -> None:
        """Encode `SIDE` rows, or those at the bottom."""

    @abstractmethod
    def _finish(self, file: BinaryIO) -> None:
        """Write what comes behind the pixels."""


class TiffRowWriter(RowFileWriter):
    """Writes a TIFF in deflated tiles; a BigTIFF where it may get larger than 4 GiB."""

    format = "tiff"

    def _begin(self, file: BinaryIO) -> None:
        self._order = byte_order(self.metadata)
        size = self.height * self.width * self.channels * self.dtype.itemsize
        self._big = size + size // 64 + MOST_METADATA > 1 << 32
        self._offsets: list[int] = []
        self._lengths: list[int] = []
        self._write_head(file, 0)

    def _write_head(self, file: BinaryIO, directory: int) -> None:
        mark = b"II" if self._order == "<" else b"MM"
        rest = ("HHHQ", 43, 8, 0, directory) if self._big else ("HI", 42, directory)
        file.write(mark + struct.pack(self._order + str(rest[0]), *rest[1:]))

    def _append(self, file: BinaryIO, rows: NDArray[Any]) -> None:
        for left in range(0, self.width, SIDE):
            tile = np.zeros((SIDE, SIDE, self.channels), self.dtype)
            part = rows[:, left : left + SIDE]
            tile[: part.shape[0], : part.shape[1]] = part
            if self.dtype.kind == "u":
                tile[:, 1:] -= tile[:, :-1].copy()  # the predictor; modulo the range
            packed = _packed(tile.astype(self.dtype.newbyteorder(self._order)).tobytes())
            self._offsets.append(file.tell())
            self._lengths.append(len(packed))
            file.write(packed + bytes(len(packed) % 2))

    def _finish(self, file: BinaryIO) -> None:
        end = file.tell()
        file.write(write_directory(tiff_directory(self._pixels(), self.metadata), end, self._big))
        file.seek(0)
        self._write_head(file, end)

    def _pixels(self) -> Directory:
        """The tags about pixels."""
        depth = 8 * self.dtype.itemsize
        colours = self.channels - (self.channels + 1) % 2
        values: dict[int, tuple[int, list[int]]] = {
            WIDTH: (LONG, [self.width]),
            HEIGHT: (LONG, [self.height]),
            BITS_PER_SAMPLE: (SHORT, [depth] * self.channels),
            COMPRESSION: (SHORT, [DEFLATE]),
            PHOTOMETRIC: (SHORT, [RGB if colours == 3 else BLACK_IS_ZERO]),
            SAMPLES_PER_PIXEL: (SHORT, [self.channels]),
            TILE_WIDTH: (SHORT, [SIDE]),
            TILE_HEIGHT: (SHORT, [SIDE]),
            TILE_OFFSETS: (LONG8 if self._big else LONG, self._offsets),
            TILE_LENGTHS: (LONG, self._lengths),
        }
        if self.dtype.kind == "u":
            values[PREDICTOR] = (SHORT, [DIFFERENCES])
        else:
            values[SAMPLE_FORMAT] = (SHORT, [FLOATING_POINT] * self.channels)
        if colours != self.channels:
            values[EXTRA_SAMPLES] = (SHORT, [ASSOCIATED if is_premultiplied(self.metadata) else UNASSOCIATED])
        formats = {SHORT: "H", LONG: "I", LONG8: "Q"}
        tags = {
            number: Tag(type_, len(numbers), struct.pack(f"{self._order}{len(numbers)}{formats[type_]}", *numbers))
            for number, (type_, numbers) in values.items()
        }
        return Directory(self._order, tags, {})


class PngRowWriter(RowFileWriter):
    """Writes a PNG of 8 or 16 bits."""

    format = "png"

    def _begin(self, file: BinaryIO) -> None:
        self._deflater = zlib.compressobj(1, strategy=zlib.Z_RLE)
        file.write(add_to_png(png_head(self.height, self.width, self.channels, self.dtype), self.metadata))

    def _append(self, file: BinaryIO, rows: NDArray[Any]) -> None:
        self._write_chunk(file, self._deflater.compress(filtered_rows(rows)))

    def _finish(self, file: BinaryIO) -> None:
        self._write_chunk(file, self._deflater.flush())
        file.write(png_chunk(b"IEND", b""))

    def _write_chunk(self, file: BinaryIO, packed: bytes) -> None:
        if packed:
            file.write(png_chunk(b"IDAT", packed))


class JpegRowWriter(RowFileWriter):
    """Writes a JPEG by putting the compressed rows of several behind each other.

    Their tables are the same. Restart markers follow every row of 8x8 blocks and count to eight, so that parts of a
    multiple of 64 rows fit together with the last of the eight between them (ITU-T T.81, E.1.4).
    """

    format = "jpeg"

    def _begin(self, file: BinaryIO) -> None:
        self._head_written = False

    def _append(self, file: BinaryIO, rows: NDArray[Any]) -> None:
        part = io.BytesIO()
        samples = rows[..., 0] if self.channels == 1 else rows
        PIL.Image.fromarray(samples).save(
            part, "JPEG", quality=JPEG_QUALITY, subsampling=0, restart_marker_rows=1, **pillow_options(self.metadata)
        )
        data = add_to_jpeg(part.getvalue(), self.metadata)
        head = bytearray(data[:2])
        for marker, _, segment in jpeg_segments(data):
            if marker == 0xC0:  # the frame: its length, bits, height
                segment = segment[:5] + struct.pack(">H", self.height) + segment[7:]
            head += segment
        scan = len(head) + 2 + int.from_bytes(data[len(head) + 2 : len(head) + 4])
        head += data[len(head) : scan]
        file.write(LAST_RESTART if self._head_written else head)
        file.write(data[scan : -len(END_OF_JPEG)])
        self._head_written = True

    def _finish(self, file: BinaryIO) -> None:
        file.write(END_OF_JPEG)


ROW_WRITERS: Mapping[Format, type[RowFileWriter]] = {"tiff": TiffRowWriter, "png": PngRowWriter, "jpeg": JpegRowWriter}


def _packed(data: bytes) -> bytes:
    """Deflated in the way that is fast and small where neighbours were subtracted."""
    deflater = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return deflater.compress(data) + deflater.flush()
