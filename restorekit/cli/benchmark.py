"""`restorekit benchmark`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorekit.cli import console, options
from restorekit.errors import UsageError

if TYPE_CHECKING:
    from restorekit.evaluation.run import Outcome
    from restorekit.evaluation.summary import Row


ROOMY = 120  # columns of a terminal that shows intervals too


def benchmark(
    protocol: Annotated[str, typer.Option(help="What to measure and how; see --list.")] = "",
    data: Annotated[Path | None, typer.Option(help="The set's folder, or any folder of pairs.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A system, or SYSTEM:WEIGHTS with a tag or file. May be repeated.")
    ] = None,
    restored: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER of pictures that something else restored. May be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results and report are written here.")] = Path("benchmark"),
    pairs: Annotated[
        tuple[Path, Path] | None, typer.Option(help="RESTORED SHARP: compare two folders, with no model.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show the protocols.")] = False,
    scale: Annotated[int, typer.Option(min=2, help="Enlargement, for super-resolution.")] = 4,
    metric: Annotated[
        list[str] | None, typer.Option(help="Beside PSNR and SSIM: ms-ssim, lpips, niqe. May be repeated.")
    ] = None,
    lpips_weights: Annotated[
        Path | None, typer.Option(help="Folder with LPIPS' weights (AlexNet features and heads) as safetensors.")
    ] = None,
    mos: Annotated[Path | None, typer.Option(help="A CSV file of opinions: image,method,rater,score.")] = None,
    baselines: Annotated[bool, typer.Option(help="Show classical methods beside the networks.")] = True,
    repeats: Annotated[int, typer.Option(min=0, help="Timed runs of each network; 0 leaves the speed out.")] = 3,
    shown: Annotated[int, typer.Option(min=0, help="Pictures that the report holds.")] = 8,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Reproduce a paper's table: restore a set, measure, and show the published rows beside.

    Writes results.json, results.csv and report.html, one self-contained page. A second run measures only what has changed.
    """
    from restorekit.evaluation import report, summary
    from restorekit.evaluation.protocol import load_protocol, protocol_names
    from restorekit.evaluation.run import Benchmark, Request

    if listing:
        found = [load_protocol(name) for name in protocol_names()]
        rows = [(one.name, one.task, one.title, one.source) for one in found]
        console.wide(console.listing("Protocols", ("name", "task", "what", "published rows"), rows))
        return
    if pairs is not None:
        if data is not None or restored:
            raise UsageError("--pairs names its folders itself.", "Leave out --data and --restored.")
        data, restored, protocol = pairs[1], [f"{pairs[0].name or 'restored'}={pairs[0]}"], protocol or "pairs"
    if not protocol or data is None:
        raise UsageError(
            "--protocol and --data are needed.", "Or use --pairs RESTORED SHARP; --list shows the protocols."
        )
    chosen = load_protocol(protocol)
    request = Request(
        chosen,
        data,
        truths=pairs is not None and chosen.task == "deblur",
        models=tuple(model or ()),
        restored=tuple(_named(text) for text in restored or ()),
        baselines=baselines,
        scale=scale,
        extras=tuple(metric or ()),
        lpips_weights=lpips_weights,
        settings={
            "device": device,
            "precision": options.one_of(precision, "precision", ("auto", "fp32", "bf16", "fp16")),
        },
        repeats=repeats,
        opinions=mos,
    )
    run = Benchmark(request, out)
    with console.Bar("Measuring") as bar:
        outcome = run.run(
            start=lambda count: bar.expect(count, count),
            watch=lambda score, measured: bar.advance(measured, "scores"),
        )
    page = report.write(run, outcome, summary.write(outcome, out), shown)
    for part in outcome.sets:
        _table(outcome, part)
    if outcome.opinions:
        _opinions(outcome)
    for message in outcome.messages:
        console.say(message)
    failed = [(one.name, one.method, one.error) for one in outcome.scores if one.error]
    if failed:
        console.out.print(console.listing("Failed", ("picture", "method", "reason"), failed))
    console.say(f"{outcome.measured} of {len(outcome.scores)} scores were measured now, the others remembered.")
    console.out.print(f"{page}", soft_wrap=True)
    raise typer.Exit(outcome.exit_code)


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise UsageError(f"--restored {text} is not NAME=FOLDER.", "Write it like --restored theirs=results/.")
    return name, Path(folder)


def _table(outcome: Outcome, part: str) -> None:
    """One set's table: our methods with their difference to what is printed, then every published row."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from restorekit.evaluation.summary import DECIMALS, gap, rows

    found = rows(outcome, part)
    extras = [name for name in outcome.metrics if name not in ("psnr", "ssim", "mse")]
    printed = [name for name in ("mos", "seconds") if any(name in row.printed for row in found)]
    timed = bool(outcome.speeds)
    wide = console.out.width >= ROOMY or not console.out.is_terminal
    title = outcome.request.protocol.title + (f": {part}" if part != "all" else "")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("method", overflow="fold", min_width=16)
    columns = ["n", "PSNR dB", *["95 %"] * wide, "SSIM", *extras, *["MOS"] * ("mos" in printed), "minus printed"]
    columns += ["s/picture"] * (timed or "seconds" in printed) + ["MP/s", "peak MB", "parameters"] * timed
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    facts = {one.name: one.facts for one in outcome.methods}
    heading = ""
    for row in found:
        if row.kind == "published" and row.table != heading:
            heading = row.table
            table.add_section()
            table.add_row(f"[italic]{escape(heading)}{' (other data)' if outcome.other_data else ''}")
        psnr, speed = row.scores.get("psnr"), outcome.speeds.get(row.method) if row.kind != "published" else None

        def value(name: str, row: Row = row) -> str:
            if row.kind == "published":
                return _as_printed(row.printed.get(name), 3 if name == "ssim" else DECIMALS[name])
            return _number(row.scores[name].mean, DECIMALS[name]) if name in row.scores else ""

        count = "" if psnr is None else f"{psnr.n}" + (f" + {psnr.infinite} inf" if psnr.infinite else "")
        interval = f"{psnr.low:.2f} to {psnr.high:.2f}" if psnr is not None and math.isfinite(psnr.low) else ""
        gaps = [f"{apart:+.{DECIMALS[name]}f}" for name in ("psnr", "ssim") if (apart := gap(row, name)) is not None]
        cells = [escape(row.method), count, value("psnr"), *[interval] * wide, value("ssim"), *map(value, extras)]
        cells += [value("mos")] * ("mos" in printed) + [" / ".join(gaps)]
        if timed or "seconds" in printed:
            cells.append(f"{speed.seconds:.3f}" if speed else _number(row.printed.get("seconds"), 3))
        if speed:
            count = f"{facts[row.method]['parameters']:,}"
            cells += [f"{speed.megapixels / speed.seconds:.2f}", f"{speed.peak_mb:.0f}", count]
        table.add_row(*cells, style="dim" if row.kind == "published" else None)
    console.wide(table)


def _opinions(outcome: Outcome) -> None:
    lines = [
        (one.method, str(one.n), f"{one.mean:.2f}", _number(one.std, 2), f"{one.low:.2f} to {one.high:.2f}")
        for one in outcome.opinions
    ]
    console.out.print(console.listing("Mean opinion scores", ("method", "n", "mean", "std", "95 %"), lines))


def _as_printed(value: float | None, places: int) -> str:
    """At least so many decimals, and all that were printed."""
    text = _number(value, places)
    return text if value is None or float(text) == value else repr(value)


def _number(value: float | None, places: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{places}f}"
