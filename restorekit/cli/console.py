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
    from restorekit.pipeline.report import RunSummary, Status

out = Console()
WIDE = 200  # columns that the widest table needs
err = Console(stderr=True)
ENDS: tuple[Status, ...] = ("done", "skipped", "failed")


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


def summary(run: RunSummary) -> None:
    """The table at the end of a run of `restore_folder`."""
    done = [result for result in run.results if result.status == "done"]
    infos = [result.info for result in done if result.info]
    megapixels, seconds = sum(result.megapixels for result in done), sum(result.seconds for result in done)
    if run.count("planned"):
        columns, cells = ["planned", "skipped"], [str(run.count("planned")), str(run.count("skipped"))]
    else:
        rate = f"{megapixels / seconds:.2f}" if seconds else "-"
        columns = ["planned", "done", "skipped", "failed", "megapixels", "time", "MP/s in the network"]
        cells = [str(run.planned), *(str(run.count(status)) for status in ENDS), f"{megapixels:.1f}"]
        cells += [f"{run.seconds:.1f} s", rate]
    table = Table()
    for column in columns:
        table.add_column(column, justify="right")
    table.add_row(*cells)
    out.print(table)
    failed = [result for result in run.results if result.status == "failed"]
    if failed:
        rows = ((str(result.source), result.reason, result.hint) for result in failed)
        out.print(listing("Failed", ("file", "reason", "hint"), rows))
    for reason, count in Counter(info.approximation for info in infos if info.approximation).items():
        say(f"{count} of {len(done)} images are approximations: {reason}.")
    for loss, count in Counter(loss for result in done for loss in result.lost).items():
        say(f"Metadata of {count} of {len(done)} images: {loss}.")
    if redone := sum(info.redone for info in infos):
        say(f"{redone} tiles were not finite in {run.info.precision} and ran again in float32.")
    if halvings := sum(info.halvings for info in infos):
        say(f"The tiles were halved {halvings} times to fit into the memory of {run.info.device}.")


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
