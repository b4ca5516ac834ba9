"""`restorekit benchmark`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorekit.cli import console, options
from restorekit.cli.progress import Bar
from restorekit.cli.tables import Column, print_table, print_wide, terminal_width
from restorekit.errors import UsageError

if TYPE_CHECKING:
    from restorekit.evaluation.result import BenchmarkResult
    from restorekit.evaluation.summary import TableRow


ROOMY = 120  # columns of a terminal that shows intervals too


def benchmark(
    protocol: Annotated[str, typer.Option(help="What to measure and how; see --list.")] = "",
    data: Annotated[Path | None, typer.Option(help="The set's folder, or any folder of pairs.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A system, or SYSTEM:WEIGHTS with a tag or file. May be repeated.")
    ] = None,
    restored: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER of images that something else restored. May be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results and report are written here.")] = Path("benchmark"),
    pairs: Annotated[
        tuple[Path, Path] | None, typer.Option(help="RESTORED SHARP: compare two folders, with no model.")
    ] = None,
    list_protocols: Annotated[bool, typer.Option("--list", help="Show the protocols.")] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Make the report of the results in --out again; nothing is measured.")
    ] = False,
    scale: Annotated[int, typer.Option(min=2, help="Enlargement, for super-resolution.")] = 4,
    metric: Annotated[
        list[str] | None, typer.Option(help="Beside PSNR and SSIM, e.g. ms-ssim, lpips, niqe. May be repeated.")
    ] = None,
    metric_weights: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of a metric's weights as safetensors, e.g. lpips=FOLDER. May be repeated."),
    ] = None,
    mos: Annotated[Path | None, typer.Option(help="A CSV file of opinions: image,method,rater,score.")] = None,
    baselines: Annotated[bool, typer.Option(help="Show classical methods beside the networks.")] = True,
    repeats: Annotated[int, typer.Option(min=0, help="Timed runs of each network; 0 leaves the speed out.")] = 3,
    shown: Annotated[int, typer.Option(min=0, help="Images that the report holds.")] = 8,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Reproduce a paper's table: restore a set, measure, show published rows.

    Writes results.json, results.csv and report.html, one self-contained page. A
    second run measures only what has changed.
    """
    if list_protocols:
        _list_protocols()
        return
    if report_only:
        from restorekit.evaluation.report import write_report

        console.show(str(write_report(out)))
        return
    from restorekit.evaluation.benchmark import run_benchmark
    from restorekit.evaluation.protocol import load_protocol
    from restorekit.evaluation.result import BenchmarkRequest
    from restorekit.inference.settings import Settings

    if pairs is not None:
        if data is not None or restored:
            raise UsageError("--pairs names its folders itself.", "Leave out --data and --restored.")
        data, restored, protocol = pairs[1], [f"{pairs[0].name or 'restored'}={pairs[0]}"], protocol or "pairs"
    if not protocol or data is None:
        raise UsageError(
            "--protocol and --data are needed.", "Or use --pairs RESTORED SHARP; --list shows the protocols."
        )
    chosen = load_protocol(protocol)
    request = BenchmarkRequest(
        chosen,
        data,
        models=tuple(model or ()),
        restored=_folders(restored, "restored"),
        sharp_only=pairs is not None and chosen.task == "deblur",
        baselines=baselines,
        scale=chosen.scale or scale,
        metrics=tuple(metric or ()),
        metric_weights=_folders(metric_weights, "metric-weights"),
        settings=Settings(device, precision),
        repeats=repeats,
        opinions=mos,
        shown=shown,
    )
    with Bar("Benchmark") as bar:
        result = run_benchmark(request, out, progress=bar)
    for subset in result.subsets:
        _print_scores(result, subset)
    if result.opinions:
        _print_opinions(result)
    for message in result.messages:
        console.say(message)
    failed = [(scores.item, scores.method, scores.error) for scores in result.scores if scores.error]
    if failed:
        print_table(
            "Failed", [Column("image"), Column("method"), Column("reason", wraps=True)], failed, terminal_width()
        )
    console.say(f"{result.done} of {len(result.scores)} scores were measured now, {result.skipped} remembered.")
    console.show(str(result.report))
    raise typer.Exit(result.exit_code)


