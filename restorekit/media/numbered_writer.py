"""Write the frames of a video as numbered images."""

from dataclasses import dataclass, replace
from pathlib import Path

from restorekit.media.encode import write_image
from restorekit.media.numbered import numbered_file
from restorekit.media.sniff import SUFFIXES
from restorekit.media.video import Frame
from restorekit.media.video_reader import VideoInfo, upright


@dataclass
class NumberedWriter:
    """Writes frames as numbered images, each whole or not at all; see `media.video.FrameSink`.

    They are upright, and their numbers are those of the frames.
    """

    pattern: Path
    info: VideoInfo
    """The source."""
    delay: int = 0
    """None; see `SegmentWriter.delay`."""

    def write(self, frame: Frame) -> None:
        """Write a frame; see `FrameSink`."""
        image = upright(frame, self.info)
        write_image(
            replace(image, format=SUFFIXES[self.pattern.suffix.lower()]), numbered_file(self.pattern, frame.index)
        )

    def commit(self) -> tuple[str, ...]:
        """All frames are written; see `FrameSink`."""
        return ()

    def abort(self) -> None:
        """What is written is whole, and stays for the next run."""


def lost_streams(info: VideoInfo) -> tuple[str, ...]:
    """What numbered images cannot keep of a video, in plain words."""
    others = len(info.streams) - 1
    steps = {b - a for a, b in zip(info.video.times.tolist(), info.video.times.tolist()[1:], strict=False)}
    return (
        *((f"{others} streams beside the frames dropped",) if others else ()),
        *(("times of frames dropped",) if len(steps) > 1 else ()),
        *(("pixel aspect ratio dropped",) if info.sample_aspect_ratio not in (None, 1) else ()),
    )
