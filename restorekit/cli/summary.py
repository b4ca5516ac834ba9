"""The tables at the end of a run over many files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from restorekit.cli.console import say
from restorekit.cli.tables import Column, print_table, terminal_width

if TYPE_CHECKING:
    from restorekit.pipeline.report import RunSummary
    from restorekit.runtime.progress import Status

MOST_WARNINGS = 10  # of one video
ENDS: tuple[Status, ...] = ("done", "skipped", "failed")


def print_counts(planned: int, count: Callable[[Status], int], *more: tuple[str, str]) -> None:
    """How a run ended: planned = done + skipped + failed.

    Args:
        planned: items of the run.
        count: tells how many ended in a way.
        more: further columns, header and cell.
    """
    cells = [("planned", str(planned)), *((status, str(count(status))) for status in ENDS), *more]
    columns = [Column(header, justify="right", optional=header not in ("planned", *ENDS)) for header, _ in cells]
    print_table("", columns, [[cell for _, cell in cells]], terminal_width())


def print_failures(rows: list[tuple[str, str]], what: str) -> None:
    """What failed, and why; nothing where nothing did."""
    if rows:
        print_table("Failed", [Column(what), Column("reason", wraps=True)], rows, terminal_width())


def print_summary(run: RunSummary) -> None:
    """What became of a run of `restore_folder`."""
    if run.count("planned"):
        cells = [str(run.count("planned")), str(run.count("skipped"))]
        print_table("", [Column("planned", "right"), Column("skipped", "right")], [cells], terminal_width())
        return
    done = [result for result in run.results if result.status == "done"]
    stills = [result for result in done if not result.frames]  # frames may repeat, or be there already
    infos = [result.info for result in done if result.info]
    megapixels, images = (sum(result.megapixels for result in some) for some in (done, stills))
    seconds = sum(result.seconds for result in stills)
    frames = sum(result.frames for result in done)
    videos = [("videos", str(sum(result.frames > 0 for result in done))), ("frames", str(frames))] if frames else []
    print_counts(
        run.planned,
        run.count,
        *videos,
        ("megapixels", f"{megapixels:.1f}"),
        ("time", f"{run.seconds:.1f} s"),
        *([("MP/s in the network", f"{images / seconds:.2f}")] if seconds else []),
    )
    failed = [result for result in run.results if result.status == "failed"]
    print_failures([(str(result.source), f"{result.reason} {result.hint}".rstrip()) for result in failed], "file")
    for reason, count in Counter(info.approximation for info in infos if info.approximation).items():
        say(f"{count} of {len(done)} results are approximations: {reason}.")
    for loss, count in Counter(loss for result in done for loss in result.lost).items():
        say(f"{count} of {len(done)} results could not keep all: {loss}.")
    for result in done:
        for warning in result.warnings[:MOST_WARNINGS]:
            say(f"{result.source}: {warning}.")
        if (more := len(result.warnings) - MOST_WARNINGS) > 0:
            say(f"{result.source}: {more} more such frames; --report lists them.")
    if repeated := sum(result.repeated for result in done):
        say(f"{repeated} of {frames} frames are equal to the one before and were computed once.")
    if redone := sum(info.redone for info in infos):
        say(f"{redone} tiles were not finite in {run.info.precision} and ran again in float32.")
    if halvings := sum(info.halvings for info in infos):
        say(f"The tiles were halved {halvings} times to fit into the memory of {run.info.device}.")
