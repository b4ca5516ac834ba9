import struct

import pytest
from tiff_files import ASCII, RATIONAL, SHORT, exif_block, tag

from restorekit.media.tags import Directory, Tag, as_block, read_directory, write_directory


def test_a_block_is_laid_out_as_tiff_6_prescribes() -> None:
    directory = Directory(">", {315: Tag(2, 5, b"name\0"), 274: Tag(3, 1, b"\0\1"), 271: Tag(2, 6, b"maker\0")}, {})
    assert as_block(directory) == (
        b"MM\0\x2a\0\0\0\x08"
        b"\0\x03"
        b"\x01\x0f\0\x02\0\0\0\x06\0\0\0\x32"  # in rising order; its value stands at 50
        b"\x01\x12\0\x03\0\0\0\x01\0\x01\0\0"  # short values stand on the left of their entry
        b"\x01\x3b\0\x02\0\0\0\x05\0\0\0\x38"  # at 56
        b"\0\0\0\0"
        b"maker\0name\0\0"
    )


def test_directories_and_values_begin_at_even_offsets() -> None:
    child = Directory("<", {37500: Tag(7, 5, b"12345")}, {})
    block = as_block(Directory("<", {270: Tag(2, 5, b"text\0")}, {34665: child}))
    (text_at,) = struct.unpack_from("<I", block, 8 + 2 + 8)
    (child_at,) = struct.unpack_from("<I", block, 8 + 2 + 12 + 8)
    assert (text_at, child_at) == (38, 44)
    assert read_directory(block).children[34665].tags[37500].value == b"12345"


def test_values_that_overlap_do_not_multiply_in_memory() -> None:
    count = 1000
    entries = b"".join(struct.pack("<HHII", 40000 + number, 7, 10000, 8) for number in range(count))
    data = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", count) + entries + bytes(4)
    directory = read_directory(data)
    assert sum(len(tag.value) for tag in directory.tags.values()) <= len(data)
    assert len(directory.damaged) == count - 1


def test_bigtiff_is_read_and_its_own_types_are_left_out_when_written() -> None:
    entries = struct.pack("<HHQ8s", 271, 2, 6, b"maker\0") + struct.pack("<HHQQ", 65000, 16, 1, 2**40)
    data = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + struct.pack("<Q", 2) + entries + bytes(8)
    directory = read_directory(data)
    assert directory.integers(65000) == (2**40,)
    assert directory.tags[271].value == b"maker\0"
    assert write_directory(directory, 8)[:2] == b"\1\0"


@pytest.mark.parametrize(
    "data",
    [b"", b"II*\0", b"XX*\0\x08\0\0\0", b"II\x2b\0\x08\0\0\0", b"II\x63\0\x08\0\0\0\0\0", b"II*\0\xff\0\0\0\0\0"],
)
def test_what_is_no_tiff_structure_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"TIFF|directory|BigTIFF"):
        read_directory(data)


def test_a_missing_offset_of_the_next_directory_is_taken_as_none() -> None:
    block = exif_block("<", {274: tag(SHORT, 1)})
    assert read_directory(block[:-4]).integers(274) == (1,)


def test_integers_are_those_of_the_file() -> None:
    directory = read_directory(exif_block(">", {282: tag(RATIONAL, 300, 7), 305: tag(ASCII, b"x\0")}))
    assert directory.integers(282) == (300, 7)
    assert directory.integers(305) == directory.integers(1) == ()
