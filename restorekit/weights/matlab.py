"""Read the numeric arrays of MATLAB files, versions 5 to 7.

Every length is checked here before it is used: SciPy's reader can be made to crash the process by a crafted file.

Layout (The MathWorks, MAT-File Format): a header of 128 bytes, then elements. An element is a tag of eight bytes (type,
length) and its data, padded to eight bytes; data of up to four bytes are inside the tag. An array is an element of elements:
flags, dimensions, name, numbers by columns. Files of version 7 deflate each array.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"MATLAB 5.0 MAT-file"
HEADER_LENGTH = 128
INFLATED = 16
"""How many times the size of its file an array may inflate to ..."""
SMALL = 1 << 24
"""... and bytes that it may have in any case."""

ARRAY, DEFLATED = 14, 15
"""Element types that hold other elements."""
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Element types of numbers, as NumPy calls them: MATLAB stores whole numbers in the smallest type that holds them."""
MEANT = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Classes of arrays, i.e. the types that the numbers have in MATLAB; all others (text, cells, structures) are left out."""
COMPLEX = 0x800
"""Flag of arrays with an imaginary part."""


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The real numeric arrays of a file by name; everything else in it is left out.

    Args:
        data: the file's bytes.

    Raises:
        ValueError, IndexError, zlib.error: the file is damaged.
    """
    if data[126:128] not in (b"IM", b"MI"):
        raise ValueError("no byte order")
    order = "<" if data[126:128] == b"IM" else ">"
    arrays: dict[str, NDArray[Any]] = {}
    for kind, content in _elements(data[HEADER_LENGTH:], order):
        if kind == DEFLATED:
            limit = max(INFLATED * len(data), SMALL)
            kind, content = next(_elements(_inflate(content, limit), order), (0, b""))
        if kind == ARRAY:
            arrays |= _read_array(content, order)
    return arrays


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and data of all elements in a row."""
    at = 0
    while at < len(data):
        tag = data[at : at + 8]
        if len(tag) < 8:
            raise ValueError("an element without a tag")
        kind, length = (int(number) for number in np.frombuffer(tag, f"{order}u4"))
        begin, end = at + 8, at + 8 + length
        if kind >> 16:  # the data are inside the tag
            kind, begin, end = kind & 0xFFFF, at + 4, at + 4 + min(kind >> 16, 4)
            at += 8
        else:
            at = end if kind == DEFLATED else end + -length % 8
        if end > len(data):
            raise ValueError("an element that reaches beyond its end")
        yield kind, data[begin:end]


def _inflate(content: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    inflated = stream.decompress(content, limit)
    if not stream.eof:
        raise ValueError("a deflated array that is cut off or larger than any weights")
    return inflated


def _read_array(content: bytes, order: str) -> dict[str, NDArray[Any]]:
    """The array by its name; empty if it is of another class or complex."""
    parts = list(_elements(content, order))[:4]
    if len(parts) < 4:
        raise ValueError("an array without numbers")
    (_, flags), (_, dimensions), (_, name), (kind, numbers) = parts
    flag = int(np.frombuffer(flags, f"{order}u4")[0])
    if flag & 0xFF not in MEANT or flag & COMPLEX:
        return {}
    shape = np.frombuffer(dimensions, f"{order}i4").tolist()
    if kind not in STORED or min(shape, default=0) < 0:
        raise ValueError("an array of unknown type or impossible shape")
    values = np.frombuffer(numbers, order + STORED[kind]).astype(MEANT[flag & 0xFF])
    return {name.decode("latin-1"): values.reshape(shape, order="F")}
