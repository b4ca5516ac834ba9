"""Read TIFF files, which may say anything of themselves.

Their directory is read here, and the decoders see a file of ours: one page with the tags about pixels and no others. Sizes
and pieces (strips or tiles) are compared with each other and with the file before memory is taken for them. Deflate, LZW,
LZMA and Zstandard are unpacked no further than a piece has pixels; tifffile then decodes what is uncompressed now, in any
depth. OpenCV decodes the deep or premultiplied kinds of other compressions, Pillow the rest.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import TiffImageFile

from restorekit.errors import UnreadableImage
from restorekit.imaging.dtypes import RANGES
from restorekit.media.image import Image, range_error
from restorekit.media.metadata import DNG_VERSION, PIXEL_TAGS, is_premultiplied, read_tiff_metadata
from restorekit.media.profiles import convert_to_srgb
from restorekit.media.samples import check_size, decode_with_opencv, described, expanded_mode, split_alpha, turn
from restorekit.media.tags import (
    HEIGHT,
    LONG,
    TYPE_SIZES,
    WIDTH,
    Bytes,
    Directory,
    Tag,
    as_block,
    read_directory,
    write_directory,
)

if TYPE_CHECKING:
    import tifffile

COMPRESSION, FILL_ORDER, ROWS_PER_STRIP, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, IMAGE_DEPTH = (
    259,
    266,
    278,
    317,
    322,
    323,
    32997,
)
STRIP_OFFSETS, STRIP_LENGTHS, TILE_OFFSETS, TILE_LENGTHS = 273, 279, 324, 325
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8  # photometric kinds
UNCOMPRESSED, LZW, OLD_JPEG, DEFLATE, OLD_DEFLATE, LZMA, ZSTD = 1, 5, 6, 8, 32946, 34925, 50000
UNPACKED_HERE = (UNCOMPRESSED, LZW, DEFLATE, OLD_DEFLATE, LZMA, ZSTD)
LOWEST_BIT_FIRST = 2  # the order of bits in a byte
DIFFERENCES = 2  # the predictor: each sample less the one on its left
FLOAT_DIFFERENCES = 3  # the same of the bytes of floating-point samples, the highest bytes of a row first


@dataclass(frozen=True)
class Piece:
    """A strip or tile: where it lies in the file, and its pixels."""

    offset: int
    length: int
    height: int
    width: int


def read_tiff(data: bytes, max_pixels: int) -> Image:
    """Decode the bytes of a TIFF file.

    Raises:
        UnreadableImage: too large, or of a kind that would lose something or cannot be decoded.
        Exception: the file is damaged.
    """
    header, page = check_header(data, max_pixels)
    metadata, orientation = read_tiff_metadata(data)
    icc = metadata.icc
    lost: tuple[str, ...] = ()
    premultiplied = is_premultiplied(metadata)
    pieces = (
        [] if page.compression == OLD_JPEG else find_pieces(header, data, max_pixels)
    )  # that has a place of its own
    if page.compression in UNPACKED_HERE and page.photometric != YCBCR:
        alone = _unpacked(header, data, pieces, page)
    else:
        alone = with_directory(data, header)
    if page.compression in UNPACKED_HERE and page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        samples = _page(alone).asarray()
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        if _is_packed(page):
            top = (1 << page.bitspersample) - 1
            samples = ((samples * np.uint32(65535) + top // 2) // top).astype(np.uint16)
        if page.photometric == WHITE_IS_ZERO:
            samples = samples.dtype.type(RANGES[samples.dtype]) - samples
    elif page.photometric in (CMYK, LAB):
        converted, icc, lost = convert_to_srgb(_decode_with_pillow(alone), icc)
        samples = np.asarray(converted)
    elif page.dtype == np.uint8 and page.photometric != YCBCR and not premultiplied:
        image = _decode_with_pillow(alone)
        samples = np.asarray(image.convert(expanded_mode(image, True)) if image.mode == "P" else image)
    else:
        samples = decode_with_opencv(alone)  # which makes black zero
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    grey = page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    expected = {PALETTE: 3, CMYK: 3}.get(page.photometric, page.samplesperpixel)
    if channels != expected or channels not in ((1, 2) if grey else (3, 4)):
        raise UnreadableImage(
            f"The TIFF has {page.samplesperpixel} channels, of which {channels} can be decoded.",
            "Convert it to RGB or grey, with or without alpha.",
        )
    if samples.dtype == np.float32 and (why := range_error(samples)):
        raise UnreadableImage(why, "Scale the image to 0..1.")
    pixels, alpha = split_alpha(turn(samples, orientation), grey)
    return Image(pixels, alpha, described(metadata, icc, lost, orientation, pixels), "tiff")


def check_header(data: Bytes, max_pixels: int) -> tuple[Directory, tifffile.TiffPage]:
    """The tags about pixels of a TIFF that can be decoded, and what tifffile makes of them.

    Raises:
        UnreadableImage: several pages, too large, or of a kind that would lose something.
        ValueError: the directory is damaged.
    """
    header = read_directory(data)
    if 8 <= header.next < len(data) or whole_number(header, IMAGE_DEPTH, 1) > 1:
        raise UnreadableImage("The TIFF holds several pages.", "Split it into single images.")
    if DNG_VERSION in header.tags:
        raise UnreadableImage("The TIFF is a camera's raw file (DNG).", "Develop it to TIFF or PNG first.")
    check_size(whole_number(header, WIDTH), whole_number(header, HEIGHT), max_pixels)
    header = _about_pixels(header)
    page = _page(as_block(header))
    _check_kind(page)
    return header, page


def whole_number(header: Directory, number: int, default: int = 0) -> int:
    """The value of a tag that must be one positive whole number; `default` where it is absent, if that is one."""
    values = header.integers(number) if number in header.tags else (default,)
    if len(values) != 1 or values[0] < 1:
        raise ValueError(f"tag {number} is no size")
    return values[0]


def _about_pixels(header: Directory) -> Directory:
    """The same with nothing but the tags about pixels; numbers of BigTIFF become those of TIFF where they fit."""
    tags = {number: tag for number, tag in header.tags.items() if number in PIXEL_TAGS}
    for number, tag in tags.items():
        if tag.type not in TYPE_SIZES and max(header.integers(number), default=1 << 32) < 1 << 32:
            tags[number] = longs(header, *header.integers(number))
    return Directory(header.order, tags, {})


def longs(header: Directory, *values: int) -> Tag:
    """A tag of such numbers, in the byte order of the header."""
    return Tag(LONG, len(values), struct.pack(f"{header.order}{len(values)}I", *values))


def _page(data: bytes) -> tifffile.TiffPage:
    import tifffile  # 50 ms, for which no other format need wait

    return tifffile.TiffFile(io.BytesIO(data)).pages.first


def _check_kind(page: tifffile.TiffPage) -> None:
    """Refuse what would lose something or cannot be decoded."""
    photometric = page.photometric
    whole_bytes = page.dtype in RANGES and page.bitspersample == 8 * np.dtype(page.dtype).itemsize
    if not (whole_bytes or _is_packed(page) or (photometric == PALETTE and page.dtype in RANGES)):
        raise UnreadableImage(
            f"Pixels of type {page.dtype} in {page.bitspersample} bits are not supported.",
            "Convert it to 8 or 16 bit, or to float32 in 0..1.",
        )
    eight_bits_only = photometric in (CMYK, LAB) and page.dtype == np.uint8 and not page.extrasamples
    if page.planarconfig != 1 or not (
        photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR) or eight_bits_only
    ):
        raise UnreadableImage(
            f"TIFFs of kind {getattr(photometric, 'name', photometric)} in {page.bitspersample} bits, or stored in "
            "planes, are not supported.",
            "Convert it to RGB or grey.",
        )
    if page.samplesperpixel > 4:
        raise UnreadableImage(
            f"The TIFF has {page.samplesperpixel} channels.", "Convert it to RGB or grey, with or without alpha."
        )


def _is_packed(page: tifffile.TiffPage) -> bool:
    """Whether samples of 9 to 15 bits stand side by side without gaps, as cameras and scanners with 12 bits write them."""
    return (
        page.dtype == np.uint16
        and page.bitspersample < 16
        and page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
        and page.compression in UNPACKED_HERE
        and page.predictor == 1
    )


def find_pieces(header: Directory, data: Bytes, max_pixels: int) -> list[Piece]:
    """Every strip or tile, row by row.

    Raises:
        ValueError: there are fewer than the image's size asks for, or one lies outside the file.
        UnreadableImage: the tiles together have more than `max_pixels`.
    """
    height, width = whole_number(header, HEIGHT), whole_number(header, WIDTH)
    tiled = TILE_WIDTH in header.tags
    if tiled:
        rows, columns = whole_number(header, TILE_HEIGHT), whole_number(header, TILE_WIDTH)
    else:
        rows, columns = min(whole_number(header, ROWS_PER_STRIP, height), height), width
    down, across = -(-height // rows), -(-width // columns)
    if tiled:
        check_size(across * columns, down * rows, max_pixels)
    offsets, lengths = (TILE_OFFSETS, TILE_LENGTHS) if tiled else (STRIP_OFFSETS, STRIP_LENGTHS)
    for number in (offsets, lengths):
        if number in header.tags and header.tags[number].count < down * across:
            raise ValueError(f"it has {down * across} pieces, of which {header.tags[number].count} are listed")
    starts = header.integers(offsets)[: down * across]
    sizes = header.integers(lengths) or [len(data) - start for start in starts]  # old writers leave them out
    pieces = [
        Piece(start, size, rows if tiled else min(rows, height - index * rows), columns)
        for index, (start, size) in enumerate(zip(starts, sizes, strict=False))
    ]
    if not pieces or any(piece.offset + piece.length > len(data) for piece in pieces):
        raise ValueError("a piece of the image lies outside the file")
    return pieces


def _unpacked(header: Directory, data: bytes, pieces: list[Piece], page: tifffile.TiffPage) -> bytes:
    """An uncompressed file of the same pixels; its strips become one.

    Raises:
        ValueError: a piece holds fewer pixels than it has.
        Exception: it is damaged.
    """
    dtype = np.dtype(page.dtype).newbyteorder(header.order)
    plain = []
    for piece in pieces:
        size = piece.height * (-(-piece.width * page.samplesperpixel * page.bitspersample // 8))
        packed = data[piece.offset : piece.offset + min(piece.length, 2 * size + 1024)]  # none of them grows so much
        if page.fillorder == LOWEST_BIT_FIRST:
            packed = bytes(imagecodecs.bitorder_decode(packed))
        pixels = _unpack(packed, page.compression, size)
        if len(pixels) < size:
            raise ValueError("it holds fewer pixels than its header promises")
        if page.predictor == DIFFERENCES:
            rows = np.frombuffer(pixels, dtype).reshape(piece.height, piece.width, -1)
            pixels = rows.cumsum(axis=1, dtype=dtype.newbyteorder("=")).astype(dtype).tobytes()  # sums are native
        elif page.predictor == FLOAT_DIFFERENCES:
            rows = np.frombuffer(pixels, dtype).reshape(piece.height, piece.width, -1)
            pixels = imagecodecs.floatpred_decode(rows, axis=1).tobytes()
        plain.append(pixels)
    starts = list(itertools.accumulate(map(len, plain), initial=8))
    tags = {**header.tags, COMPRESSION: longs(header, UNCOMPRESSED)}
    for number in (PREDICTOR, FILL_ORDER):
        tags.pop(number, None)
    if TILE_WIDTH in tags:
        tags |= {TILE_OFFSETS: longs(header, *starts[:-1]), TILE_LENGTHS: longs(header, *map(len, plain))}
    else:
        tags |= {STRIP_OFFSETS: longs(header, 8), STRIP_LENGTHS: longs(header, starts[-1] - 8)}
        tags[ROWS_PER_STRIP] = tags[HEIGHT]
    return with_directory(bytes(8) + b"".join(plain), replace(header, tags=tags))


def _unpack(packed: bytes, compression: int, size: int) -> bytes:
    """At most `size` bytes of a piece."""
    if compression == UNCOMPRESSED:
        return packed[:size]
    if compression == LZW:
        return bytes(imagecodecs.lzw_decode(packed, out=size))
    if compression == LZMA:
        return bytes(imagecodecs.lzma_decode(packed, out=size))
    if compression == ZSTD:
        return bytes(imagecodecs.zstd_decode(packed, out=size))
    return zlib.decompressobj().decompress(packed, size)


def with_directory(data: bytes, directory: Directory) -> bytes:
    """A TIFF of the same bytes with another directory."""
    data += bytes(len(data) % 2)
    mark = b"II" if directory.order == "<" else b"MM"
    head = mark + struct.pack(f"{directory.order}HI", 42, len(data))
    return head + data[8:] + write_directory(directory, len(data))


def _decode_with_pillow(data: bytes) -> PIL.Image.Image:
    """An 8-bit TIFF of any compression."""
    image = TiffImageFile(io.BytesIO(data))
    image.load()
    return image
