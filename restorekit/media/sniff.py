"""Tell the format of an image file by its first bytes; names only say what a file claims to be."""

from typing import Literal

Format = Literal["png", "jpeg", "webp", "tiff", "bmp"]

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIGNATURE_LENGTH = 12
SUFFIXES: dict[str, Format] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
}


def sniff(head: bytes) -> Format | None:
    """Format of a file from its first `SIGNATURE_LENGTH` bytes; None if it is no image that restorekit reads."""
    if head.startswith(PNG):
        return "png"
    if head.startswith(JPEG):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(TIFF):
        return "tiff"
    if head.startswith(BMP):
        return "bmp"
    return None
