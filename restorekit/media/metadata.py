"""What a file says besides its pixels: EXIF, colour profile, XMP, resolution, texts. Read from and written to each format.

EXIF keeps its bytes from file to file: only numbers that would become wrong are changed, in place, because rewriting the
block would move what maker notes point to. A TIFF has its tags in its own header; they are gathered into such a block and
put back from it.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from restorekit.media.sniff import PNG, Format
from restorekit.media.tags import ByteOrder, Bytes, Directory, Tag, as_block, read_directory, write_directory

EXIF_PREFIX = b"Exif\0\0"
XMP_KEYWORD = b"XML:com.adobe.xmp"
INCH = 0.0254  # metres
MOST_TEXT = 1 << 26  # bytes that a compressed PNG chunk may unpack to

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
EXTRA_SAMPLES, XMP, ICC, DNG_VERSION = 338, 700, 34675, 50706
WIDTHS, HEIGHTS = (256, 40962), (257, 40963)  # in a TIFF header, in an EXIF directory
GEO_TIFF = (33550, 33922, 34264)  # how pixels lie on the earth
PIXEL_TAGS = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291),
        *(292, 293, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 332, 333, 334, 336, 338, 339, 340, 341, 342, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 32995, 32996, 32997, 32998),
    )
)
"""How a TIFF stores its pixels, in the numbers of TIFF 6.0; the new file stores them its own way."""
OUTDATED_TAGS = {330: "images inside the TIFF (previews or masks)", 37724: "Photoshop layers"}
"""They show the image before it was restored, or stand at an offset that no longer holds."""
COLOUR_CHUNKS = frozenset({b"cHRM", b"cICP", b"cLLI", b"gAMA", b"mDCV", b"sRGB", b"tIME"})
"""PNG chunks that stay true when the pixels change, beside those that are safe to copy by their name."""
DEPTH_CHUNKS = frozenset({b"bKGD", b"sBIT"})
"""PNG chunks that hold values for each channel: they stay true where channels and depth stay."""
READ_CHUNKS = frozenset({b"eXIf", b"iCCP", b"tRNS", b"hIST", b"iDOT"})
"""PNG chunks that are read elsewhere or say how the old file was compressed."""
PART_NAMES = {"exif": "EXIF", "icc": "ICC profile", "xmp": "XMP"}
JPEG_LIMITS = {"exif": 65527, "xmp": 65504, "icc": 255 * 65519}  # bytes
RESOLUTION_LIMITS: dict[Format, float] = {"png": 5e7, "bmp": 5e7, "jpeg": 65535, "tiff": 4e9}  # pixels per inch


@dataclass(frozen=True)
class Block:
    """A piece of a file that only files of the same format can hold, as it stands there: a PNG chunk, a JPEG segment."""

    format: Format
    name: str
    """What it is, in plain words."""
    data: bytes


@dataclass(frozen=True)
class Metadata:
    """What a file says besides its pixels."""

    exif: bytes = b""
    """EXIF block: a TIFF structure without prefix, upright. Of a TIFF, all tags of its header that are not about storage."""
    icc: bytes = b""
    """ICC colour profile. Pixels are in its colour space."""
    xmp: bytes = b""
    resolution: tuple[float, float] | None = None
    """Pixels per inch across and down."""
    blocks: tuple[Block, ...] = ()
    lost: tuple[str, ...] = field(default=(), compare=False)
    """What the file said and this does not, in plain words."""

    def resized(self, height: int, width: int) -> "Metadata":
        """The same of an image of another size: EXIF states the new one, and a GeoTIFF's position is dropped."""
        exif = _patched(self.exif, dict.fromkeys(WIDTHS, width) | dict.fromkeys(HEIGHTS, height))
        directory = _directory(exif)
        if directory is None or not any(number in directory.tags for number in GEO_TIFF):
            return replace(self, exif=exif)
        tags = {number: tag for number, tag in directory.tags.items() if number not in GEO_TIFF}
        words = "GeoTIFF position dropped: the image has another size"
        return replace(self, exif=as_block(replace(directory, tags=tags)), lost=(*self.lost, words))


