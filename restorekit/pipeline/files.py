"""Restore files and folders: reading, computing and writing overlap, and no file can stop the others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import chain, takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from restorekit.errors import RestorekitError, UnwritableOutput, UsageError
from restorekit.inference.engine import Engine, cannot_be_told
from restorekit.inference.image import RestoredImage, Size
from restorekit.inference.settings import Settings
from restorekit.inference.tiling import Limits
from restorekit.media.animation import Animation, read_animation, write_animation
from restorekit.media.decode import read_image
from restorekit.media.discover import Job
from restorekit.media.encode import check_storable, write_image
from restorekit.media.image import Image
from restorekit.media.large import LargeImage
from restorekit.media.limits import MOST_PIXELS
from restorekit.media.numbered import is_numbered, is_pattern
from restorekit.models.spec import Task
from restorekit.pipeline.animations import RestoredAnimation, restore_animation
from restorekit.pipeline.estimate import IMAGE_PIXELS, VIDEO_PIXELS, Estimate
from restorekit.pipeline.large import RestoredLarge, find_large, restore_large
from restorekit.pipeline.listening import RunListener
from restorekit.pipeline.plan import Taken, blur_paths, destinations, plan_files, side_by_side_path, split_target
from restorekit.pipeline.report import FileResult, Results, RunInfo, RunSummary, failed_result, report_line
from restorekit.pipeline.side_by_side import side_by_side
from restorekit.pipeline.still import OnDoubt, check_task, restore_still
from restorekit.pipeline.video_settings import SEGMENTS, VideoSettings, stamp_of, video_facts
from restorekit.pipeline.watch import check_watchable, watch_folder
from restorekit.runtime.atomic import no_room_left, remove_leftovers
from restorekit.runtime.executor import Executor, LocalExecutor
from restorekit.runtime.journal import Journal
from restorekit.runtime.lock import HIDDEN, working_in
from restorekit.runtime.progress import PATIENT, SILENT, Event, Progress, Work
from restorekit.runtime.provenance import file_stamp
from restorekit.runtime.regular import open_without_following
from restorekit.runtime.threads import all_threads, shared_threads
from restorekit.weights.manifest import check_kept
from restorekit.weights.network import Network, load_network

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur
    from restorekit.pipeline.blur_files import KnownBlurs

_ONE_LARGE = threading.Lock()  # two large images at once would take twice the memory
JOURNAL = Path(HIDDEN, "restored.jsonl")  # below the output folder; hidden: no run takes it for images


def restore_folder(
    inputs: Iterable[str | Path],
    out: str | Path,
    *,
    model: str = "gggan-lite",
    weights: str | Path | None = "auto",
    scale: int | None = None,
    task: Task | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
    settings: Settings = Settings(),
    size: Size = Size(),
    overwrite: bool = False,
    dry_run: bool = False,
    watch: bool = False,
    compare: Path | None = None,
    report: Path | None = None,
    max_pixels: int = MOST_PIXELS,
    on_doubt: OnDoubt = "keep",
    kernel: Path | None = None,
    blur_out: Path | None = None,
    video: VideoSettings = VideoSettings(),
    progress: Progress = SILENT,
    executor: Executor = LocalExecutor(),
    stop: threading.Event | None = None,
) -> RunSummary:
    """Restore images and videos from files, folders and glob patterns into a folder that keeps their tree.

    Inputs are never touched. Results appear whole or not at all. What an earlier run finished with the same model, weights
    and settings, from the same input, is skipped.

    Args:
        inputs: files, folders (with everything below) or patterns.
        out: folder where results go; may lie inside an input. Or the only result: an image (large.png) in the format of the
            only input, a video (clip.mp4), or the numbered images (frames/%06d.png) of a video's frames; the input is then
            one video, or numbered images.
        model: name of a system.
        weights: "auto", a tag, a file, or None for an untrained network.
        scale: of the network, for super-resolution; None for that of the weights.
        task: what the system must be for; None for any.
        config: options of the system that differ from those of the weights.
        settings: device, precision and tiles.
        size: of the results; by default what the network gives.
        overwrite: restore also what is done.
        dry_run: only find out what would be done; nothing is written.
        watch: go on with what arrives in the only input, a folder, until `stop` is set. Files count once they have not
            changed for two seconds. Needs the package watchfiles.
        compare: folder for views of input and result side by side (PNG), of images alone.
        report: file that gets one line of JSON for every image and every video.
        max_pixels: an input that claims more fails before memory is taken for it.
        on_doubt: what is written where an image's result looks like a failure (see `imaging.doubt`): "keep" it, or "copy"
            the input, enlarged if the result is larger. The result's `doubt` tells of either.
        kernel: what blurred the images, for systems that can be told, as "tv": a file for all (TIFF or `.npy` as
            `blur_files.parse_values` takes them, PNG), a folder of files with the images' names, or a pairs.jsonl.
        blur_out: folder for the images' blurs, told or found, as values that `kernel` takes and as pictures; of an animation
            its first frame's.
        video: how videos are restored and written.
        progress: sees the run; the `detail` of its events is a `FileResult`.
        executor: runs the work.
        stop: once it is set, the run finishes the images that it has begun and ends; a video goes on in the next run, and
            an image whose blur is still searched for is left to it.

    Returns:
        One result for every planned image and video; images come first.

    Raises:
        UsageError: an input does not exist, there is no image, or what is written would replace an input; `kernel` is
            missing where the system needs it, given where it does not, or not to be read; the input cannot be watched.
        WeightsError: see `load_model`.
        UnwritableOutput: nothing can be written to `out`, or another run works there or in `compare`.
    """
    sources, (out, name) = list(map(Path, inputs)), split_target(Path(out))
    blurs = None
    if kernel is not None:
        from restorekit.pipeline.blur_files import KnownBlurs  # with PyTorch, which undoes them

        blurs = KnownBlurs.open(kernel)
    planning = partial(
        plan_files, sources, out, compare, report, video.encoding, name, blur_out, blurs, may_be_empty=watch
    )
    if watch:
        written = [folder for folder in (out, compare, blur_out) if folder is not None]
        check_watchable(sources, written, name, dry_run, video.preview)
    jobs = [] if watch else planning()
    if report is not None:
        check_kept(weights, [report], "report")
    video = replace(video, fps=_rate(sources, jobs, name, video.fps))
    if video.preview:
        jobs = [job for job in jobs if job.video]
        if not jobs:
            raise UsageError("There is no video to preview.", "Name one.")
    network = load_network(model, weights, scale, config, int8=settings.precision == "int8")
    check_task(network, task)
    _check_told(network, jobs, kernel, blur_out)
    engine = Engine(network, settings)
    journal = Journal(out / JOURNAL, _identity(network, engine, size, on_doubt))
    info = RunInfo.of(network, engine)
    summary = RunSummary(len(jobs), info, Results(out))
    stop = stop or threading.Event()
    worker = FileWorker(engine, size, out, compare, journal, max_pixels, on_doubt, blurs, blur_out, progress, stop)
    batch = _Batch(worker, video, overwrite, executor, stop)
    finished, missing = batch.split(jobs)
    if dry_run:
        for job in finished:
            summary.results.add(job, batch.finished(job))
        for job in missing:
            summary.results.add(job, FileResult(job.source, out / job.relative, "planned"))
        return summary
    begun, folders = time.monotonic(), {out, compare or out, blur_out or out}
    with ExitStack() as stack:
        if missing or watch:
            for folder in {folder.resolve() for folder in folders}:
                stack.enter_context(working_in(folder))
            journal.check()
        lines = stack.enter_context(_opened(report))
        stack.enter_context(_stopped_by(stop))
        if watch:
            described, taken = str(info), Taken(out, compare, report, blur_out, blurs)
            for arrived in watch_folder(sources[0], planning, stop):
                summary.planned += len(arrived) - summary.results.forget(arrived)
                batch.refused = taken.refuse(arrived)
                batch.restore(*batch.split(arrived), described, summary, lines)
                described = ""  # once is enough
        else:
            batch.restore(finished, missing, str(info), summary, lines)
    summary.seconds = time.monotonic() - begun
    progress.end(summary)
    return summary


@dataclass
class _Batch:
    """Restores one batch of jobs of a run after another."""

    worker: FileWorker
    video: VideoSettings
    overwrite: bool
    executor: Executor
    stop: threading.Event
    cleared: set[str] = field(default_factory=set)
    """Folders without what killed runs left half written; searching one of 100,000 results takes a while."""
    doubts: dict[Job, str] = field(default_factory=dict)
    """What looked wrong about results of earlier runs, in words."""
    refused: dict[Job, UsageError] = field(default_factory=dict)
    """Jobs of this batch that are not begun, and why."""

    def split(self, jobs: list[Job]) -> tuple[list[Job], list[Job]]:
        """Those that an earlier run finished or that are refused, and the others."""
        finished, missing = list[Job](), list[Job]()
        for job in jobs:
            entry = None if self.overwrite or self.video.preview else self._find_entry(job)
            (missing if entry is None and job not in self.refused else finished).append(job)
            if entry and entry.get("doubt"):
                self.doubts[job] = str(entry["doubt"])
        return finished, missing

    def finished(self, job: Job) -> FileResult:
        """The result of a job that an earlier run finished, or that is refused."""
        output = self.worker.out / job.relative
        if job in self.refused:
            return failed_result(job.source, output, self.refused[job])
        return FileResult(job.source, output, "skipped", doubt=self.doubts.get(job, ""))

    def restore(
        self, finished: list[Job], missing: list[Job], description: str, summary: RunSummary, lines: _Report | None
    ) -> None:
        """Restore what is missing, and tell of everything."""
        engine, progress, jobs = self.worker.engine, self.worker.progress, [*finished, *missing]
        written = destinations(jobs, self.worker.out, self.worker.compare, None, self.worker.blur_out)
        for place in {os.path.split(path)[0] for path, *_ in written} - self.cleared:
            remove_leftovers(Path(place))
            self.cleared.add(place)
        images, videos = ([job for job in missing if job.video is wanted] for wanted in (False, True))
        work = _WorkLeft(images, videos, self.video, progress, self.stop)
        progress.begin(Work(len(jobs), work.left, "MP", description))
        # Of all images, not of those that are missing: how many threads compute one decides the last bit of its floats.
        at_once = max(1, min(engine.at_once, sum(not job.video for job in jobs)))
        worker = replace(self.worker, at_once=at_once)
        done_images = _sharing(self.executor.run(work.take_images(images), worker, at_once, engine.helpers), at_once)
        done_videos = self._restore_videos(work.take_videos(videos)) if videos else iter(())
        ended = ((self.finished(job), 0.0) for job in finished)
        ends = chain(ended, work.less_images(done_images), work.less_videos(done_videos))
        for job, (result, amount) in zip(chain(finished, images, videos), ends, strict=False):  # fewer if stopped
            summary.results.add(job, result)
            if lines:
                lines.write(report_line(result, summary.info))
            status = "done" if result.status == "planned" else result.status
            progress.step(Event(str(result.source), 1, amount, status, result, work.left))
        if videos:
            with suppress(OSError):  # a later run goes on with what is left there
                (self.worker.out / SEGMENTS).rmdir()

    def _restore_videos(self, videos: Iterator[Job]) -> Iterator[FileResult]:
        from restorekit.pipeline.preview import PreviewWorker  # with FFmpeg, for which images do not wait
        from restorekit.pipeline.videos import VideoWorker

        run = self.worker
        if self.video.preview:
            return self.executor.run(videos, PreviewWorker(run.engine, run.size, run.out, self.video))
        worker = VideoWorker(
            run.engine,
            run.size,
            run.out,
            run.journal,
            self.video,
            run.progress,
            self.stop,
            self.overwrite,
            run.max_pixels,
        )
        return self.executor.run(videos, worker)

    def _find_entry(self, job: Job) -> dict[str, Any] | None:
        """The journal's entry of a job, if an earlier run made all that this one would make of it, from the same input."""
        run = self.worker
        if job.target not in run.journal:
            return None
        try:
            if run.compare is not None and not job.video:
                side_by_side_path(run.compare, job).stat()
            for path in blur_paths(run.blur_out, job):
                path.stat()
            stamp, output = stamp_of(job.source), run.out / job.relative
            blur = "" if run.blurs is None else run.blurs.digest(job)
            facts = video_facts(stamp, output, self.video) if job.video else _facts(stamp, output, blur)
        except (OSError, RestorekitError):  # one is not there, or the blur cannot be read: reading it tells why
            return None
        return run.journal.find(job.target, facts)


