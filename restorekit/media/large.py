"""Large images: they stay in their files and are decoded strip by strip, from top to bottom."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UnreadableImage
from restorekit.media.file_bytes import FileBytes
from restorekit.media.image import Image
from restorekit.media.limits import MOST_PIXELS
from restorekit.media.metadata import Metadata
from restorekit.media.rows import SequentialReader
from restorekit.media.samples import decoding, described
from restorekit.media.sniff import SIGNATURE_LENGTH, Format, sniff
from restorekit.media.strips_jpeg import find_jpeg_strips
from restorekit.media.strips_png import find_png_strips
from restorekit.media.strips_tiff import find_tiff_strips
from restorekit.runtime.regular import open_regular


class Strips(Protocol):
    """What a file's header says of where its pixels are; it has a decoder for each format."""

    @property
    def height(self) -> int:
        """Rows of the image."""
        ...

    @property
    def width(self) -> int:
        """Pixels of a row."""
        ...

    @property
    def metadata(self) -> Metadata:
        """What the file says besides."""
        ...

    def decode(self, data: FileBytes) -> Iterator[Image]:
        """The image from top to bottom: strips of its width, equal to those rows of the image that `read_image` gives.

        Raises:
            Exception: the file is damaged.
        """
        ...


FINDERS: Mapping[Format, Callable[[FileBytes, int], Strips | None]] = {
    "png": find_png_strips,
    "jpeg": find_jpeg_strips,
    "tiff": find_tiff_strips,
}


@dataclass(frozen=True)
class LargeImage:
    """An image in its file, as `media.image.Image` is one in memory."""

    path: Path
    format: Format
    strips: Strips
    channels: int
    """3 for RGB, 1 for grey; alpha is not counted."""
    dtype: np.dtype[Any]
    has_alpha: bool
    metadata: Metadata

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.strips.height, self.strips.width

    def colours(self) -> "FileReader":
        """A reader of the colours."""
        return FileReader(self)

    def alpha(self) -> "FileReader | None":
        """A reader of alpha, as one channel; None where there is none."""
        return FileReader(self, alpha=True) if self.has_alpha else None


def open_large(path: Path, max_pixels: int = MOST_PIXELS) -> LargeImage | None:
    """Look at an image without reading all of it.

    Args:
        path: PNG, JPEG or TIFF; the content decides, not the name.
        max_pixels: an image that claims more is refused.

    Returns:
        The image; None if it can only be read whole, or not at all: `read_image` tells.

    Raises:
        UnreadableImage: see `read_image`.
    """
    try:
        with open_regular(path) as stream, decoding():
            data = FileBytes(stream)
            format = sniff(data[:SIGNATURE_LENGTH])
            if format is None or format not in FINDERS:
                return None
            strips = FINDERS[format](data, max_pixels)
            if strips is None:
                return None
            first = next(strips.decode(data))
    except OSError:
        return None
    except UnreadableImage as error:
        error.path = path
        raise
    metadata = described(strips.metadata, strips.metadata.icc, (), 1, first.pixels)
    return LargeImage(
        path, format, strips, first.pixels.shape[2], first.pixels.dtype, first.alpha is not None, metadata
    )


class FileReader(SequentialReader):
    """Reads the colours of a large image, or its alpha.

    Args:
        image: the image.
        alpha: whether to read that.
    """

    def __init__(self, image: LargeImage, alpha: bool = False) -> None:
        super().__init__(*image.size, 1 if alpha else image.channels, image.dtype)
        self.image, self._alpha = image, alpha

    def parts(self) -> Iterator[NDArray[Any]]:
        """Decode the file from the top; see `SequentialReader.parts`."""
        image = self.image
        try:
            with open_regular(image.path) as stream, decoding():
                for strip in image.strips.decode(FileBytes(stream)):
                    kind = strip.pixels.shape[2], strip.pixels.dtype, strip.alpha is not None
                    if kind != (image.channels, image.dtype, image.has_alpha):
                        raise ValueError("its kind changes within the image")
                    yield strip.pixels if not self._alpha or strip.alpha is None else strip.alpha[..., None]
        except UnreadableImage as error:
            error.path = image.path
            raise
