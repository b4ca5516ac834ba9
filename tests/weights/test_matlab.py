"""MATLAB files against SciPy, which writes them, and files that no MATLAB would write."""

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from restorekit.weights import matlab

TYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
SHAPES = ((3, 4), (1, 1), (2, 3, 4), (0, 3), (5, 1), (1, 2))


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    padding = b"" if kind == 15 else bytes(-len(content) % 8)
    return struct.pack(f"{order}II", kind, len(content)) + content + padding


def array(numbers: bytes, kind: int, shape: tuple[int, ...], meant: int = 6, flags: int = 0, order: str = "<") -> bytes:
    """One array called "a"; its name stands inside the tag, as MATLAB writes short ones."""
    parts = element(6, struct.pack(f"{order}II", meant | flags, 0), order)
    parts += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    parts += struct.pack(f"{order}I", 1 << 16 | 1) + b"a\0\0\0"
    return element(14, parts + element(kind, numbers, order), order)


def file(*elements: bytes, order: bytes = b"IM") -> bytes:
    return matlab.MAGIC.ljust(124) + b"\0\1" + order + b"".join(elements)


@pytest.mark.parametrize("deflated", [False, True])
def test_arrays_of_every_type_and_shape_are_those_that_scipy_wrote(deflated: bool) -> None:
    rng = np.random.default_rng(0)
    written = {
        f"{kind}_{number}": (rng.random(shape) * 100).astype(kind)
        for kind in TYPES
        for number, shape in enumerate(SHAPES)
    }
    others = {"text": "hello", "cell": np.array([1, "x"], dtype=object), "struct": {"a": 1}, "complex": np.ones(2) * 1j}
    stream = io.BytesIO()
    savemat(stream, written | others, do_compression=deflated)
    read = matlab.read_arrays(stream.getvalue())
    assert set(read) == set(written)
    for name, values in written.items():
        assert read[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], values)


def test_whole_numbers_stored_in_a_smaller_type_are_what_they_mean() -> None:
    # doubles that are stored as bytes, filled by columns
    read = matlab.read_arrays(file(array(bytes([1, 2, 3, 4]), kind=2, shape=(2, 2))))["a"]
    assert read.dtype == np.float64
    assert read.tolist() == [[1, 3], [2, 4]]


def test_the_other_byte_order_is_read() -> None:
    big = array(struct.pack(">2d", 1.5, -2), kind=9, shape=(1, 2), order=">")
    assert matlab.read_arrays(file(big, order=b"MI"))["a"].tolist() == [[1.5, -2]]


FOUR = struct.pack("<4d", 1, 2, 3, 4)


@pytest.mark.parametrize(
    "damaged",
    [
        file(order=b"??"),
        file(b"123"),
        file(struct.pack("<II", 14, 1000) + bytes(8)),
        file(element(14, b"")),
        file(element(14, element(6, bytes(8)))),
        file(element(14, element(6, b"") + element(5, bytes(8)) + element(1, b"a") + element(9, FOUR))),
        file(array(FOUR, kind=9, shape=(2, 3))),
        file(array(FOUR, kind=9, shape=(-1, 2))),
        file(array(FOUR, kind=9, shape=(2**31 - 1,) * 8)),
        file(array(FOUR, kind=200, shape=(2, 2))),
        file(array(FOUR[:-3], kind=9, shape=(2, 2))),
        file(element(15, b"no deflated data")),
        file(element(15, zlib.compress(array(FOUR, kind=9, shape=(2, 2)))[:-8])),
    ],
)
def test_a_damaged_file_is_an_error(damaged: bytes) -> None:
    with pytest.raises((ValueError, IndexError, zlib.error)):
        matlab.read_arrays(damaged)


def test_an_array_that_inflates_without_end_is_given_up() -> None:
    # Honest files inflate to twice their size; a small one may hold zeros.
    zeros = (1 << 20, 1)
    assert set(matlab.read_arrays(file(element(15, zlib.compress(array(bytes(8 << 20), kind=9, shape=zeros)))))) == {
        "a"
    }
    with pytest.raises(ValueError, match="larger than any weights"):
        matlab.read_arrays(file(element(15, zlib.compress(array(bytes(32 << 20), kind=9, shape=(4 << 20, 1))))))
