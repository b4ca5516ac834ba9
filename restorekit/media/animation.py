"""Read and write animations: GIF, animated WebP and APNG, with their times, loop count and alpha.

They are short and their files are written in one go, so all frames are in memory together.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from restorekit.errors import UnreadableImage, UnwritableOutput
from restorekit.media.decode import read_content
from restorekit.media.encode import JPEG_QUALITY
from restorekit.media.image import Image
from restorekit.media.limits import MOST_PIXELS
from restorekit.media.metadata import png_chunks
from restorekit.media.samples import check_size
from restorekit.media.sniff import PNG
from restorekit.runtime.atomic import write_atomically
from restorekit.runtime.regular import open_regular

GIF = b"GIF8"
HEAD = 1 << 16
"""Bytes in which a file says that it is an animation."""
OPAQUE = 128  # alpha from which a pixel of a GIF is shown: it knows no half
_READERS: dict[str, type[ImageFile]] = {"gif": GifImageFile, "png": PngImageFile, "webp": WebPImageFile}
_KEPT = {
    "gif": ("loop", "comment"),
    "png": ("loop", "icc_profile", "exif"),
    "webp": ("loop", "icc_profile", "exif", "xmp"),
}
"""What Pillow reads and writes beside frames and durations."""


@dataclass(frozen=True)
class Animation:
    """Frames of one size, each as it is shown."""

    frames: tuple[Image, ...]
    """uint8, with or without alpha."""
    durations: tuple[float, ...]
    """How long each is shown, in milliseconds."""
    format: Literal["gif", "png", "webp"]
    lossless: bool
    """Whether a WebP keeps every value; a GIF has 256 colours in a frame, an APNG all."""
    options: dict[str, Any]
    """Loop count (absent where it is shown once) and metadata, as Pillow takes them."""
    lost: tuple[str, ...] = ()
    """What reading the source lost, in plain words."""


def read_animation(path: Path, max_pixels: int = MOST_PIXELS) -> Animation | None:
    """Read an animation; None if the file is none.

    Raises:
        UnreadableImage: see `decode_animation`, or it cannot be read.
    """
    try:
        with open_regular(path) as file:
            if not is_animation(file.read(HEAD) or b""):
                return None
        return decode_animation(read_content(path, max_pixels), max_pixels)
    except OSError:  # what reads images tells why
        return None
    except UnreadableImage as error:
        error.path = path
        raise


def is_animation(data: bytes) -> bool:
    """Whether a file that begins like this is a GIF, of any number of frames, an animated WebP or an APNG."""
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) > 20:
        return bool(data[20] & 2)
    if data.startswith(PNG):
        for kind, _, _ in png_chunks(data):
            if kind in (b"acTL", b"IDAT"):
                return kind == b"acTL"
    return data.startswith(GIF)


def decode_animation(data: bytes, max_pixels: int = MOST_PIXELS) -> Animation:
    """Decode an animation.

    Args:
        data: its file, see `is_animation`.
        max_pixels: an animation whose frames have more together is refused before memory is taken for them.

    Raises:
        UnreadableImage: damaged, too large, or of 16 bits.
    """
    format: Literal["gif", "png", "webp"] = "gif" if data.startswith(GIF) else "png" if data.startswith(PNG) else "webp"
    if format == "png" and data[24] == 16:
        raise UnreadableImage("Animations of 16 bits are not read.", "Convert it to 8 bits.")
    if format == "webp":  # of which Pillow takes memory for the whole canvas at once
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        check_size(width, height, max_pixels)
    try:
        with _READERS[format](io.BytesIO(data)) as file:
            count = getattr(file, "n_frames", 1)
            if count * file.width * file.height > max_pixels:
                raise UnreadableImage(
                    f"Its {count} frames of {file.width}x{file.height} pixels are more than the {max_pixels} that are read.",
                    "Raise `max_pixels` if that is right.",
                )
            options = {name: file.info[name] for name in _KEPT[format] if file.info.get(name) is not None}
            skipped = int(bool(file.info.get("default_image")))
            frames, durations = [], []
            for index in range(skipped, count):
                file.seek(index)
                frames.append(np.asarray(file.convert("RGBA")))
                durations.append(float(file.info.get("duration", 0)))
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise UnreadableImage(
            f"The animation is damaged or cut off ({error}).", "Copy it again from its source."
        ) from error
    lost = ("still image for viewers without APNG dropped",) * skipped
    if any(duration % 1 for duration in durations):
        lost += ("durations rounded to milliseconds",)
    opaque = all((frame[..., 3] == 255).all() for frame in frames)
    images = (Image(frame[..., :3], None if opaque else frame[..., 3]) for frame in frames)
    lossless = format == "webp" and _is_lossless_webp(data)
    return Animation(tuple(images), tuple(durations), format, lossless, options, lost)


def write_animation(animation: Animation, path: Path) -> tuple[str, ...]:
    """Write an animation in its own format, whole or not at all. Frames that are equal are shown as one, for as long.

    Returns:
        What is not in the file, in plain words.

    Raises:
        UnwritableOutput: no space, no permission, or the format cannot hold it, in which case nothing is left behind.
    """
    format = animation.format
    lost = animation.lost + (("colours beyond 256 in a frame",) if format == "gif" else ())
    frames = [PIL.Image.fromarray(_samples(frame, format)) for frame in animation.frames]
    options: dict[str, Any] = {}
    if format == "webp":
        options = {"lossless": True, "exact": True} if animation.lossless else {"quality": JPEG_QUALITY}
    elif animation.frames[0].alpha is not None:
        options = {"disposal": 2}  # what a frame does not cover is transparent, not what was there before
    durations = [round(duration) for duration in animation.durations]
    target = io.BytesIO()
    try:
        frames[0].save(
            target,
            format,
            save_all=True,
            append_images=frames[1:],
            duration=durations if len(frames) > 1 else durations[0],
            **options,
            **animation.options,
        )
    except Exception as error:  # encoders raise anything on what they do not expect
        raise UnwritableOutput(f"The animation cannot be encoded ({error}).", "Convert it to a video.", path) from error
    write_atomically(path, target.getvalue())
    return lost


def _samples(frame: Image, format: str) -> Any:
    """(H,W,3) or (H,W,4)."""
    if frame.alpha is not None and format == "gif":
        return np.dstack([frame.pixels, np.where(frame.alpha < OPAQUE, 0, 255).astype(np.uint8)])
    return np.ascontiguousarray(frame.to_array())


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the pixels of all frames are in VP8L chunks. ANMF chunks hold 16 bytes, then chunks of a frame."""
    kinds, at = set(), 12
    while at + 8 <= len(data):
        if data[at : at + 4] == b"ANMF":
            kinds.add(data[at + 24 : at + 28])
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return kinds == {b"VP8L"}
