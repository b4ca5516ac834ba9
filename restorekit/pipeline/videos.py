"""Restore videos: frame by frame through the engine, in segments that no later run repeats.

Frames are the jobs of an executor, so decoding, computing and encoding overlap as they do for images. Every few seconds of
video a segment is finished and noted in the journal. A run that was killed seeks to the key frame before the first missing
segment, where that gives the same frames as decoding from the beginning. All segments are encoded on their own, so the
result's bytes do not tell whether there was an interruption.
"""

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from restorekit.errors import RestorekitError, UnreadableImage, UsageError
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine, TilingInfo
from restorekit.inference.image import Size, restore_to_size
from restorekit.inference.tiling import Limits
from restorekit.media.discover import Job
from restorekit.media.image import Image
from restorekit.media.limits import MOST_PIXELS
from restorekit.media.numbered import is_pattern, numbered_file
from restorekit.media.numbered_writer import NumberedWriter, lost_streams
from restorekit.media.video import Frame
from restorekit.media.video_reader import VideoInfo, VideoReader, header_pixels, read_info
from restorekit.media.video_writer import Format, Segment, SegmentWriter, choose_format, join_segments
from restorekit.pipeline.listening import RunListener
from restorekit.pipeline.report import FileResult, failed_result
from restorekit.pipeline.video_settings import SEGMENTS, VideoSettings, stamp_of, video_facts
from restorekit.runtime.atomic import no_room_left
from restorekit.runtime.executor import LocalExecutor
from restorekit.runtime.journal import Journal
from restorekit.runtime.progress import PATIENT, Event, Listener, Progress
from restorekit.runtime.provenance import digest
from restorekit.runtime.threads import shared_threads

SEGMENT = 4  # seconds; a killed run repeats no more than that
MOST_FRAMES = 250  # of a segment: x264's own distance of key frames


def video_megapixels(path: Path, settings: VideoSettings) -> float:
    """Pixels of all frames to restore together in millions, as the file's header says; 0 if it does not."""
    try:
        return header_pixels(path, settings.fps if is_pattern(path) else None, settings.frames) / 1e6
    except RestorekitError:
        return 0.0


@dataclass(frozen=True)
class ReadVideo:
    """What is known of a video before its frames are read."""

    info: VideoInfo
    stamp: dict[str, int]


@dataclass(frozen=True)
class RestoredVideo:
    """A video of which all segments are finished."""

    read: ReadVideo
    format: Format | None
    """None for numbered images."""
    segments: list[Segment]
    repeated: int
    warnings: list[str]
    seconds: float
    tiling: TilingInfo | None