# Reading


def read_metadata(format: Format, data: Bytes, info: Mapping[Any, Any]) -> tuple[Metadata, int]:
    """Read the metadata of a PNG, JPEG, WebP or BMP.

    Args:
        format: of the file.
        data: the file.
        info: what Pillow found in it.

    Returns:
        The metadata, which call the image upright, and the EXIF orientation (1 to 8) that makes it so.
    """
    if format == "png":
        return _upright(_from_png(data))
    metadata = Metadata(exif=info.get("exif") or b"", icc=info.get("icc_profile") or b"", xmp=info.get("xmp") or b"")
    if format == "jpeg":
        return _upright(_from_jpeg(metadata, data, info))
    if format == "bmp" and int.from_bytes(data[14:18], "little") >= 40:  # an older header states no resolution
        per_metre = struct.unpack("<ii", data[38:46])
        metadata = replace(metadata, resolution=_resolution(*(value * INCH for value in per_metre)))
    return _upright(metadata)


def _from_png(data: Bytes) -> Metadata:
    exif, icc, xmp, resolution = b"", b"", b"", None
    blocks: list[Block] = []
    lost: list[str] = []
    header = next(body for _, body, _ in png_chunks(data))
    same_channels = header[8] >= 8 and header[9] != 3 and b"tRNS" not in {kind for kind, _, _ in png_chunks(data)}
    for kind, body, whole in png_chunks(data):
        if kind == b"eXIf":
            exif = body
        elif kind == b"iCCP" or (kind == b"iTXt" and body.startswith(XMP_KEYWORD + b"\0")):
            try:
                if kind == b"iCCP":
                    icc = _unpacked(body.partition(b"\0")[2][1:])
                else:
                    xmp = _xmp_text(body)
            except (ValueError, zlib.error) as error:  # the pixels are none the worse for it
                lost.append(f"{'ICC profile' if kind == b'iCCP' else 'XMP'} dropped: {error}")
        elif kind == b"pHYs" and body[8:] == b"\1":
            resolution = _resolution(*(value * INCH for value in struct.unpack(">II", body[:8])))
        elif kind[3:].islower() or kind in COLOUR_CHUNKS or (kind in DEPTH_CHUNKS and same_channels):
            blocks.append(Block("png", f"PNG chunk {kind.decode('ascii')}", whole))
        elif kind[:1].islower() and kind not in READ_CHUNKS:
            lost.append(f"PNG chunk {kind.decode('ascii', 'replace')} dropped")
    return Metadata(exif, icc, xmp, resolution, tuple(blocks), tuple(lost))


