"""Directories of tags (IFDs): what TIFF files and EXIF blocks are made of. TIFF 6.0, section 2, and BigTIFF.

Values stay bytes in the byte order of their file. Nothing is interpreted, so types, rationals and texts in any encoding
survive.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

from restorekit.media.limits import MOST_METADATA

TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
"""Bytes of one value: BYTE, ASCII, SHORT, LONG, RATIONAL, their signed forms, UNDEFINED, FLOAT, DOUBLE, IFD, UTF-8."""
BIG_TYPE_SIZES = TYPE_SIZES | {16: 8, 17: 8, 18: 8}
"""BigTIFF adds LONG8, SLONG8 and IFD8."""
SHORT, LONG, LONG8 = 3, 4, 16
WIDTH, HEIGHT = 256, 257
MOST_ENTRIES = 1 << 16
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
POINTERS = (EXIF, GPS, INTEROPERABILITY)
"""Tags whose value is the offset of a directory."""
_INTEGERS = {1: "B", 3: "H", 4: "I", 5: "II", 13: "I", 16: "Q", 18: "Q"}  # struct formats; a rational is two numbers


ByteOrder = Literal["<", ">"]
"""As `struct` writes it: "<" for II, ">" for MM."""


class Bytes(Protocol):
    """Bytes in memory, or those of a file; see `media.file_bytes`."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, key: slice, /) -> bytes:
        """Some of them; as many as there are."""
        ...


@dataclass(frozen=True)
class Tag:
    """One value, or several of one type."""

    type: int
    count: int
    value: bytes
    """`count` values in the byte order of the directory."""
    offset: int = field(default=0, compare=False)
    """Where the value was in the data it was read from."""


@dataclass(frozen=True)
class Directory:
    """The tags of a directory, and the directories that its pointers lead to."""

    order: ByteOrder
    """Byte order as `struct` writes it: "<" for II, ">" for MM."""
    tags: Mapping[int, Tag]
    children: Mapping[int, "Directory"]
    next: int = 0
    """Offset of the next directory; an EXIF block has a thumbnail there, a TIFF its next page."""
    next_offset: int = field(default=0, compare=False)
    """Where `next` stands in the data."""
    damaged: tuple[int, ...] = ()
    """Numbers of the tags, here and in the children, whose value or directory does not lie in the data."""

    def integers(self, number: int) -> tuple[int, ...]:
        """Values of an unsigned integer tag; a rational gives numerator and denominator. Empty for any other tag."""
        return _integers(self.tags[number], self.order) if number in self.tags else ()


_ORDERS: Mapping[bytes, ByteOrder] = {b"II": "<", b"MM": ">"}


def _integers(tag: Tag, order: str) -> tuple[int, ...]:
    return struct.unpack(order + _INTEGERS[tag.type] * tag.count, tag.value) if tag.type in _INTEGERS else ()


def read_directory(data: Bytes) -> Directory:
    """Read the first directory of a TIFF file or EXIF block, and those it points to.

    Raises:
        ValueError: the data has no such structure, or the directory does not lie in it.
    """
    order = _ORDERS.get(data[:2])
    if order is None or len(data) < 8:
        raise ValueError("it is no TIFF structure")
    version, first = struct.unpack(order + "HI", data[2:8])
    if version == 43 and len(data) >= 16:
        return _read(data, order, True, struct.unpack(order + "Q", data[8:16])[0], ())
    if version != 42:
        raise ValueError("it is no TIFF structure")
    return _read(data, order, False, first, ())


