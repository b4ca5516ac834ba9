"""How videos are restored and written, and what tells that one is done: without FFmpeg, for which images do not wait."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.encoding import Encoding
from restorekit.media.numbered import is_pattern
from restorekit.media.numbered import stamp as numbered_stamp
from restorekit.runtime.lock import HIDDEN
from restorekit.runtime.provenance import file_stamp

SEGMENTS = Path(HIDDEN, "segments")  # below the output folder; has a folder for each video that is not done
MOST_RATE = 1000  # frames a second


@dataclass(frozen=True)
class VideoSettings:
    """How videos are restored and written."""

    encoding: Encoding = Encoding()
    frames: tuple[int, int] | None = None
    """First frame and the first one behind, to restore a part; the result has that part of all streams."""
    deinterlace: bool = False
    """Make whole frames of interlaced ones first."""
    fps: Fraction | None = None
    """Frames a second, where numbered images become a video."""
    preview: int = 0
    """So many stills of each video before and after, and nothing else."""

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps <= MOST_RATE:
            raise UsageError(f"`fps` cannot be {self.fps}.", "Give frames a second, e.g. 25 or 30000/1001.")
        if self.frames is not None and not 0 <= self.frames[0] < self.frames[1]:
            raise UsageError(
                f"`frames` cannot be {self.frames}.", "Give the first frame and the first one behind, from 0."
            )


def stamp_of(path: Path) -> dict[str, int]:
    """Tell whether a video, or numbered images, have changed; see `file_stamp`."""
    return numbered_stamp(path) if is_pattern(path) else file_stamp(path)


def video_facts(stamp: Mapping[str, int], output: Path, settings: VideoSettings) -> dict[str, object]:
    """What tells that a video's result was made from this input in this way, and is still the one that was written."""
    written = numbered_stamp(output) if is_pattern(output) else output.stat().st_size
    return {"source": dict(stamp), "output": written, "settings": repr(settings)}
