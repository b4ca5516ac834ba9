"""What the user sees: messages and progress on stderr, results on stdout."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from restorekit.errors import RestorekitError

if TYPE_CHECKING:
    from restorekit.pipeline.folder import Outcome, Summary

out = Console()
WIDE = 200  # columns that the widest table needs
err = Console(stderr=True)


def say(message: str) -> None:
    """A message on stderr."""
    err.print(escape(message), highlight=False, soft_wrap=True)


def show(text: str) -> None:
    """A result on stdout; long addresses stay in one piece."""
    out.print(escape(text), highlight=False, soft_wrap=True)


def problem(error: RestorekitError) -> None:
    """An error: file, reason, hint."""
    err.print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)


class _Remaining(ProgressColumn):
    """Remaining time by the work that is really done: fast failures and skipped files do not make it look short."""

    def render(self, task: Task) -> Text:
        done, total = task.fields.get("work", 0.0), task.fields.get("work_total", 0.0)
        elapsed = task.elapsed or 0.0
        if task.finished or not done or not total:
            return Text("-:--:--", style="progress.remaining")
        left = int(elapsed / done * (total - done))
        return Text(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}", style="progress.remaining")


class Bar:
    """A progress bar over files whose remaining time goes by work; nothing is drawn where stderr is no terminal.

    Args:
        what: what is being done, e.g. "Restoring".
    """

    def __init__(self, what: str) -> None:
        self.progress = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("left"),
            _Remaining(),
            console=err,
            disable=not err.is_terminal,
            transient=True,
        )
        self.task = self.progress.add_task(what, total=None, rate="", work=0.0, work_total=0.0)
        self.begun = time.monotonic()
        self.work = 0.0

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def expect(self, count: int, work: float) -> None:
        """Say how much there is: files, and work in whatever unit `advance` uses."""
        self.begun = time.monotonic()
        self.progress.reset(self.task, total=count, work_total=work)

    def advance(self, work: float, unit: str, count: float = 1) -> None:
        """So many files more (or megabytes of one), and the work that was in them."""
        self.work += work
        rate = self.work / max(time.monotonic() - self.begun, 1e-6)
        self.progress.update(self.task, advance=count, work=self.work, rate=f"{rate:.2f} {unit}/s" if self.work else "")


class RestoreWatcher:
    """Shows a run of `restore_folder`: a bar, and every failure as soon as it happens."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def start(self, summary: Summary, megapixels: float) -> None:
        """The run begins."""
        say(f"{summary.model} ({summary.weights} weights) on {summary.device}, {summary.precision}.")
        self.bar.expect(summary.planned, megapixels)

    def finish(self, outcome: Outcome) -> None:
        """One picture is done, skipped or failed."""
        if outcome.status == "failed":
            err.print(f"[red]Failed:[/] {escape(f'{outcome.source}: {outcome.reason} {outcome.hint}')}", soft_wrap=True)
        self.bar.advance(outcome.megapixels, "MP")


def summary(found: Summary, dry_run: bool) -> None:
    """The table at the end of a run."""
    done = [outcome for outcome in found.outcomes if outcome.status == "done"]
    megapixels, seconds = sum(one.megapixels for one in done), sum(one.seconds for one in done)
    table = Table(title="Would be done" if dry_run else None, title_justify="left")
    for column in ("planned", "done", "skipped", "failed"):
        table.add_column(column, justify="right")
    counts = [str(found.count(status)) for status in ("done", "skipped", "failed")]
    if dry_run:
        table.columns[1].header = "to do"
        table.add_row(str(found.planned), *counts)
    else:
        for column in ("megapixels", "time", "MP/s in the network"):
            table.add_column(column, justify="right")
        rate = f"{megapixels / seconds:.2f}" if seconds else "-"
        table.add_row(str(found.planned), *counts, f"{megapixels:.1f}", f"{found.seconds:.1f} s", rate)
    out.print(table)
    failed = [outcome for outcome in found.outcomes if outcome.status == "failed"]
    if failed:
        rows = ((str(one.source), one.reason, one.hint) for one in failed)
        out.print(listing("Failed", ("file", "reason", "hint"), rows))
    redone = sum(one.notes.redone for one in done if one.notes)
    halvings = sum(one.notes.halvings for one in done if one.notes)
    reasons = Counter(one.notes.approximation for one in done if one.notes and one.notes.approximation)
    for reason, count in reasons.items():
        say(f"{count} of {len(done)} pictures are approximations: {reason}.")
    if redone:
        say(f"{redone} tiles were not finite in {found.precision} and ran again in float32.")
    if halvings:
        say(f"The tiles were halved {halvings} times to fit into the memory of {found.device}.")


def wide(table: Table) -> None:
    """Print a table; where stdout is no terminal it gets all the columns it needs."""
    (out if out.is_terminal else Console(file=out.file, width=WIDE)).print(table)


def listing(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A plain table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
