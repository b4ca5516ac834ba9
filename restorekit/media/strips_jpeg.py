"""Decode a JPEG from top to bottom, by libvips: neither Pillow nor OpenCV can. The extra `large` brings it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from restorekit.media.decode import check_enough_jpeg
from restorekit.media.file_bytes import FileBytes
from restorekit.media.image import Image
from restorekit.media.limits import STRIP_BYTES
from restorekit.media.metadata import Metadata, jpeg_segments, read_metadata
from restorekit.media.samples import check_size

SEQUENTIAL = (0xC0, 0xC1)  # frames of baseline and extended JPEG: decoders of progressive ones hold all coefficients


@dataclass(frozen=True)
class JpegStrips:
    """See `media.large.Strips`."""

    height: int
    width: int
    metadata: Metadata

    def decode(self, data: FileBytes) -> Iterator[Image]:
        """The image from top to bottom."""
        import pyvips

        data.stream.seek(0)
        source = pyvips.Source.new_from_descriptor(data.stream.fileno())
        image = pyvips.Image.jpegload_source(source, access="sequential", fail_on="truncated")
        region = pyvips.Region.new(image)
        rows = max(1, STRIP_BYTES // (self.width * image.bands))
        for top in range(0, self.height, rows):
            height = min(rows, self.height - top)
            try:
                samples = np.frombuffer(region.fetch(0, top, self.width, height), np.uint8)
            except pyvips.Error as error:
                raise ValueError(error.detail.strip().splitlines()[-1].strip()) from error
            yield Image(samples.reshape(height, self.width, image.bands), format="jpeg", lossless=False)


def find_jpeg_strips(data: FileBytes, max_pixels: int) -> JpegStrips | None:
    """What it takes to decode a JPEG from top to bottom; None if it can only be decoded whole.

    That is: without the package pyvips; progressive, CMYK, not upright.

    Raises:
        UnreadableImage: more than `max_pixels`.
        Exception: the file is damaged.
    """
    data.stream.seek(0)
    with JpegImageFile(data.stream) as image:
        check_size(*image.size, max_pixels)
        check_enough_jpeg(data, *image.size)
        metadata, orientation = read_metadata("jpeg", data, image.info)
        upright = orientation == 1 and image.mode in ("L", "RGB")
        width, height = image.size
    frames = {
        marker for marker, _, _ in jpeg_segments(data) if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
    }
    if not upright or not frames.issubset(SEQUENTIAL):
        return None
    try:
        import pyvips  # noqa: F401
    except (ImportError, OSError):  # the package, or its library
        return None
    return JpegStrips(height, width, metadata)
