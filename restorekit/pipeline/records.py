"""What an output folder already holds, so that a second run does only what is missing."""

import json
from pathlib import Path
from typing import Any

from restorekit.errors import UnwritableOutput
from restorekit.media.discover import Job

FOLDER = ".restorekit"  # hidden: no run takes it for pictures


class Records:
    """One line of JSON for every finished result, appended after the result is in its place.

    A result counts as done if it is there with the size that was written, made from the same input (size and time of
    its last change) with the same signature. A run killed between the result and its line does that one again.

    Args:
        out: the output folder; nothing is written before `open`.
        signature: all that decides how a result looks: model, weights, precision, tiles.
    """

    def __init__(self, out: Path, signature: dict[str, Any]) -> None:
        self.out, self.signature = out, signature
        self.path = out / FOLDER / "records.jsonl"
        self.known: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                    self.known[record["output"]] = record
                except (ValueError, KeyError, TypeError):
                    continue  # the last line of a killed run may be cut off

    def open(self) -> None:
        """Make the folder and see that it can be written to.

        Raises:
            UnwritableOutput: it cannot.
        """
        self._append("")

    def is_done(self, job: Job) -> bool:
        """Whether this job's result is there and still what a new run would make."""
        return self.known.get(job.relative.as_posix(), {}) == self._record(job)

    def add(self, job: Job) -> None:
        """Remember a result that has just been put into its place.

        Raises:
            UnwritableOutput: it cannot be noted; the result itself stays.
        """
        self._append(json.dumps(self._record(job), sort_keys=True) + "\n")

    def _record(self, job: Job) -> dict[str, Any] | None:
        try:
            source, output = job.source.stat(), (self.out / job.relative).stat()
        except OSError:
            return None
        return {
            "output": job.relative.as_posix(),
            "bytes": output.st_size,
            "source_bytes": source.st_size,
            "source_changed": source.st_mtime_ns,
            "signature": self.signature,
        }

    def _append(self, line: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise UnwritableOutput(
                f"Nothing can be written here ({error.strerror}).", "Choose another place with --out.", self.out
            ) from None
