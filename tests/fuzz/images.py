"""Images as they should not be, sound ones spoilt at random and ones made to harm: each is restored or fails, named."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import cv2
import numpy as np
import PIL.Image
import tifffile
from tiff_files import BYTE, LONG, RATIONAL, SHORT, exif_block, tag, tiff_file

from fuzz.harness import Limits
from restorekit.cli.quiet import quiet_decoders
from restorekit.inference.settings import Settings
from restorekit.media.decode import decode_image
from restorekit.media.encode import encode_image
from restorekit.pipeline.files import restore_folder

LIMITS = Limits(seconds=5.0, megabytes=400.0)
MOST_PIXELS = 4_000_000
GREY, RGB, PALETTE = 1, 2, 3  # photometric kinds of a TIFF


def prepare(folder: Path) -> None:
    """Import and make what every case needs, so that no case pays for it."""
    crafted_images()
    for name, data in sound_images().items():
        (folder / name / "in").mkdir(parents=True)
        (folder / name / "in" / name).write_bytes(data)
        assert not check(folder / name), f"{name} was refused"


def make(chance: Random, folder: Path) -> str:
    """Write the image of a case, alone in `in`.

    Returns:
        What kind of image it is.
    """
    crafted = chance.random() < 0.2
    images = crafted_images().items() if crafted else spoilt_images(1, chance.getrandbits(32))
    name, data = chance.choice(list(images))
    (folder / "in").mkdir()
    (folder / "in" / name).write_bytes(data)
    return f"{'crafted' if crafted else 'spoilt'} {Path(name).suffix}"


def check(folder: Path) -> bool:
    """Restore the image of a case as a user does, and write it again as it is.

    Returns:
        Whether it failed, with a reason and a hint.

    Raises:
        Exception: a promise was broken.
    """
    (path,) = (folder / "in").iterdir()
    data = path.read_bytes()
    with quiet_decoders():
        (result,) = restore_folder(
            [path], folder / "out", model="bicubic", scale=2, settings=Settings("cpu"), max_pixels=MOST_PIXELS
        ).results
        assert not result.defect, result.defect
        assert path.read_bytes() == data, "the input was touched"
        if result.status == "failed":
            assert result.reason, "no reason"
            assert result.hint, "no hint"
            assert not result.output.exists(), "a failed image has a result"
            return True
        image, restored = decode_image(data, MOST_PIXELS), decode_image(result.output.read_bytes())
        assert restored.size == tuple(2 * side for side in image.size), "a result of another size"
        again = decode_image(encode_image(image).data)
        if image.lossless and image.pixels.dtype != np.float32:
            assert np.array_equal(again.to_array(), image.to_array()), "other pixels when written again"
        return False


@cache
def sound_images() -> dict[str, bytes]:
    """Small sound files of every format and kind that is read, by names with the right suffix."""
    rng = np.random.default_rng(0)
    rgb, rgba, deep = (rng.integers(0, top, (21, 34, n), kind) for top, n, kind in _KINDS)
    grey = rgb[..., 0]
    exif = b"Exif\0\0" + exif_block(">", {274: tag(SHORT, 6), 34665: {33434: tag(RATIONAL, 1, 250)}})
    files = {
        "grey.png": _pillow(grey, "PNG"),
        "rgba.png": _pillow(rgba, "PNG", exif=exif[6:]),
        "deep.png": cv2.imencode(".png", deep)[1].tobytes(),
        "plain.jpg": _pillow(rgb, "JPEG", exif=exif, comment=b"a comment"),
        "progressive.jpg": _pillow(rgb, "JPEG", progressive=True),
        "grey.jpg": _pillow(grey, "JPEG", restart_marker_rows=1),
        "lossy.webp": _pillow(rgba, "WEBP", exif=exif),
        "lossless.webp": _pillow(rgb, "WEBP", lossless=True),
        "plain.bmp": _pillow(rgb, "BMP"),
        "alpha.bmp": cv2.imencode(".bmp", rgba)[1].tobytes(),
        "lzw.tif": _pillow(rgb, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _pillow(rgb, "TIFF", compression="jpeg"),
        "packbits.tif": _pillow(rgba, "TIFF", compression="packbits"),
        "deep lzw.tif": cv2.imencode(".tif", deep)[1].tobytes(),
        "tags.tif": tiff_file(">", grey, {315: tag(BYTE, b"M\xc3\xbcller\0"), 34665: {33434: tag(RATIONAL, 1, 250)}}),
    }
    palette = PIL.Image.fromarray(rgb).quantize(7)
    for name, format in (("palette.png", "PNG"), ("palette.tif", "TIFF"), ("palette.bmp", "BMP")):
        buffer = io.BytesIO()
        palette.save(buffer, format)
        files[name] = buffer.getvalue()
    for name, samples, options in (
        ("strips.tif", deep, {"rowsperstrip": 5, "compression": "zlib"}),
        ("tiles.tif", rgb, {"tile": (16, 16), "compression": "zlib"}),
        ("big.tif", rgba, {"bigtiff": True, "byteorder": ">", "extrasamples": ["unassalpha"]}),
        ("float.tif", (deep / 65535).astype(np.float32), {}),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, samples, photometric="rgb", metadata=None, **options)
        files[name] = buffer.getvalue()
    return files


_KINDS = ((256, 3, np.uint8), (256, 4, np.uint8), (65536, 3, np.uint16))


def _pillow(samples: np.ndarray, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(samples).save(buffer, format, **options)
    return buffer.getvalue()


def spoilt_images(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of sound files, each spoilt in one to three ways; the names are all different."""
    rng = np.random.default_rng(seed)
    files = list(sound_images().items())
    for number in range(count):
        name, data = files[int(rng.integers(len(files)))]
        for _ in range(int(rng.integers(1, 4))):
            data = _spoil(data, rng)
        yield f"{number:05} {name}", data