@dataclass(frozen=True)
class ReadFile:
    """An image or animation, in memory unless it is large, and the file as it was before it was read."""

    image: Image | Animation | LargeImage
    stamp: dict[str, int]
    blur: Blur | None = None
    digest: str = ""
    """Of the blur."""


@dataclass(frozen=True)
class RestoredFile:
    """An image before and after."""

    read: ReadFile
    restored: RestoredImage | RestoredAnimation | RestoredLarge
    seconds: float
    """Its share of the time, where others were computed at once."""
    doubt: str = ""
    """What looks wrong, in words."""


@dataclass
class FileWorker:
    """Restores the images of one run; see `runtime.executor.Worker`."""

    engine: Engine
    size: Size
    out: Path
    compare: Path | None
    journal: Journal
    max_pixels: int = MOST_PIXELS
    on_doubt: OnDoubt = "keep"
    blurs: KnownBlurs | None = None
    blur_out: Path | None = None
    progress: Progress = SILENT
    stop: threading.Event | None = None
    """Once it is set, no blur is searched for any longer."""
    at_once: int = 1
    """Images that are computed side by side."""
    limits: Limits | None = field(default=None, init=False)
    """Of tiles that fitted an image before; only `compute` uses it."""

    def read(self, job: Job) -> ReadFile:
        """Decode one image or animation; of a large image only the beginning."""
        try:
            stamp = file_stamp(job.source)
        except OSError:  # reading tells why; what has no stamp is never taken for done
            stamp = {}
        large = None
        if self.on_doubt == "keep":  # else the whole result must be seen before any of it is written
            large = find_large(job.source, self.engine.spec.scale, self.size, self.max_pixels)
        image = large or read_animation(job.source, self.max_pixels) or read_image(job.source, self.max_pixels)
        if self.blurs is None:
            return ReadFile(image, stamp)
        if isinstance(image, Animation):
            raise UsageError("An animation cannot be told its blur.", "Split it into images.")
        return ReadFile(image, stamp, *self.blurs.read(job, *image.size))

    def compute(self, job: Job, item: ReadFile) -> RestoredFile:
        """Restore one image, if its format can hold the result; a large one is written meanwhile."""
        image, output = item.image, self.out / job.relative
        listener = PATIENT if self.stop is None else RunListener(str(job.source), self.progress, self.stop)
        check_storable(image.format, *self.size.of(*_size_of(image), self.engine.spec.scale))
        if isinstance(image, LargeImage):
            view = None if self.compare is None else side_by_side_path(self.compare, job)
            with _ONE_LARGE, all_threads(self.at_once):
                begun = time.monotonic()
                large = restore_large(
                    image, self.engine, self.size, output, view, self.limits, self.progress, item.blur, listener
                )
                return RestoredFile(item, large, time.monotonic() - begun)
        begun = time.monotonic()
        restored: RestoredImage | RestoredAnimation
        doubt = ""
        if isinstance(image, Animation):
            restored = restore_animation(image, self.engine, self.size, self.limits, listener)
        else:
            restored, doubt = restore_still(
                image, self.engine, self.size, self.limits, self.on_doubt, item.blur, listener
            )
        self.limits = restored.limits
        return RestoredFile(item, restored, (time.monotonic() - begun) / self.at_once, doubt)

    def write(self, job: Job, computed: RestoredFile) -> FileResult:
        """Store one result, and note it once it is in its place."""
        before, restored, output = computed.read.image, computed.restored, self.out / job.relative
        if isinstance(restored, RestoredLarge):
            lost = restored.lost  # it is in its place
        else:
            assert not isinstance(before, LargeImage)
            after = restored.image
            if self.compare is not None:
                write_image(side_by_side(_still(before), _still(after)), side_by_side_path(self.compare, job))
            lost = write_animation(after, output) if isinstance(after, Animation) else write_image(after, output)
        if restored.blur is not None and self.blur_out is not None:
            from restorekit.pipeline.blur_files import write_blur

            behind = None if isinstance(before, LargeImage) else _still(before)
            write_blur(restored.blur, _size_of(before), behind, *blur_paths(self.blur_out, job))
        doubt = {"doubt": computed.doubt} if computed.doubt else {}
        self.journal.record(job.relative.as_posix(), _facts(computed.read.stamp, output, computed.read.digest), **doubt)
        frames, (height, width) = len(before.frames) if isinstance(before, Animation) else 1, _size_of(before)
        return FileResult(
            job.source,
            output,
            "done",
            frames * height * width / 1e6,
            computed.seconds,
            info=restored.info,
            lost=lost,
            doubt=computed.doubt,
            by_rows=isinstance(restored, RestoredLarge),
            frames=frames if isinstance(restored, RestoredAnimation) else 0,
            repeated=restored.repeated if isinstance(restored, RestoredAnimation) else 0,
        )

    def failed(self, job: Job, error: Exception) -> FileResult:
        """What is wrong with one image stays with it; where nothing can be written any more the run ends."""
        if no_room_left(error):
            raise error
        return failed_result(job.source, self.out / job.relative, error)