@dataclass
class VideoWorker:
    """Restores the videos of one run; see `runtime.executor.Worker`."""

    engine: Engine
    size: Size
    out: Path
    journal: Journal
    settings: VideoSettings
    progress: Progress
    stop: threading.Event
    """Once it is set, the video ends after a frame."""
    overwrite: bool = False
    max_pixels: int = MOST_PIXELS

    def read(self, job: Job) -> ReadVideo:
        """Find out what a video holds."""
        if self.engine.spec.must_be_told:
            raise UsageError("A video cannot be told its blur.", "Split it into images.")
        stamp = stamp_of(job.source)
        info = read_info(job.source, self.settings.fps if is_pattern(job.source) else None)
        if info.height * info.width > self.max_pixels:
            raise UnreadableImage(
                f"Its frames have {info.width}x{info.height} pixels, more than the {self.max_pixels} that are read.",
                "Raise `max_pixels` if that is right.",
                job.source,
            )
        return ReadVideo(info, stamp)

    def compute(self, job: Job, item: ReadVideo) -> RestoredVideo:
        """Restore and encode all segments that are missing."""
        info = item.info
        first, last = self.settings.frames or (0, len(info.video.times))
        if first >= len(info.video.times):
            raise UnreadableImage(
                f"The video has {len(info.video.times)} frames, none of those that are asked for.",
                "Ask for others.",
                job.source,
            )
        interlaced = bool(info.field_order) and not self.settings.deinterlace
        pattern, format = self.out / job.relative if is_pattern(job.relative) else None, None
        if pattern is None:
            format = choose_format(
                info, self._result_size(info), self.settings.encoding, job.relative.suffix.lower(), interlaced
            )
        store = SegmentStore(
            self.out / SEGMENTS / digest(job.relative.as_posix())[:16],
            job.relative.as_posix(),
            self.journal,
            {"source": item.stamp, "format": repr(format), "settings": repr(self.settings)},
            format,
            info.video.time_base,
            max(1, min(MOST_FRAMES, round(SEGMENT * info.rate))),
            first,
            None if pattern is None else NumberedWriter(pattern, info),
        )
        store.resume(self.overwrite)
        last = min(last, len(info.video.times))
        start = store.start
        frames = itertools.islice(VideoReader(info, self.settings.deinterlace, start), last - start)
        at_once = self.engine.at_once
        listener = RunListener(str(job.source), self.progress, self.stop)
        worker = FrameWorker(self.engine, _filled(frames, job.source), self.size, store, at_once, listener)
        if not store.complete:
            megapixels = info.height * info.width / 1e6
            if ready := store.ready:
                self.progress.step(Event(str(job.source), 0, ready * megapixels, part=f"{ready} frames"))
            try:
                frames_left = range(start - first, last - first)
                with shared_threads(at_once), closing(LocalExecutor().run(frames_left, worker, at_once)) as run:
                    for done in filter(None, run):
                        part = f"frame {done} of {last - first}"
                        self.progress.step(Event(str(job.source), 0, megapixels, part=part))
                        listener.go_on()
                store.finish()
            finally:
                store.abort()
        warnings = [warning for content in store.contents for warning in content["warnings"]]
        if interlaced:
            warnings.insert(
                0, "interlaced: both fields of a frame were restored together (`deinterlace` separates them)"
            )
        return RestoredVideo(
            item,
            format,
            store.segments(),
            sum(content["repeated"] for content in store.contents),
            warnings,
            worker.seconds,
            worker.tiling,
        )

    def write(self, job: Job, computed: RestoredVideo) -> FileResult:
        """Join the segments, and note the result once it is in its place."""
        info, output = computed.read.info, self.out / job.relative
        times = [time for segment in computed.segments for time in segment.times]
        span = None
        if self.settings.frames is not None:
            behind = info.video.times[info.video.times > times[-1]]
            span = (times[0], int(behind[0]) if len(behind) else info.video.end)
        if computed.format is None:
            lost = lost_streams(info)
        else:
            lost = join_segments(info, computed.segments, computed.format, output, span)
        self.journal.record(job.relative.as_posix(), video_facts(computed.read.stamp, output, self.settings))
        shutil.rmtree(computed.segments[0].path.parent, ignore_errors=True)
        if computed.format is not None and computed.format.depth < info.depth:
            lost += (f"{info.depth} bits rounded to {computed.format.depth}: {computed.format.encoder} holds no more",)
        if info.mastering and (computed.format is None or computed.format.encoder != "libx265"):
            lost += ("HDR10's mastering display dropped",)
        return FileResult(
            job.source,
            output,
            "done",
            len(times) * info.height * info.width / 1e6,
            computed.seconds,
            info=computed.tiling,
            lost=lost,
            frames=len(times),
            repeated=computed.repeated,
            warnings=tuple(computed.warnings),
        )

    def failed(self, job: Job, error: Exception) -> FileResult:
        """What is wrong with one video stays with it; where nothing can be written any more the run ends."""
        if no_room_left(error):
            raise error
        return failed_result(job.source, self.out / job.relative, error)

    def _result_size(self, info: VideoInfo) -> tuple[int, int]:
        """Height and width; even ones for a factor, since most players want them."""
        height, width = self.size.of(info.height, info.width, self.engine.spec.scale)
        if self.size.factor is None or float(self.size.factor).is_integer():
            return height, width
        return height + height % 2, width + width % 2