def png_chunks(data: Bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Type, body and the whole of every PNG chunk."""
    at = len(PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length], data[at : at + 12 + length]
        at += 12 + length


def _xmp_text(body: bytes) -> bytes:
    """The text of an iTXt chunk: behind its keyword, two flags, a language and a translation of the keyword."""
    flags = body[len(XMP_KEYWORD) + 1 :]
    parts = flags[2:].split(b"\0", 2)
    if len(parts) < 3:
        raise ValueError("its chunk is cut off")
    return _unpacked(parts[2]) if flags[0] else parts[2]


def _unpacked(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(packed, MOST_TEXT)
    if not inflater.eof:
        raise ValueError("its chunk is cut off or too large")
    return text


def _from_jpeg(metadata: Metadata, data: Bytes, info: Mapping[Any, Any]) -> Metadata:
    unit, density = info.get("jfif_unit", 0), info.get("jfif_density", (1, 1))
    blocks: list[Block] = []
    lost: list[str] = []
    if unit == 0 and density[0] != density[1]:
        lost.append(f"pixel aspect ratio of {density[0]}:{density[1]} dropped")
    for marker, body, whole in jpeg_segments(data):
        if marker == 0xFE:
            blocks.append(Block("jpeg", "JPEG comment", whole))
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            lost.append("further images in the file dropped (previews, depth or gain maps)")
        elif marker == 0xEB and body.startswith(b"JP"):
            lost.append("content credentials dropped: they vouch for the old pixels")
        elif 0xE0 < marker <= 0xEF and not _is_read_or_rewritten(marker, body):
            name = "IPTC" if body.startswith(b"Photoshop 3.0\0") else f"JPEG segment APP{marker - 0xE0}"
            blocks.append(Block("jpeg", name, whole))
    factor = {1: 1.0, 2: 2.54}.get(unit)
    resolution = _resolution(density[0] * factor, density[1] * factor) if factor else None
    return replace(metadata, resolution=resolution, blocks=tuple(blocks), lost=tuple(lost))


def _is_read_or_rewritten(marker: int, body: bytes) -> bool:
    """Whether a JPEG segment holds what `Metadata` has a field for, or how the old file was encoded (Adobe)."""
    known = {0xE1: (EXIF_PREFIX, b"http://ns.adobe.com/xap/1.0/\0"), 0xE2: (b"ICC_PROFILE\0",), 0xEE: (b"Adobe",)}
    return body.startswith(known.get(marker, ()))


def jpeg_segments(data: Bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Marker, body and the whole of every JPEG segment up to the compressed pixels, or to one whose length cannot be."""
    at = 2
    while at + 4 <= len(data) and data[at : at + 1] == b"\xff":
        (marker,) = data[at + 1 : at + 2]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA:
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if not at + 4 <= end <= len(data):
            return
        yield marker, data[at + 4 : end], data[at:end]
        at = end


def read_tiff_metadata(data: Bytes) -> tuple[Metadata, int]:
    """Read the metadata of a TIFF; see `read_metadata`.

    Raises:
        ValueError: the file's first directory is damaged.
    """
    header = read_directory(data)
    lost = [f"{words} dropped" for number, words in OUTDATED_TAGS.items() if number in header.tags]
    if header.damaged:
        lost.append(f"damaged tags dropped: {', '.join(map(str, header.damaged))}")
    read = {ORIENTATION, ICC, XMP, *PIXEL_TAGS, *OUTDATED_TAGS}
    if header.integers(EXTRA_SAMPLES) == (1,):
        read.remove(EXTRA_SAMPLES)  # colours that are multiplied by alpha stay so
    resolution = _stated_resolution(header)
    if resolution is None and header.integers(X_RESOLUTION) == header.integers(Y_RESOLUTION):
        read |= {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}  # square pixels of no size
    tags = {number: tag for number, tag in header.tags.items() if number not in read}
    described = replace(header, tags=tags, damaged=())
    metadata = Metadata(
        exif=as_block(described) if tags or header.children else b"",
        icc=header.tags[ICC].value if ICC in header.tags else b"",
        xmp=header.tags[XMP].value if XMP in header.tags else b"",
        resolution=resolution,
        lost=tuple(lost),
    )
    metadata, orientation = _upright(metadata)
    (stated,) = header.integers(ORIENTATION) or (orientation,)
    return metadata, stated if 1 <= stated <= 8 else 1


def _upright(metadata: Metadata) -> tuple[Metadata, int]:
    """The metadata of the image once it is turned, and the EXIF orientation (1 to 8) by which it must be."""
    exif, xmp, lost = metadata.exif, metadata.xmp, metadata.lost
    while exif.startswith(EXIF_PREFIX):  # some programs write it twice
        exif = exif[len(EXIF_PREFIX) :]
    directory = _directory(exif)
    stated = directory.integers(ORIENTATION) if directory else ()
    if not stated:
        match = re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)
        stated = (int(match[1]),) if match else ()
    orientation = stated[0] if stated and 1 <= stated[0] <= 8 else 1
    xmp = re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>1", xmp)
    exif = _patched(exif, {ORIENTATION: 1})
    if orientation != 1 and directory and directory.next:
        exif = exif[: directory.next_offset] + bytes(4) + exif[directory.next_offset + 4 :]
        lost = (*lost, "EXIF thumbnail dropped: it is not upright")
    return replace(metadata, exif=exif, xmp=xmp, lost=lost), orientation


