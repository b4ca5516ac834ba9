"""Decode a TIFF from top to bottom: some of its pieces at a time are a small TIFF of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from restorekit.media.decode_tiff import (
    CMYK,
    LAB,
    OLD_JPEG,
    ROWS_PER_STRIP,
    STRIP_LENGTHS,
    STRIP_OFFSETS,
    TILE_LENGTHS,
    TILE_OFFSETS,
    TILE_WIDTH,
    UNCOMPRESSED,
    Piece,
    check_header,
    find_pieces,
    longs,
    read_tiff,
    whole_number,
    with_directory,
)
from restorekit.media.image import Image
from restorekit.media.limits import STRIP_BYTES
from restorekit.media.metadata import Metadata, read_tiff_metadata
from restorekit.media.tags import HEIGHT, WIDTH, Bytes, Directory


@dataclass(frozen=True)
class TiffStrips:
    """See `media.large.Strips`."""

    height: int
    width: int
    metadata: Metadata
    header: Directory
    """The tags about pixels."""
    pieces: list[Piece]
    """Row by row; as many as `across` lie side by side."""
    across: int
    row_bytes: int
    """Of an image row, unpacked."""

    def decode(self, data: Bytes) -> Iterator[Image]:
        """The image from top to bottom."""
        columns, rows = self.pieces[0].width, self.pieces[0].height
        together = max(1, STRIP_BYTES // (self.row_bytes * columns * rows // self.width))  # pieces decoded at once
        if self.across == 1:
            for first in range(0, len(self.pieces), together):
                group = self.pieces[first : first + together]
                top = first * rows
                yield self._image(data, group, min(self.height - top, rows * len(group)), self.width)
            return
        for top in range(0, self.height, rows):
            row = self.pieces[top // rows * self.across :][: self.across]
            parts = [
                self._image(
                    data,
                    row[first : first + together],
                    min(rows, self.height - top),
                    min(columns * together, self.width - first * columns),
                )
                for first in range(0, self.across, together)
            ]
            alpha = None if parts[0].alpha is None else np.concatenate([part.alpha for part in parts], axis=1)
            pixels = np.concatenate([part.pixels for part in parts], axis=1)
            yield replace(parts[0], pixels=pixels, alpha=alpha)

    def _image(self, data: Bytes, pieces: Sequence[Piece], height: int, width: int) -> Image:
        """Decode pieces that lie side by side, or below each other."""
        most = 4 * (self.row_bytes * pieces[0].width * pieces[0].height // self.width) + (
            1 << 16
        )  # nothing grows so much
        packed = [data[piece.offset : piece.offset + min(piece.length, most)] for piece in pieces]
        starts = np.cumsum([8, *map(len, packed)])
        tags = {**self.header.tags, HEIGHT: longs(self.header, height), WIDTH: longs(self.header, width)}
        offsets, lengths = (TILE_OFFSETS, TILE_LENGTHS) if TILE_WIDTH in tags else (STRIP_OFFSETS, STRIP_LENGTHS)
        tags |= {offsets: longs(self.header, *starts[:-1]), lengths: longs(self.header, *map(len, packed))}
        if TILE_WIDTH not in tags:
            tags[ROWS_PER_STRIP] = longs(self.header, pieces[0].height)
        alone = with_directory(bytes(8) + b"".join(packed), replace(self.header, tags=tags))
        return read_tiff(alone, sum(piece.height * piece.width for piece in pieces))


def find_tiff_strips(data: Bytes, max_pixels: int) -> TiffStrips | None:
    """Where the strips or tiles of a TIFF lie; None if it can only be decoded whole: not upright, CMYK or Lab.

    Raises:
        UnreadableImage: see `read_tiff`.
        Exception: the file is damaged.
    """
    header, page = check_header(data, max_pixels)
    metadata, orientation = read_tiff_metadata(data)
    if orientation != 1 or page.photometric in (CMYK, LAB) or page.compression == OLD_JPEG:
        return None
    height, width = whole_number(header, HEIGHT), whole_number(header, WIDTH)
    row_bytes = -(-width * page.samplesperpixel * page.bitspersample // 8)
    pieces = find_pieces(header, data, 4 * max_pixels)  # tiles reach beyond the edges, and none of them is held long
    if len(pieces) == 1 and page.compression == UNCOMPRESSED and TILE_WIDTH not in header.tags:
        if pieces[0].length < height * row_bytes:
            raise ValueError("it holds fewer pixels than its header promises")
        rows, start = max(1, STRIP_BYTES // row_bytes), pieces[0].offset
        pieces = [
            Piece(start + top * row_bytes, min(rows, height - top) * row_bytes, min(rows, height - top), width)
            for top in range(0, height, rows)
        ]
    return TiffStrips(height, width, metadata, header, pieces, -(-width // pieces[0].width), row_bytes)