def _is_content(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is what a segment's line in the journal holds, and not what damage has made of it."""
    return (
        isinstance(value, dict)
        and isinstance(times := value.get("times"), list)
        and all(type(time) is int and abs(time) < 1 << 62 for time in times)
        and times == sorted(times) != []
        and all(type(value.get(name)) is int for name in ("delay", "repeated"))
        and isinstance(value.get("warnings"), list)
        and all(isinstance(warning, str) for warning in value["warnings"])
        and isinstance(value.get("last"), bool)
    )


@dataclass
class SegmentStore:
    """The segments of one video, finished ones noted in the journal. One thread at a time uses it."""

    folder: Path
    key: str
    journal: Journal
    facts: dict[str, object]
    """What decides a segment beside the run's identity."""
    format: Format | None
    time_base: Fraction
    length: int
    """Frames of a segment."""
    first: int
    """Index of the first frame that is restored."""
    images: NumberedWriter | None = None
    """Takes the frames as numbered images, of which a segment is a run."""
    contents: list[dict[str, Any]] = field(default_factory=list, init=False)
    """Of every finished segment: times, delay, repeated, warnings, and whether it is the last."""
    writer: SegmentWriter | NumberedWriter | None = field(default=None, init=False)
    open: dict[str, Any] = field(default_factory=dict, init=False)

    def resume(self, overwrite: bool) -> None:
        """Take over what an earlier run finished, unless it is to be overwritten; what else it left is removed."""
        for number in itertools.count() if not overwrite else ():
            entry = self.journal.find(self._key(number), self.facts)
            content = None if entry is None else entry.get("content")
            if not _is_content(content) or not self._is_there(number, content):
                break
            self.contents.append(content)
        kept = {self._path(number) for number in range(len(self.contents))}
        for path in self.folder.glob("*"):
            if path not in kept:
                path.unlink(missing_ok=True)

    @property
    def complete(self) -> bool:
        """Whether the last segment is finished."""
        return bool(self.contents) and self.contents[-1]["last"]

    @property
    def start(self) -> int:
        """Index of the first frame to decode: the last one that is there, since a damaged one behind it would show it.

        Where some of the last segment are damaged, what they show may come from anywhere before.
        """
        if not self.contents or self.contents[-1]["warnings"]:
            return self.first
        return self.first + self.ready - 1

    def has(self, index: int) -> bool:
        """Whether a frame is in a finished segment of an earlier run."""
        return index - self.first < self.ready

    def add(self, frame: Frame, repeated: bool, warning: str) -> None:
        """Append a frame."""
        if self.writer is not None and len(self.open["times"]) == self.length:
            self._commit(last=False)
        if self.writer is None:
            self.writer = self._new_writer()
            self.open = {"times": [], "repeated": 0, "warnings": []}
        self.writer.write(frame)
        self.open["times"].append(int(frame.timestamp / self.time_base))
        self.open["repeated"] += repeated
        self.open["warnings"] += [warning] if warning else []

    def finish(self) -> None:
        """No frame follows."""
        if self.writer is not None:
            self._commit(last=True)

    def abort(self) -> None:
        """Drop what is not finished."""
        if self.writer is not None:
            self.writer.abort()
            self.writer = None

    def segments(self) -> list[Segment]:
        """All of them."""
        return [
            Segment(self._path(number), tuple(content["times"]), content["delay"])
            for number, content in enumerate(self.contents)
        ]

    def _commit(self, last: bool) -> None:
        assert self.writer is not None
        self.writer.commit()
        content = {**self.open, "delay": self.writer.delay, "last": last}
        self.journal.record(self._key(len(self.contents)), self.facts, content=content)
        self.contents.append(content)
        self.writer = None

    @property
    def ready(self) -> int:
        """Frames in finished segments."""
        return sum(len(content["times"]) for content in self.contents)

    def _new_writer(self) -> SegmentWriter | NumberedWriter:
        if self.format is None:
            assert self.images is not None
            return self.images
        return SegmentWriter(self._path(len(self.contents)), self.format)

    def _is_there(self, number: int, content: dict[str, Any]) -> bool:
        if self.images is None:
            return self._path(number).is_file()
        start = self.first + self.ready
        return all(
            numbered_file(self.images.pattern, start + index).is_file() for index in range(len(content["times"]))
        )

    def _key(self, number: int) -> str:
        return f"{self.key}//{number}"  # no path has two slashes

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.nut"


@dataclass(frozen=True)
class Slot:
    """One frame to restore: its own image, or that which stands in for it."""

    frame: Frame
    warning: str = ""
    """What is wrong with it."""
    repeats: bool = False
    """Whether it has the image of the frame before."""


@dataclass(frozen=True)
class RestoredFrame:
    """What became of a frame that is not in a finished segment."""

    slot: Slot
    image: Image | None = None
    """None where it repeats the one before."""
    problem: str = ""
    """Why the image is the input, resized."""
    seconds: float = 0.0
    tiling: TilingInfo | None = None


@dataclass
class FrameWorker:
    """Restores the frames of one video; see `runtime.executor.Worker`. Jobs are counted, the source is read on."""

    engine: Engine
    slots: Iterator[Slot]
    size: Size
    store: SegmentStore
    at_once: int
    """Frames that are computed side by side."""
    listener: Listener = PATIENT
    seconds: float = field(default=0.0, init=False)
    """Time in the network, of frames at once together."""
    tiling: TilingInfo | None = field(default=None, init=False)
    limits: Limits | None = field(default=None, init=False)
    """Of tiles that fitted a frame before; only `compute` uses it."""
    seen: Image | None = field(default=None, init=False)
    """Of the last frame to restore; only `read` uses it."""
    first: int | None = field(default=None, init=False)
    """Job of the first frame to restore."""
    shown: RestoredFrame | None = field(default=None, init=False)
    """The last one with an image of its own; only `write` uses it."""

    def read(self, job: int) -> Slot | None:
        """The next frame; None behind the last one and for those of finished segments."""
        slot = next(self.slots, None)
        if slot is None or slot.frame.image is None or self.store.has(slot.frame.index):
            return None
        before, self.seen = self.seen, slot.frame.image
        if before is None:
            self.first = job
        elif all(map(np.array_equal, self.seen.to_array(), before.to_array())):  # up to the first row that is not
            return replace(slot, repeats=True)
        return slot

    def compute(self, job: int, item: Slot | None) -> RestoredFrame | None:
        """Restore a frame, unless it repeats the one before."""
        if item is None or item.frame.image is None:
            return None
        if item.repeats:
            return RestoredFrame(item)
        image, begun = item.frame.image, time.monotonic()
        try:
            restored = restore_to_size(image, self.engine, self.size, self.limits, None, self.listener)
        except RestorekitError as error:
            if job == self.first:  # not the frame's fault
                raise
            height, width = self.size.of(*image.size, self.engine.spec.scale)
            return RestoredFrame(item, image.with_rgb(resize(image.rgb(), (height, width))), error.reason)
        self.limits = restored.limits
        return RestoredFrame(item, restored.image, "", time.monotonic() - begun, restored.info)

    def write(self, job: int, computed: RestoredFrame | None) -> int:
        """Encode a frame; returns how many are done, 0 for none."""
        if computed is None:
            return 0
        slot, warning = computed.slot, computed.slot.warning
        if not slot.repeats:
            self.shown = computed
        assert self.shown is not None
        assert self.shown.image is not None
        if self.shown.problem:
            warning = f"{_name(slot.frame)} is the input, resized: {self.shown.problem}"
        frame = replace(slot.frame, image=_fitted(self.shown.image, self.store.format))
        self.store.add(frame, slot.repeats, warning)
        self.seconds += computed.seconds / self.at_once
        if computed.tiling is not None:
            self.tiling = computed.tiling if self.tiling is None else self.tiling + computed.tiling
        return job + 1

    def failed(self, job: int, error: Exception) -> int:
        """An error that is not a frame's ends the video."""
        raise error


def _filled(frames: Iterator[Frame], path: Path) -> Iterator[Slot]:
    """Give every slot an image: a damaged one that of the frame before it, or of the first good one."""
    good: Image | None = None
    leading: list[Frame] = []
    for frame in frames:
        if frame.image is None and good is None:
            leading.append(frame)
            continue
        for damaged in leading:
            yield _stand_in(damaged, frame.image, "the first good one")
        leading = []
        if frame.image is None:
            yield _stand_in(frame, good, "the one before")
        else:
            good = frame.image
            yield Slot(frame)
    if good is None:
        raise UnreadableImage(
            "None of the frames can be decoded: the file is damaged or encrypted.",
            "Copy the video again from where it came.",
            path,
        )


def _stand_in(frame: Frame, image: Image | None, which: str) -> Slot:
    return Slot(replace(frame, image=image, error=None), f"{_name(frame)} is damaged and shows {which}")


def _name(frame: Frame) -> str:
    return f"frame {frame.index} at {float(frame.timestamp):.3f} s"


def _fitted(image: Image, format: Format | None) -> Image:
    """An image at its format's size, which is even where that of a factor may be odd: the last row or column is repeated."""
    height, width = image.size
    if format is None or (height, width) == (format.height, format.width):
        return image
    missing = ((0, format.height - height), (0, format.width - width))
    padded: Any = np.pad(image.pixels, (*missing, (0, 0)), "edge")
    alpha: Any = None if image.alpha is None else np.pad(image.alpha, missing, "edge")
    return replace(image, pixels=padded, alpha=alpha)