def _spoil(data: bytes, rng: np.random.Generator) -> bytes:
    """One change: of bits, bytes or numbers, mostly near the beginning, where headers are; or of the file's length."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 200)
    at = int(rng.integers(max(end, 1)))
    length = int(rng.integers(1, 65))
    match int(rng.integers(8)):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :] if data else data
        case 1:
            return data[:at] + rng.bytes(length) + data[at + length :]
        case 2:
            return data[:at] + rng.bytes(length) + data[at:]
        case 3:
            return data[:at] + data[at + length :]
        case 4:
            return data[: int(rng.integers(len(data) + 1))]
        case 5:
            other = int(rng.integers(len(data) + 1))
            return data[:at] + data[other : other + length] + data[at + length :]
        case 6:  # a number of the size that a header has
            kind, value = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
            number = struct.pack(kind, value)
            return data[:at] + number + data[at + len(number) :]
        case _:
            return data[:at] + data[at : at + length] * int(rng.integers(2, 40)) + data[at + length :]


_NUMBERS = [
    (order + kind, value)
    for order in "<>"
    for kind, values in {"H": (0, 1, 255, 32768, 65535), "I": (0, 1, 65536, 2**31 - 1, 2**31, 2**32 - 1)}.items()
    for value in values
]


@cache
def crafted_images() -> dict[str, bytes]:
    """Files that ask for more memory or time than they are worth, lie about their size, or contradict themselves."""
    black = np.zeros((16, 16), np.uint8)
    colours = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    bomb = zlib.compress(bytes(1 << 28), 9)  # 256 MiB
    sixteen = {256: tag(SHORT, 16), 257: tag(SHORT, 16)}
    files = {
        "empty.png": b"",
        "text.jpg": b"no image at all",
        "signature.png": b"\x89PNG\r\n\x1a\n",
        "signature.tif": b"II*\0",
        "zeros.bmp": b"BM" + bytes(1000),
        "icc is a number.tif": tiff_file("<", black, {34675: tag(LONG, 1 << 31)}),
        "xmp is a number.tif": tiff_file("<", black, {700: tag(LONG, (1 << 32) - 1)}),
        "bomb.tif": _deflated(bomb, sixteen),
        "bomb in a tile.tif": _deflated(bomb, {**sixteen, 322: tag(SHORT, 16), 323: tag(SHORT, 16)}),
        "pixel tiles.tif": tiff_file(
            "<",
            black,
            {256: tag(SHORT, 3000), 257: tag(SHORT, 3000), 322: tag(SHORT, 1), 323: tag(SHORT, 1)}
            | {324: tag(LONG, *[8] * 20000), 325: tag(LONG, *[1] * 20000)},
        ),
        "a loop.tif": b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 34665, LONG, 1, 8) + struct.pack("<I", 8),
        "many directories.tif": _many_directories(),
        "overlapping tags.tif": _overlapping_tags(),
        "bomb in a profile.png": _png(16, 16, _chunk(b"iCCP", b"x\0\0" + bomb)),
        "bomb in a text.png": _png(16, 16, _chunk(b"zTXt", b"x\0\0" + bomb)),
        "bomb in xmp.png": _png(16, 16, _chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)),
        "long data.png": _png(16, 16, pixels=bomb),
        "two exif.jpg": _two_exif_segments(colours),
        "one pixel of a million.jpg": _jpeg_of_size(colours, 1000, 1000),
    }
    for format, claim in (("PNG", 13000), ("JPEG", 13000), ("WEBP", 13000), ("BMP", 13000), ("PNG", 60000)):
        files[f"claims {claim}.{format.lower()}"] = _claiming(_pillow(colours, format), claim)
    for width, height in ((0, 16), (16, 0), (1 << 31, 1), (1 << 16, 1 << 16), (13000, 13000)):
        files[f"{width}x{height}.tif"] = tiff_file("<", black, {256: tag(LONG, width), 257: tag(LONG, height)})
        files[f"{width}x{height} deflated.tif"] = _deflated(
            zlib.compress(bytes(256)), {256: tag(LONG, width), 257: tag(LONG, height), 278: tag(LONG, max(height, 1))}
        )
        files[f"tiles of {width}x{height}.tif"] = tiff_file(
            "<", black, {322: tag(LONG, width), 323: tag(LONG, height), 324: tag(LONG, 8), 325: tag(LONG, 256)}
        )
    for number in (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 324, 338, 339, 530, 32997):
        for values in ((0,), (2,), (65535,), (3, 3, 3, 3, 3), (0,) * 300):
            files[f"tag {number} {len(values)}x{values[0]}.tif"] = tiff_file("<", black, {number: tag(SHORT, *values)})
            files[f"tag {number} {len(values)}x{values[0]} packed.tif"] = tiff_file(
                "<",
                black,
                {number: tag(SHORT, *values)} | {259: tag(SHORT, 32773)} if number != 259 else {},
                packbits=True,
            )
    return files


def _deflated(packed: bytes, tags: dict[int, tuple[int, tuple[object, ...]]]) -> bytes:
    """A grey TIFF around a piece of deflated pixels."""
    data = tiff_file("<", np.frombuffer(packed, np.uint8)[None], {259: tag(SHORT, 8), 278: tag(SHORT, 16)} | tags)
    if 322 not in tags:
        return data
    place = {324: tag(LONG, 8), 325: tag(LONG, len(packed))}  # the strip stands behind the header
    return tiff_file("<", np.frombuffer(packed, np.uint8)[None], {259: tag(SHORT, 8)} | tags | place)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, *chunks: bytes, pixels: bytes = zlib.compress(bytes(17 * 16))) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _claiming(data: bytes, side: int) -> bytes:
    """The same file with another width and height in its header."""
    changed = bytearray(data)
    if data[:4] == b"\x89PNG":
        struct.pack_into(">II", changed, 16, side, side)
        struct.pack_into(">I", changed, 29, zlib.crc32(data[12:16] + changed[16:29]))
    elif data[:2] == b"\xff\xd8":
        struct.pack_into(">HH", changed, data.find(b"\xff\xc0") + 5, side, side)
    elif data[:2] == b"BM":
        struct.pack_into("<ii", changed, 18, side, side)
    else:  # WebP: 14 bits behind the start code of its one key frame
        struct.pack_into("<HH", changed, data.find(b"\x9d\x01\x2a") + 3, side, side)
    return bytes(changed)


def _jpeg_of_size(pixels: np.ndarray, width: int, height: int) -> bytes:
    data = bytearray(_pillow(pixels, "JPEG", subsampling=0))
    struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def _two_exif_segments(pixels: np.ndarray) -> bytes:
    """More EXIF than one segment holds, as some cameras write their maker's notes."""
    block = b"Exif\0\0" + exif_block("<", {37500: (7, (bytes(59000),))})
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = _pillow(pixels, "JPEG")
    return data[:2] + segment * 2 + data[2:]


def _many_directories() -> bytes:
    """A chain of 65,000 empty directories."""
    ends = [8 + 6 * number for number in range(65000)]
    return b"II*\0\x08\0\0\0" + b"".join(struct.pack("<HI", 0, end + 6) for end in ends)


def _overlapping_tags() -> bytes:
    """65,000 tags, each of which has the whole file for its value: 50 GB."""
    count = 65000
    size = 8 + 2 + 12 * count + 4
    entries = b"".join(struct.pack("<HHII", 1000 + number % 30000, 7, size - 8, 8) for number in range(count))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4)
