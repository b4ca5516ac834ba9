"""The progress bar of every command."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from restorekit.cli.console import err, printable, say, with_flags
from restorekit.cli.json_lines import JsonLines

if TYPE_CHECKING:
    from restorekit.runtime.progress import Event, Work


class _Remaining(ProgressColumn):
    """Remaining time by the work that is really done: fast failures and skipped files do not make it look short."""

    def render(self, task: Task) -> Text:
        done, left = task.fields["amount"], task.fields["left"]
        if task.finished or not done or task.elapsed is None:
            return Text("-:--:--", style="progress.remaining")
        seconds = int(task.elapsed / done * left)
        return Text(f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}", style="progress.remaining")


def _shorten(note: str) -> str:
    """The end of a note, in a third of the terminal: a longer one would take the room of the remaining time."""
    most = err.width // 3
    return note if len(note) <= most else f"...{note[3 - most :]}"


def open_progress(kind: str, title: str) -> Bar | JsonLines:
    """What shows a run: a bar, or lines of JSON."""
    return JsonLines() if kind == "json" else Bar(title)


class Bar:
    """Shows a run: what does it, a bar, and every failure as soon as it happens. See `runtime.progress.Progress`.

    Nothing is drawn where stderr is no terminal; descriptions and failures are told there too.

    Args:
        title: what is being done, e.g. "Deblurring".
    """

    def __init__(self, title: str) -> None:
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("left"),
            _Remaining(),
            TextColumn("{task.fields[note]}", markup=False),
            console=err,
            disable=not err.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, rate="", note="", amount=0.0, left=0.0)
        self._unit, self._amount, self._left, self._begun = "", 0.0, 0.0, time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, work: Work) -> None:
        """The run begins, or another part of it."""
        if work.description:
            say(f"{work.description}.")
        self._unit, self._amount, self._left, self._begun = work.unit, 0.0, work.amount, time.monotonic()
        self._bar.reset(self._task, total=work.items, rate="", note="", amount=0.0, left=work.amount)

    def step(self, event: Event) -> None:
        """Something has moved on."""
        if event.left is not None:
            self._left = event.left
        if event.status == "started":
            return
        reason = getattr(event.detail, "reason", "")
        if event.status == "failed" and reason:
            told = with_flags(f"{reason} {getattr(event.detail, 'hint', '')}".rstrip())
            text = escape(printable(f"{event.key}: {told}"))
            err.print(f"[red]Failed:[/] {text}", highlight=False, soft_wrap=True)
        self._amount += event.amount
        if event.left is None:
            self._left = max(0.0, self._left - event.amount)
        rate = self._amount / max(time.monotonic() - self._begun, 1e-6)
        text = f"{rate:.2f} {self._unit}/s" if self._amount else ""
        note = (
            _shorten(printable(event.name)) if not event.items else ""
        )  # a part of an item, as a validation between steps
        self._bar.update(self._task, advance=event.items, amount=self._amount, left=self._left, rate=text, note=note)

    def end(self, summary: object) -> None:
        """The run is over; whoever called it shows the summary."""
