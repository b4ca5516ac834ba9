"""Tell the format of an image file, and videos, by their first bytes; names only say what a file claims to be."""

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


VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2ts", ".mts"),
    *(".wmv", ".asf", ".flv", ".ogv", ".ogm", ".mxf", ".vob"),
}
"""Names of videos; .ts is missing, since TypeScript has it too."""
UNREAD_SUFFIXES = {
    *(".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".ivf", ".obu", ".m1v", ".m2v", ".y4m", ".dv"),
    *(".rm", ".rmvb"),
}
"""Names of videos in containers, or in none, that FFmpeg knows and that are not read."""
STILLS_AND_SOUND = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"M4A ", b"M4B "}
"""Brands of files that have MP4's structure and are no videos."""


def is_video(head: bytes, suffix: str) -> bool:
    """Whether a file is a video, or claims to be one.

    Args:
        head: its first `SIGNATURE_LENGTH` bytes.
        suffix: of its name.
    """
    suffix = suffix.lower()
    return (
        suffix in VIDEO_SUFFIXES
        or (head[4:8] == b"ftyp" and head[8:12] not in STILLS_AND_SOUND and suffix not in SUFFIXES)
        or (head[:4] == b"\x1aE\xdf\xa3" and suffix not in (".mka", ".mks"))
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (head[:1] == b"G" and suffix == ".ts")  # the byte that each packet of a transport stream begins with
    )
