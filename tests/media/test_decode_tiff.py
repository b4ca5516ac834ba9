import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from tiff_files import LONG, SHORT, Tiff, tag, tiff_file, twelve_bit_tiff

from restorekit.errors import UnreadableImage
from restorekit.media.decode import decode_image, megapixels, read_image

GREY = np.arange(37 * 50, dtype=np.uint16).reshape(37, 50) * 17
COLOURS = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


def deflated(packed: bytes, height: int, width: int, **more: object) -> bytes:
    """A grey TIFF of one strip."""
    tiff = Tiff("<")
    at = tiff.append(packed)
    own = {256: tag(SHORT, width), 257: tag(SHORT, height), 258: tag(SHORT, 8), 259: tag(SHORT, 8), 262: tag(SHORT, 1)}
    own |= {273: tag(LONG, at), 277: tag(SHORT, 1), 278: tag(SHORT, height), 279: tag(LONG, len(packed))}
    return tiff.finished(tiff.directory(own | {int(number[1:]): value for number, value in more.items()}))


@pytest.mark.parametrize("order", ["<", ">"])
def test_differences_add_up_in_either_byte_order(tmp_path: Path, order: str) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, photometric="minisblack", compression="zlib", predictor=2, byteorder=order
    )
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], GREY)


@pytest.mark.parametrize("pixels", [GREY, COLOURS, (COLOURS >> 8).astype(np.uint8), (GREY / 65535).astype(np.float32)])
@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 5},
        {"rowsperstrip": 5, "compression": "zlib"},
        {"rowsperstrip": 5, "compression": "zlib", "byteorder": ">"},
        {"tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib"},
        {"bigtiff": True, "rowsperstrip": 5},
        {"bigtiff": True, "tile": (16, 16), "compression": "zlib", "byteorder": ">"},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_strips_and_tiles_of_any_kind_are_joined(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, object]
) -> None:
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric=photometric, metadata=None, **options)
    assert np.array_equal(read_image(tmp_path / "x.tif").to_array(), pixels)
    assert megapixels(tmp_path / "x.tif") == 37 * 50 / 1e6


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_differences_along_a_row_are_added_up(kind: str) -> None:
    pixels = COLOURS.astype(kind)
    differences = np.diff(pixels, axis=1, prepend=np.zeros_like(pixels[:, :1]))  # modulo 2**8 or 2**16
    bits = 8 * pixels.itemsize
    data = deflated(
        zlib.compress(differences.tobytes()),
        37,
        50,
        t258=tag(SHORT, bits, bits, bits),
        t262=tag(SHORT, 2),
        t277=tag(SHORT, 3),
        t317=tag(SHORT, 2),
    )
    assert np.array_equal(decode_image(data).pixels, pixels)


def test_deflate_is_unpacked_no_further_than_the_image_has_pixels() -> None:
    bomb = deflated(zlib.compress(bytes(1 << 26), 9), 16, 16)  # 64 MiB of zeros
    tracemalloc.start()
    image = decode_image(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.size == (16, 16)
    assert peak < 1 << 20


def test_the_checksum_of_deflated_pixels_counts() -> None:
    packed = bytearray(zlib.compress(bytes(range(256))))
    packed[-1] ^= 1
    with pytest.raises(UnreadableImage, match="incorrect data check"):
        decode_image(deflated(bytes(packed), 16, 16))


@pytest.mark.parametrize("number", [34675, 700])
def test_a_number_in_the_place_of_a_profile_asks_for_no_memory(number: int) -> None:
    pixels = np.zeros((16, 16), np.uint8)
    tracemalloc.start()
    decode_image(tiff_file("<", pixels, {number: tag(LONG, 1 << 31)}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (deflated(zlib.compress(bytes(256)), 17, 16), "fewer pixels than its header promises"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {257: tag(SHORT, 17), 278: tag(SHORT, 17)}), "fewer pixels"),
        (
            tiff_file(
                "<",
                np.zeros((16, 16), np.uint8),
                {257: tag(SHORT, 17), 278: tag(SHORT, 17), 262: tag(SHORT, 3), 320: tag(SHORT, *range(768))},
            ),
            "fewer pixels",
        ),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {278: tag(SHORT, 4)}), "4 pieces, of which 1 are listed"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {279: tag(LONG, 1 << 20)}), "outside the file"),
        (
            tiff_file("<", np.zeros((16, 16), np.uint8), {322: tag(SHORT, 1), 323: tag(SHORT, 1), 324: tag(LONG, 8)}),
            "256 pieces, of which 1 are listed",
        ),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {322: tag(SHORT, 0)}), "tag 323 is no size"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {256: tag(SHORT, 0)}), "tag 256 is no size"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {256: tag(SHORT, 16, 16)}), "tag 256 is no size"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {32997: tag(SHORT, 2)}), "several pages"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {322: tag(LONG, 1 << 20), 323: tag(LONG, 1 << 20)}), "pixels"),
        (tiff_file("<", np.zeros((16, 16), np.uint8), {256: tag(LONG, 1 << 20), 257: tag(LONG, 1 << 20)}), "claims"),
    ],
)
def test_a_tiff_that_promises_more_than_it_holds_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(UnreadableImage, match=word):
        decode_image(data)