def _directory(exif: bytes) -> Directory | None:
    try:
        return read_directory(exif)
    except ValueError:  # no block, or a damaged one
        return None


def _patched(exif: bytes, values: Mapping[int, int]) -> bytes:
    """Overwrite single whole numbers in an EXIF block where they are stated and the new ones fit."""
    directory = _directory(exif)
    if directory is None:
        return exif
    patched = bytearray(exif)
    for part in (directory, *directory.children.values()):
        for number, value in values.items():
            if (tag := part.tags.get(number)) and tag.count == 1 and tag.type in (3, 4):
                size = 2 if tag.type == 3 else 4
                if value < 1 << 8 * size:
                    struct.pack_into(part.order + ("H" if size == 2 else "I"), patched, tag.offset, value)
    return bytes(patched)


def _resolution(across: float, down: float) -> tuple[float, float] | None:
    """Pixels per inch, or None for what is no resolution."""
    return (float(across), float(down)) if across > 0 and down > 0 else None


def _stated_resolution(directory: Directory) -> tuple[float, float] | None:
    """Pixels per inch that the tags of a directory state."""
    across, down = directory.integers(X_RESOLUTION), directory.integers(Y_RESOLUTION)
    (unit,) = directory.integers(RESOLUTION_UNIT) or (2,)
    if unit not in (2, 3) or len(across) != 2 or len(down) != 2 or 0 in (across[1], down[1]):
        return None
    factor = 2.54 if unit == 3 else 1.0  # per centimetre
    return _resolution(across[0] / across[1] * factor, down[0] / down[1] * factor)


# Writing


def fit(metadata: Metadata, format: Format) -> tuple[Metadata, tuple[str, ...]]:
    """Keep what files of a format can hold.

    Returns:
        The metadata to write, and what cannot be written, in plain words.
    """
    parts = {"exif": metadata.exif, "icc": metadata.icc, "xmp": metadata.xmp}
    obstacles = {name: why for name, content in parts.items() if (why := _obstacle(name, content, format))}
    lost = [f"{block.name} dropped" for block in metadata.blocks if block.format != format]
    lost += [f"{PART_NAMES[name]} dropped: {why}" for name, why in obstacles.items()]
    parts |= dict.fromkeys(obstacles, b"")
    blocks = tuple(block for block in metadata.blocks if block.format == format)
    kept = Metadata(parts["exif"], parts["icc"], parts["xmp"], metadata.resolution, blocks)
    if metadata.resolution:
        directory = _directory(kept.exif)
        stated = _stated_resolution(directory) if directory else None
        limit = RESOLUTION_LIMITS.get(format, 0)
        if not all(0 < value <= limit for value in metadata.resolution):
            kept = replace(kept, resolution=None)
            if stated != metadata.resolution:
                lost.append(f"resolution dropped: {format.upper()} files cannot state it")
    return kept, tuple(lost)


def _obstacle(name: str, content: bytes, format: Format) -> str:
    """Why a format cannot hold a part of the metadata; empty if it can."""
    if not content:
        return ""
    if format == "bmp":
        return "BMP files have no place for it"
    if format == "jpeg" and len(content) > JPEG_LIMITS[name]:
        return f"it has {len(content)} bytes, JPEG files hold {JPEG_LIMITS[name]}"
    if format == "tiff" and name == "exif" and _directory(content) is None:
        return "it is damaged"
    return ""


def pillow_options(metadata: Metadata) -> dict[str, bytes]:
    """Options of Pillow's `save` for JPEG and WebP."""
    options = {
        "exif": metadata.exif and EXIF_PREFIX + metadata.exif,
        "icc_profile": metadata.icc,
        "xmp": metadata.xmp,
    }
    return {name: block for name, block in options.items() if block}


