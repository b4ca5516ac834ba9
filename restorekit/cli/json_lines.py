"""A run as lines of JSON on stderr, for programs that start restorekit: `--progress json`.

The schema is in the README; a change that readers must know of raises `VERSION`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from restorekit.cli.console import err, explain, with_flags
from restorekit.errors import ExitCode, RestorekitError

if TYPE_CHECKING:
    from restorekit.runtime.progress import Event, Work

VERSION = 1


class JsonLines:
    """Tells every event in one line, and nothing else is said on stderr. See `runtime.progress.Progress`."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._amount = self._left = 0.0
        self._ended = False

    def __enter__(self) -> Self:
        err.quiet = True  # until the command ends: see cli.app.main
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ended or error is None:
            return
        if isinstance(error, OSError):
            error = explain(error) or error
        if isinstance(error, RestorekitError):
            path = {} if error.path is None else {"path": str(error.path)}
            self._end(error.exit_code, reason=with_flags(error.reason), hint=with_flags(error.hint), **path)
        elif isinstance(error, KeyboardInterrupt):
            self._end(ExitCode.INTERRUPTED)
        else:
            self._end(ExitCode.FAILURE, reason=f"Unexpected {type(error).__name__}: {error}")

    def begin(self, work: Work) -> None:
        """The run begins, or another part of it."""
        self._counts["planned"] += work.items
        self._amount, self._left = 0.0, work.amount
        self._write("planned", items=work.items, left=round(work.amount, 6), unit=work.unit, what=work.description)

    def step(self, event: Event) -> None:
        """Something has moved on."""
        self._counts[event.status] += event.items
        self._amount += event.amount
        self._left = max(0.0, self._left - event.amount) if event.left is None else event.left
        more: dict[str, str] = {}
        for name in ("output", "reason", "hint", "doubt"):
            if value := getattr(event.detail, name, ""):
                more[name] = str(value) if name == "output" else with_flags(str(value))
        if event.part:
            more["part"] = event.part
        name = "progress" if event.status == "done" and not event.items else event.status
        self._write(name, item=event.key, amount=round(self._amount, 6), left=round(self._left, 6), **more)

    def end(self, summary: object) -> None:
        """The run is over."""
        self._end(getattr(summary, "exit_code", ExitCode.OK))

    def _end(self, code: ExitCode, **more: str) -> None:
        self._ended = True
        counts = {name: self._counts[name] for name in ("planned", "done", "skipped", "failed")}
        self._write("summary", exit_code=int(code), **counts, **more)

    def _write(self, event: str, **fields: object) -> None:
        sys.stderr.write(json.dumps({"version": VERSION, "event": event, **fields}) + "\n")
        sys.stderr.flush()
