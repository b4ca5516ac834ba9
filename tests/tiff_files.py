"""TIFF files byte by byte, so that tests decide on types, rationals and byte order, and no library does."""

import struct
import zlib
from typing import Any

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, DOUBLE, UTF8 = 1, 2, 3, 4, 5, 7, 10, 12, 129
FORMATS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SRATIONAL: "i", DOUBLE: "d"}
Tags = dict[int, Any]
"""Tag numbers to `tag(...)`, or to the tags of a directory that they point to."""


def tag(kind: int, *values: Any) -> tuple[int, tuple[Any, ...]]:
    """A type and its values: numbers, numerators and denominators in turn, or one bytes object."""
    return kind, values


class Tiff:
    """A TIFF structure that grows: values first, then the directory that points to them."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))

    def append(self, content: bytes) -> int:
        """Append bytes at an even offset, which is returned."""
        self.data += bytes(len(self.data) % 2)
        self.data += content
        return len(self.data) - len(content)

    def directory(self, tags: Tags) -> int:
        """Append a directory; returns its offset."""
        entries = b""
        for number, item in sorted(tags.items()):
            kind, values = tag(LONG, self.directory(item)) if isinstance(item, dict) else item
            if isinstance(values[0], bytes):
                content, count = values[0], len(values[0])
            else:
                content = struct.pack(f"{self.order}{len(values)}{FORMATS[kind]}", *values)
                count = len(values) // (2 if kind in (RATIONAL, SRATIONAL) else 1)
            if len(content) > 4:
                content = struct.pack(self.order + "I", self.append(content))
            entries += struct.pack(self.order + "HHI", number, kind, count) + content.ljust(4, b"\0")
        return self.append(struct.pack(self.order + "H", len(tags)) + entries + bytes(4))

    def finished(self, first: int) -> bytes:
        """The whole of it, with its first directory at an offset."""
        struct.pack_into(self.order + "I", self.data, 4, first)
        return bytes(self.data)


def exif_block(order: str, tags: Tags) -> bytes:
    """An EXIF block without prefix."""
    tiff = Tiff(order)
    return tiff.finished(tiff.directory(tags))


def tiff_file(order: str, pixels: np.ndarray, tags: Tags, packbits: bool = False) -> bytes:
    """A TIFF of (H,W) or (H,W,C) uint8 or uint16 pixels; `tags` are added to its own or replace them.

    PackBits takes rows of up to 128 bytes here, each as one literal run.
    """
    height, width, channels = (*pixels.shape, 1)[:3]
    tiff = Tiff(order)
    rows = [row.tobytes() for row in pixels.astype(pixels.dtype.newbyteorder(order))]
    strip = b"".join(bytes([len(row) - 1]) + row if packbits else row for row in rows)
    at = tiff.append(strip)
    own = {
        256: tag(SHORT, width),
        257: tag(SHORT, height),
        258: tag(SHORT, *[8 * pixels.itemsize] * channels),
        259: tag(SHORT, 32773 if packbits else 1),
        262: tag(SHORT, 2 if channels > 2 else 1),
        273: tag(LONG, at),
        277: tag(SHORT, channels),
        278: tag(SHORT, height),
        279: tag(LONG, len(strip)),
    }
    return tiff.finished(tiff.directory(own | tags))


def twelve_bit_tiff(order: str, pixels: np.ndarray, tags: Tags, deflate: bool = False) -> bytes:
    """A TIFF of (H,W) or (H,W,C) values up to 4095, two in three bytes; each row is filled up to a whole byte."""
    height, width, channels = (*pixels.shape, 1)[:3]
    rows = ["".join(f"{value:012b}" for value in row) for row in pixels.reshape(height, -1).tolist()]
    rows = [row + "0" * (-len(row) % 8) for row in rows]
    strip = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    strip = zlib.compress(strip) if deflate else strip
    own = {
        256: tag(SHORT, width),
        257: tag(SHORT, height),
        258: tag(SHORT, *[12] * channels),
        259: tag(SHORT, 8 if deflate else 1),
        262: tag(SHORT, 2 if channels > 2 else 1),
        277: tag(SHORT, channels),
        278: tag(SHORT, height),
    }
    return tiff_file(order, np.frombuffer(strip, np.uint8)[None], own | tags)