def add_to_jpeg(data: bytes, metadata: Metadata) -> bytes:
    """Put resolution and blocks into a JPEG that begins with a JFIF segment, as libjpeg writes them."""
    end = 4 + int.from_bytes(data[4:6])
    head = bytearray(data[:end])
    if metadata.resolution:
        across, down = metadata.resolution
        per_centimetre = [value / 2.54 for value in (across, down)]
        exact = all(abs(value - round(value)) < 1e-6 for value in per_centimetre)
        in_inches = not exact or (across.is_integer() and down.is_integer())
        unit, values = (1, (across, down)) if in_inches else (2, per_centimetre)
        struct.pack_into(">BHH", head, 13, unit, *(max(1, round(value)) for value in values))
    return bytes(head) + b"".join(block.data for block in metadata.blocks) + data[end:]


def add_to_bmp(data: bytes, metadata: Metadata) -> bytes:
    """State the resolution in the header of a BMP."""
    values = (round(value / INCH) for value in metadata.resolution or (0, 0))
    return data[:38] + struct.pack("<ii", *values) + data[46:]


def add_to_png(data: bytes, metadata: Metadata) -> bytes:
    """Put all metadata into a PNG, right behind its header: colour must come before the pixels."""
    chunks = [block.data for block in metadata.blocks]
    if metadata.icc:
        chunks.append(png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.resolution:
        per_metre = (round(value / INCH) for value in metadata.resolution)
        chunks.append(png_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if metadata.exif:
        chunks.append(png_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(png_chunk(b"iTXt", XMP_KEYWORD + bytes(5) + metadata.xmp))
    end = len(PNG) + 25  # a header has 13 bytes, a chunk 12 more
    return data[:end] + b"".join(chunks) + data[end:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk: length, type, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def byte_order(metadata: Metadata) -> ByteOrder:
    """The order ("<" or ">") in which a TIFF must be written so that its tags keep their bytes."""
    directory = _directory(metadata.exif)
    return directory.order if directory else "<"


def is_premultiplied(metadata: Metadata) -> bool:
    """Whether the colours of a TIFF are multiplied by alpha."""
    directory = _directory(metadata.exif)
    return directory is not None and directory.integers(EXTRA_SAMPLES) == (1,)


def add_to_tiff(data: bytes, metadata: Metadata) -> bytes:
    """Put all metadata into a TIFF of the right `byte_order`: a new directory at its end replaces the first one."""
    pixels = read_directory(data)
    data += bytes(len(data) % 2)
    directory = write_directory(tiff_directory(pixels, metadata), len(data))
    return data[:4] + struct.pack(f"{pixels.order}I", len(data)) + data[8:] + directory


def tiff_directory(pixels: Directory, metadata: Metadata) -> Directory:
    """All tags of a TIFF of the right `byte_order`: those about pixels from `pixels`, the others from the metadata."""
    described = _directory(metadata.exif) or Directory(pixels.order, {}, {})
    tags = {number: tag for number, tag in described.tags.items() if number not in PIXEL_TAGS}
    tags |= {number: tag for number, tag in pixels.tags.items() if number in PIXEL_TAGS}
    if metadata.resolution and metadata.resolution != _stated_resolution(described):
        for number, value in zip((X_RESOLUTION, Y_RESOLUTION), metadata.resolution, strict=True):
            ratio = Fraction(value).limit_denominator(max(1, int((2**32 - 1) / max(value, 1))))
            tags[number] = Tag(5, 1, struct.pack(f"{pixels.order}II", ratio.numerator, ratio.denominator))
        tags[RESOLUTION_UNIT] = Tag(3, 1, struct.pack(f"{pixels.order}H", 2))
    if metadata.icc:
        tags[ICC] = Tag(7, len(metadata.icc), metadata.icc)
    if metadata.xmp:
        tags[XMP] = Tag(1, len(metadata.xmp), metadata.xmp)
    return replace(described, order=pixels.order, tags=tags)