class _WorkLeft:
    """Follows the images and videos of a run from when they are taken up until they are finished."""

    def __init__(
        self, images: list[Job], videos: list[Job], video: VideoSettings, progress: Progress, stop: threading.Event
    ) -> None:
        self._images = Estimate((_size(job) for job in images), IMAGE_PIXELS)
        self._videos = Estimate((_size(job) for job in videos), VIDEO_PIXELS)
        self._video, self._progress, self._stop = video, progress, stop
        if video.frames is not None:  # a file's size tells nothing of a part: all headers are read now
            for job in videos:
                self._know(job)

    @property
    def left(self) -> float:
        """Megapixels, an estimate."""
        return self._images.left + self._videos.left

    def take_images(self, images: Iterable[Job]) -> Iterator[Job]:
        """Tell of every image that is taken up, until the run is to stop."""
        for job in takewhile(self._goes_on, images):
            self._progress.step(Event(str(job.source), 0, 0.0, "started"))
            yield job

    def take_videos(self, videos: Iterable[Job]) -> Iterator[Job]:
        """The same for videos, whose headers are read now, unless they were before."""
        for job in takewhile(self._goes_on, videos):
            if self._video.frames is None:
                self._know(job)
            self._progress.step(Event(str(job.source), 0, 0.0, "started", left=self.left))
            yield job

    def less_images(self, results: Iterator[FileResult]) -> Iterator[tuple[FileResult, float]]:
        """Every image that is finished, and its megapixels, unless they were told row by row."""
        for result in results:
            self._images.know(result.megapixels)
            self._images.finish()
            yield result, 0.0 if result.by_rows else result.megapixels

    def less_videos(self, results: Iterator[FileResult]) -> Iterator[tuple[FileResult, float]]:
        """Every video that is finished; its megapixels were told frame by frame."""
        for result in results:
            self._videos.finish()
            yield result, 0.0

    def _know(self, job: Job) -> None:
        """Learn of a video's pixels by its header."""
        from restorekit.pipeline.videos import video_megapixels

        self._videos.know(video_megapixels(job.source, self._video))

    def _goes_on(self, job: Job) -> bool:
        return not self._stop.is_set()


