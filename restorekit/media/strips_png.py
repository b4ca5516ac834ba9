"""Decode a PNG from top to bottom: the next rows are a small PNG of their own, whose first row is the last one decoded."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from restorekit.media.decode import MOST_DEFLATED, decode_image
from restorekit.media.image import Image
from restorekit.media.limits import MOST_METADATA, STRIP_BYTES
from restorekit.media.metadata import Metadata, png_chunk, read_metadata
from restorekit.media.samples import check_size
from restorekit.media.sniff import PNG
from restorekit.media.tags import Bytes

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""By PNG's number of the colour type: grey, RGB, both with alpha. Palettes are not read by rows."""
WHOLE_ONLY = {b"acTL", b"tRNS"}
"""Chunks of files that are decoded whole: animations, and one colour that is transparent."""
PACKED_BYTES = 1 << 20  # that are unpacked at once


@dataclass(frozen=True)
class PngStrips:
    """See `media.large.Strips`."""

    height: int
    width: int
    metadata: Metadata
    kind: bytes
    """What follows the size in the header: bits, colour type, three methods."""
    row_bytes: int
    """Of an image row, with the number of its filter."""

    def decode(self, data: Bytes) -> Iterator[Image]:
        """The image from top to bottom."""
        rows = max(1, STRIP_BYTES // self.row_bytes)
        above = b""
        inflated = _inflated(data, self.row_bytes, self.height, rows)
        for filtered in inflated:
            height = len(filtered) // self.row_bytes
            header = struct.pack(">II", self.width, height + bool(above)) + self.kind
            chunks = (
                png_chunk(b"IHDR", header),
                png_chunk(b"IDAT", zlib.compress(above + filtered, 0)),
                png_chunk(b"IEND", b""),
            )
            image = decode_image(PNG + b"".join(chunks), self.width * (height + 1))
            last = image.to_array()[-1]
            alpha = None if image.alpha is None else image.alpha[-height:]
            yield replace(image, pixels=image.pixels[-height:], alpha=alpha)
            above = b"\0" + last.astype(last.dtype.newbyteorder(">")).tobytes()  # unfiltered


def find_png_strips(data: Bytes, max_pixels: int) -> PngStrips | None:
    """What it takes to decode a PNG from top to bottom; None if it can only be decoded whole.

    That is: interlaced, a palette, less than 8 bits, one transparent colour, not upright, animated.

    Raises:
        UnreadableImage: more than `max_pixels`.
        Exception: the file is damaged.
    """
    header = data[16:29]
    width, height = struct.unpack(">II", header[:8])
    depth, colour, interlaced = header[8], header[9], header[12]
    check_size(width, height, max_pixels)
    if depth not in (8, 16) or colour not in CHANNELS or interlaced:
        return None
    row_bytes = 1 + width * CHANNELS[colour] * depth // 8
    if height * row_bytes > MOST_DEFLATED * len(data):
        raise ValueError("it holds fewer pixels than its header promises")
    described = bytearray(PNG)
    kinds = set()
    for kind, start, length in _chunks(data):
        kinds.add(kind)
        if kind != b"IDAT":
            described += data[start - 8 : start + length + 4]
        if len(described) > MOST_METADATA:
            raise ValueError("it says more of itself than it has pixels")
    metadata, orientation = read_metadata("png", bytes(described), {})
    if orientation != 1 or kinds & WHOLE_ONLY:
        return None
    return PngStrips(height, width, metadata, header[8:], row_bytes)


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type of every chunk, and where its body lies: offset and length."""
    at = len(PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, at + 8, length
        at += 12 + length


def _inflated(data: Bytes, row_bytes: int, height: int, rows: int) -> Iterator[bytes]:
    """The filtered rows of a PNG, so many at once."""
    inflater = zlib.decompressobj()
    waiting = bytearray()
    left = height * row_bytes
    for kind, start, length in _chunks(data):
        if kind != b"IDAT":
            continue
        for at in range(start, start + length, PACKED_BYTES):
            packed = data[at : min(at + PACKED_BYTES, start + length)]
            while packed and left:
                most = min(left, rows * row_bytes) - len(waiting)
                waiting += inflater.decompress(packed, most)
                packed = inflater.unconsumed_tail
                if len(waiting) == min(left, rows * row_bytes):
                    left -= len(waiting)
                    yield bytes(waiting)
                    waiting.clear()
    if left:
        raise ValueError("it holds fewer pixels than its header promises")