def _read(data: Bytes, order: ByteOrder, big: bool, offset: int, parents: tuple[int, ...]) -> Directory:
    """Read a directory; `parents` are the offsets of those that lead to it."""
    count_format, word, sizes = ("Q", "Q", BIG_TYPE_SIZES) if big else ("H", "I", TYPE_SIZES)
    inline = struct.calcsize(word)  # a value of up to this many bytes stands in its entry
    entry = struct.Struct(f"{order}HH{word}")
    start = offset + struct.calcsize(count_format)
    if offset in parents or start > len(data):
        raise ValueError("a directory of tags lies outside the data")
    (entries,) = struct.unpack(order + count_format, data[offset:start])
    end = start + entries * (entry.size + inline)
    if end > len(data):
        raise ValueError("a directory of tags is cut off")
    tags: dict[int, Tag] = {}
    children: dict[int, Directory] = {}
    damaged: list[int] = []
    room = min(
        len(data), MOST_METADATA
    )  # values do not overlap; without this bound a small file could ask for any amount of memory
    for position in range(start, end, entry.size + inline):
        place = position + entry.size
        number, type_, count = entry.unpack(data[position:place])
        size = sizes.get(type_, 0) * count
        if size > inline:
            (place,) = struct.unpack(order + word, data[place : place + inline])
            room -= size
        if size == 0 or place + size > len(data) or room < 0:
            damaged.append(number)
            continue
        tags[number] = Tag(type_, count, data[place : place + size], place)
    following = struct.unpack(order + word, data[end : end + inline])[0] if end + inline <= len(data) else 0
    for pointer in POINTERS:
        if pointer in tags:
            try:
                (target,) = _integers(tags.pop(pointer), order)
                children[pointer] = _read(data, order, big, target, (*parents, offset))
                damaged += children[pointer].damaged
            except ValueError:
                damaged.append(pointer)
    return Directory(order, tags, children, following, end, tuple(damaged))


def read_sides(stream: BinaryIO) -> tuple[int, int]:
    """Width and height of a TIFF, from the entries of its first directory alone.

    Raises:
        Exception: the stream is no TIFF or does not state them.
    """
    head = stream.read(16)
    order = _ORDERS[head[:2]]
    big = struct.unpack_from(order + "H", head, 2) == (43,)
    word, count_format = ("Q", "Q") if big else ("I", "H")
    entry = struct.Struct(f"{order}HH{word}")
    stream.seek(*struct.unpack_from(order + word, head, 8 if big else 4))
    (entries,) = struct.unpack(order + count_format, stream.read(struct.calcsize(count_format)))
    sides: dict[int, int] = {}
    for _ in range(min(entries, MOST_ENTRIES)):
        number, type_, _ = entry.unpack(stream.read(entry.size))
        value = stream.read(struct.calcsize(word))
        if number in (WIDTH, HEIGHT):
            (sides[number],) = struct.unpack_from(order + _INTEGERS[type_], value)
    return sides[WIDTH], sides[HEIGHT]


def write_directory(directory: Directory, at: int, big: bool = False) -> bytes:
    """The bytes of a directory and its children; none follows it.

    Args:
        directory: to be written in its own byte order. Types of BigTIFF are left out unless it is `big`.
        at: even offset at which the bytes will stand.
        big: write it as BigTIFF has it.
    """
    order = directory.order
    count, word, pointer, sizes = ("Q", "Q", LONG8, BIG_TYPE_SIZES) if big else ("H", "I", LONG, TYPE_SIZES)
    width = struct.calcsize(word)
    tags = {number: tag for number, tag in directory.tags.items() if tag.type in sizes}
    numbers = sorted({*tags, *directory.children})
    entries = struct.pack(order + count, len(numbers))
    values = bytearray()
    first = at + len(entries) + (4 + 2 * width) * len(numbers) + width
    for number in numbers:
        target = struct.pack(order + word, first + len(values))
        if number in directory.children:
            entries += struct.pack(f"{order}HH{word}", number, pointer, 1) + target
            values += write_directory(directory.children[number], first + len(values), big)
        else:
            tag = tags[number]
            inline = len(tag.value) <= width
            entries += struct.pack(f"{order}HH{word}", number, tag.type, tag.count)
            entries += tag.value.ljust(width, b"\0") if inline else target
            values += b"" if inline else tag.value
        values += b"\0" * (len(values) % 2)
    return bytes(entries + struct.pack(order + word, 0) + values)


def as_block(directory: Directory) -> bytes:
    """A directory as an EXIF block: a header, and the directory right behind it."""
    mark = b"II" if directory.order == "<" else b"MM"
    return mark + struct.pack(directory.order + "HI", 42, 8) + write_directory(directory, 8)