@contextmanager
def _stopped_by(stop: threading.Event) -> Iterator[None]:
    """Let a run that was asked to stop end here, also inside a video or the search for a blur."""
    try:
        yield
    except KeyboardInterrupt:
        if not stop.is_set():
            raise


def _sharing(results: Iterator[FileResult], at_once: int) -> Iterator[FileResult]:
    """Results of jobs that are computed at once, and share PyTorch's threads until the last of them."""
    with shared_threads(at_once):
        yield from results


def _size(job: Job) -> int:
    """Bytes of a file; 0 where reading it will tell what is wrong."""
    try:
        return job.source.stat().st_size
    except OSError:
        return 0


def _rate(sources: list[Path], jobs: Iterable[Job], name: str, fps: Fraction | None) -> Fraction | None:
    """Frames a second where numbered images are read as a video, else None."""
    if not any(is_pattern(job.source) and job.video for job in jobs):
        if fps is not None:
            numbered = len(sources) == 1 and jobs and is_numbered(sources[0])  # without jobs a folder is watched
            hint = "Give `out` the video's name, e.g. clip.mp4." if numbered else "Leave it out."
            raise UsageError("`fps` is for numbered images that become a video.", hint)
        return None
    if fps is None and not is_pattern(Path(name)):
        raise UsageError("Numbered images do not tell how many are shown a second.", "Give `fps`, e.g. 25.")
    return fps or Fraction(25)  # images again: nobody sees it


