"""Restore files and folders: reading, computing and writing overlap, and no file can stop the others.

    read (thread) ─▶ at most 2 waiting ─▶ restore (here) ─▶ at most 2 waiting ─▶ write (thread)

At most a handful of pictures are in memory, whatever the folder holds. Only this thread runs the network, finishes
pictures and talks to whoever watches.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, Protocol

import numpy as np

from restorekit.errors import ExitCode, RestorekitError, UnwritableOutput, UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine, Settings, TilingInfo
from restorekit.inference.size import Size, restored
from restorekit.media.decode import megapixels, read_image
from restorekit.media.discover import Job, find_pictures
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models.spec import Task
from restorekit.pipeline.records import Records
from restorekit.weights.load import load

AHEAD = 2  # pictures read before their turn, and pictures restored but not yet written


@dataclass(frozen=True)
class Outcome:
    """What became of one picture."""

    source: Path
    output: Path
    status: Literal["done", "skipped", "failed"]
    megapixels: float = 0.0
    seconds: float = 0.0
    """Time in the network."""
    reason: str = ""
    """Why it failed."""
    hint: str = ""
    notes: TilingInfo | None = None


@dataclass
class Summary:
    """What became of a run."""

    planned: int
    model: str
    weights: str
    device: str
    precision: str
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, status: Literal["done", "skipped", "failed"]) -> int:
        """Pictures that ended that way."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def exit_code(self) -> ExitCode:
        """OK, or SOME_FAILED."""
        return ExitCode.SOME_FAILED if self.count("failed") else ExitCode.OK


class Watcher(Protocol):
    """Whoever wants to see a run's progress."""

    def start(self, summary: Summary, megapixels: float) -> None:
        """Called once, with the pictures that are not skipped counted in megapixels."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """Called for every picture, in order."""
        ...


def restore_folder(
    inputs: Iterable[Path],
    out: Path,
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
    compare: Path | None = None,
    report: Path | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Restore pictures from files, folders and glob patterns into a folder that keeps their tree.

    Inputs are never touched. Results appear whole or not at all. What an earlier run finished with the same model,
    weights and settings is skipped.

    Args:
        inputs: files, folders (with everything below) or patterns.
        out: where results go; may lie inside an input.
        model: name of a system.
        weights: "auto", a tag, a file, or None for an untrained network.
        scale: of the network, for super-resolution; None for that of the weights.
        task: what the system must be for; None for any.
        config: options of the system that differ from those of the weights.
        settings: device, precision and tiles.
        size: of the results; by default what the network gives.
        overwrite: restore also what is done.
        dry_run: only find out what would be done; nothing is written.
        compare: folder for pictures that show input and result side by side (PNG).
        report: file that gets one line of JSON for every picture.
        watcher: sees the progress.

    Returns:
        One outcome for every planned picture: planned = done + skipped + failed. In a dry run those that would be
        restored are listed as "done" with 0 seconds.

    Raises:
        UsageError: an input does not exist, there is no picture, or a result would replace an input.
        WeightsError: see `load_model`.
        UnwritableOutput: nothing can be written to `out`.
    """
    inputs, out = [Path(item) for item in inputs], Path(out)
    jobs = [job for job in find_pictures(inputs, out) if not _inside(job.source, compare)]
    if not jobs:
        raise UsageError(
            f"No picture was found in {', '.join(map(str, inputs))}.", "PNG, JPEG, WebP, TIFF or BMP are read."
        )
    _spare_inputs(jobs, out)
    loaded = load(model, weights, scale, config)
    if task is not None and loaded.spec.task != task:
        does, other = ("enlarges", "sr") if loaded.spec.task == "sr" else ("does not enlarge", "deblur")
        raise UsageError(f"{model} {does} pictures.", f"Use `restorekit {other}`.")
    restorer = Engine(loaded.model, loaded.spec, settings)
    precision = str(restorer.dtype).removeprefix("torch.")
    summary = Summary(len(jobs), model, loaded.weights, str(restorer.device), precision)
    signature: dict[str, Any] = {
        "model": model,
        "weights": loaded.sha256,
        "precision": precision,
        "tile": settings.tile,
        "overlap": settings.overlap,
    }
    # Only where they differ from the usual, so that folders of earlier versions stay finished.
    if settings.statistics != "fast":
        signature["statistics"] = settings.statistics
    if config:
        signature["config"] = dict(config)
    if loaded.spec.task == "sr":
        signature["scale"] = loaded.spec.scale
    if size != Size():
        signature["size"] = [size.factor, list(size.pixels) if size.pixels else None]
    records = Records(out, signature)

    def is_done(job: Job) -> bool:
        seen = compare is None or _sheet_path(compare, job).exists()
        return not overwrite and seen and records.is_done(job)

    todo = [job for job in jobs if not is_done(job)]
    missing = set(todo)
    skipped = [Outcome(job.source, out / job.relative, "skipped") for job in jobs if job not in missing]
    if dry_run:
        summary.outcomes = skipped + [Outcome(job.source, out / job.relative, "done") for job in todo]
        return summary
    if todo:
        records.open()

    sizes = {job: megapixels(job.source) for job in todo}
    if watcher:
        watcher.start(summary, sum(sizes.values()))
    begun = time.monotonic()
    with ExitStack() as stack:
        lines = stack.enter_context(_opened(report)) if report else None
        run = stack.enter_context(_Run(restorer, size, records, summary, compare, lines, watcher))
        for outcome in skipped:
            run.finish(outcome)
        for job, reading in run.read_ahead(todo):
            run.restore(Outcome(job.source, out / job.relative, "done", sizes[job]), job, reading)
        run.collect(0)
    summary.seconds = time.monotonic() - begun
    return summary


