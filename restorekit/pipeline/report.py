"""What became of a run: one result for every image, and the run as a whole."""

import json
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from restorekit.errors import ExitCode, RestorekitError
from restorekit.inference.engine import TilingInfo

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
    frames: int = 0
    """Of a video; 0 for an image."""
    repeated: int = 0
    """Frames equal to the one before them, whose result was taken."""
    warnings: tuple[str, ...] = ()
    """Damaged frames with their times, and whatever else one should know of a video."""


def failed_result(source: Path, output: Path, error: Exception) -> FileResult:
    """The result of an image that an error stopped, deliberate or not."""
    if isinstance(error, RestorekitError):
        return FileResult(source, output, "failed", reason=error.reason, hint=error.hint)
    return FileResult(
        source,
        output,
        "failed",
        reason=f"Unexpected {type(error).__name__}: {error}",
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


@dataclass
class RunSummary:
    """What became of a run."""

    planned: int
    info: RunInfo
    results: list[FileResult] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """Images that ended that way."""
        return sum(result.status == status for result in self.results)

    @property
    def exit_code(self) -> ExitCode:
        """OK; SOME_FAILED; FAILURE where nothing but defects of restorekit failed."""
        failed = [result for result in self.results if result.status == "failed"]
        if failed and all(result.defect for result in failed):
            return ExitCode.FAILURE
        return ExitCode.SOME_FAILED if failed else ExitCode.OK


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
    if result.info:
        line |= asdict(result.info)
    if result.frames:
        line |= {"frames": result.frames, "repeated": result.repeated, "warnings": result.warnings}
    return json.dumps(line) + "\n"  # ASCII: a path may hold bytes that are no text
