"""What became of a run: one result for every image, and the run as a whole."""

import json
import traceback
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from restorekit.errors import ExitCode, RestorekitError
from restorekit.inference.engine import Engine, TilingInfo
from restorekit.media.discover import Job
from restorekit.weights.network import Network

NOWHERE = Path()

Status = Literal["planned", "done", "skipped", "failed"]
"""Images of a dry run stay "planned"; in any other run planned = done + skipped + failed."""


@dataclass(frozen=True)
class FileResult:
    """What became of one image."""

    source: Path
    output: Path
    status: Status
    megapixels: float = 0.0
    """Of the input."""
    seconds: float = 0.0
    """Time in the network."""
    reason: str = ""
    """Why it failed."""
    hint: str = ""
    """What helps."""
    defect: str = ""
    """Traceback of an error that nobody foresaw."""
    info: TilingInfo | None = None
    lost: tuple[str, ...] = ()
    """Metadata that the result could not keep, in words."""
    doubt: str = ""
    """Why the result of an image looks like a failure, in words; see `imaging.doubt`."""
    by_rows: bool = False
    """Whether the image was too large to be in memory as a whole; then `doubt` says nothing."""
    frames: int = 0
    """Of a video; 0 for an image."""
    repeated: int = 0
    """Frames equal to the one before them, whose result was taken."""
    warnings: tuple[str, ...] = ()
    """Damaged frames with their times, and whatever else one should know of a video."""


def failed_result(source: Path, output: Path, error: Exception) -> FileResult:
    """The result of an image that an error stopped, deliberate or not."""
    if isinstance(error, RestorekitError):
        # An image's PSF, for one, is a file of its own: without its name the image would seem to be what is damaged.
        other = "" if error.path in (None, source, output) else f"{error.path}: "
        return FileResult(source, output, "failed", reason=other + error.reason, hint=error.hint)
    return FileResult(
        source,
        output,
        "failed",
        reason=f"Unexpected {type(error).__name__}: {error}".removesuffix(".") + ".",
        hint="This is a defect of restorekit: please report it with the file.",
        defect="".join(traceback.format_exception(error)),
    )


@dataclass(frozen=True)
class RunInfo:
    """What restores the images of a run."""

    model: str
    weights: str
    device: str
    precision: str
    backend: str = "torch"
    note: str = ""
    """Why PyTorch computes although another back end was asked for."""

    @classmethod
    def of(cls, network: Network, engine: Engine) -> "RunInfo":
        """What an engine makes of a network."""
        source = network.provenance.weights
        return cls(network.spec.name, source, engine.place, engine.precision, engine.runtime, engine.note)

    def __str__(self) -> str:
        trained = "" if self.weights == "none needed" else f" ({self.weights} weights)"
        by = "" if self.backend == "torch" else f", {self.backend}"
        note = f", torch: {self.note}" if self.note else ""
        return f"{self.model}{trained} on {self.device}, {self.precision}{by}{note}"


class Results(Sequence[FileResult]):
    """One result for every file, kept in few bytes: of a hundred thousand, most differ in nothing but names and times.

    Args:
        out: folder that results go to.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._jobs: list[Job] = []
        self._numbers = array("d")  # megapixels and seconds of every file
        self._rest: list[FileResult] = []
        self._different: dict[FileResult, FileResult] = {}

    def add(self, job: Job, result: FileResult) -> None:
        """Append the result of a job."""
        output = NOWHERE if result.output == self._out / job.relative else result.output
        rest = replace(result, source=NOWHERE, output=output, megapixels=0.0, seconds=0.0)
        self._jobs.append(job)
        self._numbers.extend((result.megapixels, result.seconds))
        self._rest.append(self._different.setdefault(rest, rest))

    def forget(self, jobs: Iterable[Job]) -> int:
        """Drop the results of files that are restored again; returns how many they were."""
        again = {(job.base, job.name) for job in jobs}
        kept = [at for at, job in enumerate(self._jobs) if (job.base, job.name) not in again]
        forgotten = len(self._jobs) - len(kept)
        if forgotten:
            self._numbers = array("d", (number for at in kept for number in self._numbers[2 * at : 2 * at + 2]))
            self._jobs, self._rest = [self._jobs[at] for at in kept], [self._rest[at] for at in kept]
        return forgotten

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, index: int) -> FileResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[FileResult]: ...
    def __getitem__(self, index: int | slice) -> FileResult | list[FileResult]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        job, rest, (megapixels, seconds) = self._jobs[at], self._rest[at], self._numbers[2 * at : 2 * at + 2]
        output = self._out / job.relative if rest.output == NOWHERE else rest.output
        return replace(rest, source=job.source, output=output, megapixels=megapixels, seconds=seconds)

    def count_status(self, status: Status) -> int:
        """Files that ended that way."""
        return sum(rest.status == status for rest in self._rest)


@dataclass
class RunSummary:
    """What became of a run."""

    planned: int
    info: RunInfo
    results: Results
    """Fewer than planned if the run was stopped."""
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """Images that ended that way."""
        return self.results.count_status(status)

    @property
    def exit_code(self) -> ExitCode:
        """OK; INTERRUPTED; SOME_FAILED; FAILURE where nothing but defects of restorekit failed."""
        if len(self.results) < self.planned:
            return ExitCode.INTERRUPTED
        if not self.count("failed"):
            return ExitCode.OK
        foreseen = any(result.status == "failed" and not result.defect for result in self.results)
        return ExitCode.SOME_FAILED if foreseen else ExitCode.FAILURE


def report_line(result: FileResult, info: RunInfo) -> str:
    """One line of JSON that tells everything about an image."""
    line: dict[str, Any] = {
        "source": str(result.source),
        "output": str(result.output),
        "status": result.status,
        "megapixels": round(result.megapixels, 6),
        "seconds": round(result.seconds, 3),
        **asdict(info),
    }
    if result.status == "failed":
        line |= {"reason": result.reason, "hint": result.hint}
    if result.defect:
        line["defect"] = result.defect
    if result.lost:
        line["lost"] = result.lost
    if result.doubt:
        line["doubt"] = result.doubt
    if result.info:
        line |= asdict(result.info)
    if result.by_rows:
        line["by_rows"] = True
    if result.frames:
        line |= {"frames": result.frames, "repeated": result.repeated, "warnings": result.warnings}
    return json.dumps(line) + "\n"  # ASCII: a path may hold bytes that are no text