class _Run:
    """The three stages and what is between them."""

    def __init__(
        self,
        restorer: Engine,
        size: Size,
        records: Records,
        summary: Summary,
        compare: Path | None,
        lines: IO[str] | None,
        watcher: Watcher | None,
    ) -> None:
        self.restorer, self.size, self.records, self.summary = restorer, size, records, summary
        self.compare, self.lines, self.watcher = compare, lines, watcher
        self.reader, self.writer = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
        self.writing: deque[tuple[Outcome, Future[None]]] = deque()

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.shutdown(cancel_futures=True)
        self.writer.shutdown()  # results on their way to the disk get there, also when the user stops the run

    def read_ahead(self, jobs: list[Job]) -> Iterator[tuple[Job, Future[Image]]]:
        """Every job with its picture, the next ones already being read."""
        reading: deque[tuple[Job, Future[Image]]] = deque()
        for job in jobs:
            reading.append((job, self.reader.submit(read_image, job.source)))
            if len(reading) > AHEAD:
                yield reading.popleft()
        yield from reading

    def restore(self, outcome: Outcome, job: Job, reading: "Future[Image]") -> None:
        """Restore one picture and hand it to the writer; what is wrong with it stays with it."""
        try:
            picture = reading.result()
            begun = time.monotonic()
            result = restored(picture, self.restorer, self.size)
        except RestorekitError as error:
            self.collect(0)
            self.finish(_failed(outcome, error))
            return
        outcome = replace(outcome, seconds=time.monotonic() - begun, notes=self.restorer.notes)
        sheet = _sheet_path(self.compare, job) if self.compare else None
        self.writing.append((outcome, self.writer.submit(_write, picture, result, job, self.records, sheet)))
        self.collect(AHEAD)

    def collect(self, most: int) -> None:
        """Wait until at most that many results are still on their way to the disk."""
        while len(self.writing) > most:
            outcome, writing = self.writing.popleft()
            try:
                writing.result()
            except RestorekitError as error:
                outcome = _failed(outcome, error)
            self.finish(outcome)

    def finish(self, outcome: Outcome) -> None:
        """Nothing more happens to this picture."""
        self.summary.outcomes.append(outcome)
        if self.lines:
            self.lines.write(json.dumps(_line(outcome, self.summary), ensure_ascii=False) + "\n")
            self.lines.flush()
        if self.watcher:
            self.watcher.finish(outcome)


def _write(picture: Image, result: Image, job: Job, records: Records, sheet: Path | None) -> None:
    if sheet:
        before, after = (from_unit(to_unit(half.rgb())) for half in (picture, result))
        if before.shape != after.shape:
            before = resize(before, result.size)
        gap = np.full((result.size[0], 8, 3), 255, np.uint8)
        write_image(Image(np.hstack([before, gap, after])), sheet)
    write_image(result, records.out / job.relative)
    records.add(job)


def _sheet_path(compare: Path, job: Job) -> Path:
    return compare / job.relative.with_name(job.relative.name + ".png")


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _spare_inputs(jobs: list[Job], out: Path) -> None:
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if (out / job.relative).resolve() in sources:
            raise UsageError(
                "The result would replace an input.", "Choose another folder with --out.", out / job.relative
            )


def _failed(outcome: Outcome, error: RestorekitError) -> Outcome:
    return replace(outcome, status="failed", seconds=0.0, reason=error.reason, hint=error.hint, notes=None)


def _opened(report: Path) -> IO[str]:
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        return report.open("w", encoding="utf-8")
    except OSError as error:
        raise UnwritableOutput(
            f"The report cannot be written ({error.strerror}).", "Choose another --report.", report
        ) from None


def _line(outcome: Outcome, summary: Summary) -> dict[str, Any]:
    line: dict[str, Any] = {
        "source": str(outcome.source),
        "output": str(outcome.output),
        "status": outcome.status,
        "megapixels": round(outcome.megapixels, 6),
        "seconds": round(outcome.seconds, 3),
        "model": summary.model,
        "weights": summary.weights,
        "device": summary.device,
        "precision": summary.precision,
    }
    if outcome.status == "failed":
        line |= {"reason": outcome.reason, "hint": outcome.hint}
    if outcome.notes:
        line |= asdict(outcome.notes)
    return line
