"""How videos are to be encoded: which codec in which container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.errors import UsageError

if TYPE_CHECKING:
    import av

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's names of the containers that are written, by suffix."""
HOLDS = {
    ".mp4": ("h264", "hevc", "av1"),
    ".m4v": ("h264", "hevc"),
    ".mov": ("h264", "hevc", "prores"),
    ".webm": ("vp9", "av1"),
}
"""Codecs that players expect in a container; Matroska holds any."""
ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1", "prores": "prores_ks"}


@dataclass(frozen=True)
class Encoding:
    """How results are encoded; by default as their containers suggest."""

    codec: str | None = None
    """h264, hevc, vp9, av1, prores, ffv1, or FFmpeg's name of an encoder, e.g. h264_nvenc."""
    crf: int | None = None
    """Constant rate factor; lower is better and larger."""
    preset: str | None = None
    """Of the encoder; slower is smaller."""
    lossless: bool = False
    """FFV1, in Matroska."""

    def __post_init__(self) -> None:
        if self.lossless and (self.codec or self.crf is not None or self.preset):
            raise UsageError("lossless is FFV1: codec, crf and preset have no meaning there.", "Leave them out.")
        if self.codec is not None:
            _encoder(ENCODERS.get(self.codec, self.codec))


def result_path(path: Path, encoding: Encoding) -> Path:
    """Where a video's result goes: its own name if its container is written and holds the codec, else Matroska."""
    suffix = path.suffix.lower()
    codec = _canonical(encoding)
    kept = suffix in CONTAINERS and (suffix == ".mkv" or (codec or HOLDS[suffix][0]) in HOLDS[suffix])
    return path if kept else path.with_name(path.name + ".mkv")


def _canonical(encoding: Encoding) -> str | None:
    """The codec that was asked for, by FFmpeg's name; None if the container decides."""
    if encoding.codec is None:
        return "ffv1" if encoding.lossless else None
    return _encoder(ENCODERS.get(encoding.codec, encoding.codec)).canonical_name


def _encoder(name: str) -> av.Codec:
    import av  # a tenth of a second, for which images need not wait

    try:
        codec = av.Codec(name, "w")
    except ValueError:
        codec = None
    if codec is None or codec.type != "video":
        raise UsageError(
            f"There is no encoder {name}.", f"Choose {', '.join([*ENCODERS, 'ffv1'])}, or one of FFmpeg's."
        )
    return codec