def test_as_many_pixels_are_read_as_are_allowed() -> None:
    data = tiff_file("<", np.zeros((16, 16), np.uint8), {})
    assert decode_image(data, max_pixels=256).size == (16, 16)
    with pytest.raises(UnreadableImage, match="16x16 pixels"):
        decode_image(data, max_pixels=255)


TWELVE = np.array([[0, 1, 2048], [4095, 4094, 291]], np.uint16)
SIXTEEN = [[0, 16, 32776], [65535, 65519, 4657]]  # times 65535 / 4095, rounded


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_twelve_packed_bits_fill_sixteen(order: str, deflate: bool) -> None:
    assert decode_image(twelve_bit_tiff(order, TWELVE, {}, deflate)).pixels[..., 0].tolist() == SIXTEEN
    colours = np.dstack([TWELVE, TWELVE[::-1], TWELVE[:, ::-1]])
    image = decode_image(twelve_bit_tiff(order, colours, {}, deflate))
    assert image.pixels.dtype == np.uint16
    assert image.pixels[..., 0].tolist() == SIXTEEN
    assert image.pixels[..., 1].tolist() == SIXTEEN[::-1]
    assert image.pixels[1, :, 2].tolist() == SIXTEEN[1][::-1]


def test_white_may_be_zero_in_twelve_bits_too() -> None:
    image = decode_image(twelve_bit_tiff("<", TWELVE, {262: tag(SHORT, 0)}))
    assert image.pixels[..., 0].tolist() == [[65535, 65519, 32759], [0, 16, 60878]]


def test_twelve_bits_that_are_fewer_than_promised_or_of_unknown_layout_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="fewer pixels"):
        decode_image(twelve_bit_tiff("<", TWELVE, {257: tag(SHORT, 3), 278: tag(SHORT, 3)}))
    with pytest.raises(UnreadableImage, match="12 bits"):
        decode_image(twelve_bit_tiff("<", TWELVE, {317: tag(SHORT, 2)}))


@pytest.mark.parametrize("compression", ["lzw", "lzma", "zstd", "zlib"])
@pytest.mark.parametrize("pixels", [COLOURS, (COLOURS >> 8).astype(np.uint8), (GREY / 65535).astype(np.float32)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_codec_serves_every_depth_with_differences(
    tmp_path: Path, compression: str, pixels: np.ndarray, order: str
) -> None:
    tifffile.imwrite(
        tmp_path / "x.tif",
        pixels,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        byteorder=order,
        compression=compression,
        predictor=3 if pixels.dtype == np.float32 else 2,
        metadata=None,
    )
    assert np.array_equal(read_image(tmp_path / "x.tif").to_array(), pixels)


@pytest.mark.parametrize(("code", "encode"), [(5, imagecodecs.lzw_encode), (34925, imagecodecs.lzma_encode)])
def test_other_codecs_unpack_no_further_than_the_image_has_pixels(code: int, encode: Callable[[bytes], bytes]) -> None:
    bomb = deflated(encode(bytes(1 << 24)), 16, 16, t259=tag(SHORT, code))
    tracemalloc.start()
    assert decode_image(bomb).size == (16, 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    with pytest.raises(UnreadableImage, match="fewer pixels"):
        decode_image(deflated(encode(bytes(255)), 16, 16, t259=tag(SHORT, code)))


def test_bits_may_stand_in_the_other_order() -> None:
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in imagecodecs.lzw_encode(bytes(range(256))))
    image = decode_image(deflated(turned, 16, 16, t259=tag(SHORT, 5), t266=tag(SHORT, 2)))
    assert image.pixels.tobytes() == bytes(range(256))
