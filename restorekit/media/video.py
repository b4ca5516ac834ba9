"""Read and write a video frame by frame, so that memory need not hold all of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from restorekit.errors import UnreadableImage
from restorekit.media.image import Image


@dataclass(frozen=True)
class Frame:
    """One slot of a video: its image, or why there is none.

    Raises:
        ValueError: both of `image` and `error` are given, or neither.
    """

    index: int
    """Place in display order, from 0, without gaps: a frame that cannot be decoded keeps its slot."""
    timestamp: Fraction
    """Presentation time in seconds, exactly as the file states it; never computed from `index` and a frame rate."""
    image: Image | None = None
    error: UnreadableImage | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.error is None):
            raise ValueError("a frame has either an image or an error")


class FrameSource(Protocol):
    """A video to read. All its images have one size and one type."""

    def __iter__(self) -> Iterator[Frame]:
        """Start at the first frame and give every frame once, in display order.

        Timestamps never decrease. One frame is decoded at a time; closing the iterator early ends the decoder. A frame
        that cannot be decoded comes as a frame with an error, and the next ones follow.

        Raises:
            UnreadableImage: the file is no video, or nothing can be decoded from here to its end.
        """
        ...


class FrameSink(Protocol):
    """A video file that is written frame by frame and appears whole or not at all.

    Until `commit` returns, whatever was at the destination stays as it was. Every sink ends with one `commit` or one
    `abort`.
    """

    def write(self, frame: Frame) -> None:
        """Append a frame: the next index, its own timestamp, and an image of the sink's size and type.

        What stands in for a frame that could not be restored is decided by the caller; the sink takes images only.

        Raises:
            ValueError: a frame without an image, out of order, or of another size or type.
            UnwritableOutput: no space, no permission, or the encoder died. Only `abort` may follow.
        """
        ...

    def commit(self) -> tuple[str, ...]:
        """Finish the file, sync it and rename it into place. Nothing may follow.

        Returns:
            What the container could not keep, in plain words, as `write_image` returns it.

        Raises:
            UnwritableOutput: the file cannot be finished. The destination is as it was.
        """
        ...

    def abort(self) -> None:
        """Remove all that was written. Never raises; after `commit` or another `abort` it does nothing."""
        ...
