"""The tables at the end of a run over many files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from restorekit.cli.console import say, with_flags
from restorekit.cli.tables import Column, print_table, terminal_width

if TYPE_CHECKING:
    from restorekit.pipeline.report import FileResult, RunSummary
    from restorekit.runtime.progress import Status

MOST_WARNINGS = 10  # of one video
MOST_SURPLUS = 0.5
GOOD_TILE = 8  # overlaps; 1 - (6/8)^2 = 44 % of such a tile lie in them
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
        told = [(item, with_flags(reason)) for item, reason in rows]
        print_table("Failed", [Column(what), Column("reason", wraps=True)], told, terminal_width())


def print_summary(run: RunSummary, tile: int | None) -> None:
    """What became of a run of `restore_folder`, which may have been asked for tiles of that side."""
    if run.count("planned"):
        cells = [str(run.count("planned")), str(run.count("skipped"))]
        print_table("", [Column("planned", "right"), Column("skipped", "right")], [cells], terminal_width())
        return
    numbers, approximations, losses = Counter[str](), Counter[str](), Counter[str]()
    failed: list[tuple[str, str]] = []
    doubtful: list[tuple[str, str]] = []
    warned: list[FileResult] = []
    surplus, overlap = 0.0, 0
    megapixels = images = seconds = 0.0
    for result in run.results:  # made one by one: there may be a hundred thousand
        if result.status == "failed":
            failed.append((str(result.source), f"{result.reason} {result.hint}".rstrip()))
        if result.doubt:  # of results of earlier runs too
            doubtful.append((str(result.source), f"{result.doubt}."))
        if result.status != "done":
            continue
        megapixels += result.megapixels
        if not result.frames:  # frames may repeat, or be there already
            images, seconds = images + result.megapixels, seconds + result.seconds
        numbers.update(videos=int(result.frames > 0), frames=result.frames, repeated=result.repeated)
        losses.update(result.lost)
        if result.warnings:
            warned.append(result)
        if result.info:
            numbers.update(redone=result.info.redone, halvings=result.info.halvings)
            surplus, overlap = max((surplus, overlap), (result.info.surplus, result.info.overlap))
            approximations.update(filter(None, [result.info.approximation]))
    done = run.count("done")
    print_counts(
        run.planned,
        run.count,
        *([(name, str(numbers[name])) for name in ("videos", "frames")] if numbers["frames"] else []),
        ("megapixels", f"{megapixels:.1f}"),
        ("time", f"{run.seconds:.1f} s"),
        *([("MP/s in the network", f"{images / seconds:.2f}")] if seconds else []),
    )
    print_failures(failed, "file")
    if doubtful:
        print_table("Doubtful", [Column("file"), Column("the result", wraps=True)], doubtful, terminal_width())
    for reason, count in approximations.items():
        say(f"{count} of {done} results are approximations: {with_flags(reason)}.")
    for loss, count in losses.items():
        say(f"{count} of {done} results could not keep all: {loss}.")
    for result in warned:
        for warning in result.warnings[:MOST_WARNINGS]:
            say(f"{result.source}: {with_flags(warning)}.")
        if (more := len(result.warnings) - MOST_WARNINGS) > 0:
            say(f"{result.source}: {more} more such frames; --report lists them.")
    if repeated := numbers["repeated"]:
        say(f"{repeated} of {numbers['frames']} frames are equal to the one before and were computed once.")
    if redone := numbers["redone"]:
        say(f"{redone} tiles were not finite in {run.info.precision} and ran again in float32.")
    if tile and not numbers["halvings"] and surplus > MOST_SURPLUS:
        say(
            f"--tile {tile} is small for {run.info.model}: up to {100 * surplus:.0f} % of what it computed lay in the "
            f"tiles' overlaps. --tile {GOOD_TILE * overlap}, or none, is faster."
        )
    if halvings := numbers["halvings"]:
        say(f"The tiles were halved {halvings} times to fit into the memory of {run.info.device}.")


def print_stronger(run: RunSummary) -> None:
    """One line about stronger weights, where there are some to fetch and most results are blurred still."""
    from restorekit.pipeline.left_blur import count_left_blurred
    from restorekit.weights.manifest import load_manifest

    entry = load_manifest().stronger(run.info.model, run.info.weights)
    if entry is None:
        return
    blurred, looked = count_left_blurred(run)
    if 2 * blurred > looked:
        say(
            f"{blurred} of {looked} results that were looked at are blurred still. For a stronger, slower network: "
            f"`restorekit models fetch {entry.model}`, then --model {entry.model}."
        )