def _identity(network: Network, engine: Engine, size: Size, on_doubt: OnDoubt) -> dict[str, object]:
    """All that decides the pixels of every result."""
    return {
        "model": network.spec.name,
        "weights": network.provenance.sha256,
        "config": dict(network.provenance.config),
        "scale": network.spec.scale,
        "size": [size.factor, size.pixels],
        "on_doubt": on_doubt,
        **engine.identity(),
    }


def _check_told(network: Network, jobs: Iterable[Job], kernel: Path | None, blur_out: Path | None) -> None:
    """Check that what must be told of the blur is, and nothing else."""
    spec = network.spec
    if kernel is None and spec.must_be_told:
        raise UsageError(f"{spec.name} must be told the blur.", "Give `kernel`, or take another model.")
    if kernel is None and blur_out is not None and not spec.estimates:
        raise UsageError("There is no blur to write.", "Give `kernel`, or take a model that finds the blur.", blur_out)
    if kernel is not None and spec.blur == "none":
        raise cannot_be_told(spec)
    if kernel is not None and (video := next((job for job in jobs if job.video), None)):
        raise UsageError("A video cannot be told its blur.", "Leave it out, or split it into images.", video.source)


def _facts(source: Mapping[str, int], output: Path, blur: str) -> dict[str, object]:
    """What tells that a result was made from this input, told this blur, and is still the one that was written."""
    told = {"blur": blur} if blur else {}
    return {"source": dict(source), "output": output.stat().st_size, **told}


def _still(image: Image | Animation) -> Image:
    return image.frames[0] if isinstance(image, Animation) else image


def _size_of(image: Image | Animation | LargeImage) -> tuple[int, int]:
    """Height and width in pixels."""
    return image.size if isinstance(image, LargeImage) else _still(image).size


class _Report:
    """A file that gets a line for every image as soon as it is finished.

    Raises:
        UnwritableOutput: it cannot be written, is a link to somewhere else, or a pipe that nobody reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                raise UnwritableOutput("The report is a link, which is not followed.", "Choose another file.", path)
            opened = open_without_following(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            self.file = os.fdopen(opened, "w", encoding="ascii", buffering=1)

    def write(self, line: str) -> None:
        """Append a line."""
        with self._guarded():
            self.file.write(line)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnwritableOutput(
                f"The report cannot be written ({error.strerror}).", "Choose another file.", self.path
            ) from error


@contextmanager
def _opened(path: Path | None) -> Iterator[_Report | None]:
    """The report, empty; None where none was asked for."""
    if path is None:
        yield None
        return
    report = _Report(path)
    try:
        yield report
    finally:
        with suppress(OSError):  # the disk is full: the lines before are there
            report.file.close()