def _list_protocols() -> None:
    from restorekit.evaluation.protocol import load_protocol, protocol_names

    protocols = [load_protocol(name) for name in protocol_names()]
    rows = [(protocol.name, protocol.task, protocol.title, protocol.source) for protocol in protocols]
    columns = [Column("name"), Column("task"), Column("what", wraps=True), Column("published rows", optional=True)]
    print_table("Protocols", columns, rows, terminal_width())


def _folders(entries: list[str] | None, option: str) -> dict[str, Path]:
    """Folders by name, of NAME=FOLDER."""
    folders: dict[str, Path] = {}
    for entry in entries or []:
        name, _, folder = entry.partition("=")
        if not (name and folder):
            raise UsageError(f"--{option} {entry} is not NAME=FOLDER.", f"Write it like --{option} theirs=results/.")
        if name in folders:
            raise UsageError(f"--{option} names '{name}' twice.", "Give each folder a name of its own.")
        folders[name] = Path(folder)
    return folders


def _print_scores(result: BenchmarkResult, subset: str) -> None:
    """A subset's table: our methods with their difference to what is printed, then every published row."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from restorekit.evaluation.summary import metric_label, table_metrics, table_rows
    from restorekit.metrics import METRICS

    rows = table_rows(result, subset)
    metrics = table_metrics(result)
    opinions = any("mos" in row.printed for row in rows)
    seconds = bool(result.speeds) or any("seconds" in row.printed for row in rows)
    width = terminal_width()
    wide = width is None or width >= ROOMY
    title = result.request.protocol.title + (f": {subset}" if subset != "all" else "")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("method", overflow="fold", min_width=16)
    headers = ["n"]
    for name in metrics:
        headers += [metric_label(name), *["95 %"] * (wide and name == "psnr")]
    headers += ["MOS"] * opinions + ["minus printed"] + ["s/image"] * seconds
    headers += ["MP/s", "peak MB", "parameters"] * (bool(result.speeds) and wide)
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    parameters = {method.name: method.parameters for method in result.methods}

    def cell(row: TableRow, name: str) -> str:
        if row.kind == "published":
            return _as_printed(row.printed.get(name), 3 if name == "ssim" else METRICS[name].decimals)
        return _number(row.scores[name].mean, METRICS[name].decimals) if name in row.scores else ""

    heading = ""
    for row in rows:
        if row.kind == "published" and row.table != heading:
            heading = row.table
            table.add_section()
            table.add_row(f"[italic]{escape(heading)}{' (other data)' if result.other_data else ''}")
        psnr = row.scores.get("psnr")
        speed = result.speeds.get(row.method) if row.kind != "published" else None
        cells = [escape(row.method), ""]
        if psnr is not None:
            cells[1] = f"{psnr.n}" + (f" + {psnr.infinite} inf" if psnr.infinite else "")
        for name in metrics:
            cells.append(cell(row, name))
            if wide and name == "psnr":
                cells.append(f"{psnr.low:.2f} to {psnr.high:.2f}" if psnr and math.isfinite(psnr.low) else "")
        if opinions:
            cells.append(_as_printed(row.printed.get("mos"), 2))
        gaps = ((name, row.minus_printed(name)) for name in ("psnr", "ssim"))
        cells.append(" / ".join(f"{gap:+.{METRICS[name].decimals}f}" for name, gap in gaps if gap is not None))
        if seconds:
            cells.append(f"{speed.seconds:.3f}" if speed else _number(row.printed.get("seconds"), 3))
        if speed and wide:
            count = parameters[row.method]
            cells += [f"{speed.megapixels_per_second:.2f}", f"{speed.peak_mb:.0f}", f"{count or 0:,}"]
        table.add_row(*cells, style="dim" if row.kind == "published" else None)
    print_wide(table)


def _print_opinions(result: BenchmarkResult) -> None:
    rows = [
        (one.method, str(one.n), f"{one.mean:.2f}", _number(one.std, 2), f"{one.low:.2f} to {one.high:.2f}")
        for one in result.opinions
    ]
    columns = [Column("method"), *(Column(header, justify="right") for header in ("n", "mean", "std", "95 %"))]
    print_table("Mean opinion scores", columns, rows, terminal_width())


def _as_printed(value: float | None, decimals: int) -> str:
    """At least so many decimals, and all that were printed."""
    text = _number(value, decimals)
    return text if value is None or float(text) == value else repr(value)


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{decimals}f}"
