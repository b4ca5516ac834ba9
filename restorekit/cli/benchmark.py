"""`restorekit benchmark`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorekit.cli import console, options
from restorekit.cli.progress import open_progress
from restorekit.cli.tables import Column, print_table, terminal_width
from restorekit.errors import UsageError

if TYPE_CHECKING:
    from restorekit.evaluation.preparation import Box
    from restorekit.evaluation.result import BenchmarkResult
    from restorekit.evaluation.summary import TableRow


def benchmark(
    protocol: Annotated[str, typer.Option(help="What to measure and how; see --list.")] = "",
    data: Annotated[Path | None, typer.Option(help="The set's folder, or any folder of pairs.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="SYSTEM or SYSTEM:WEIGHTS, a tag or file; LABEL=SYSTEM:WEIGHTS names the row. May be repeated."
        ),
    ] = None,
    restored: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER of images that something else restored. May be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results and report are written here.")] = Path("benchmark"),
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="RESTORED SHARP: compare two folders, with no model; or two videos, frame by frame, and others that "
            "--restored NAME=VIDEO names, e.g. the input."
        ),
    ] = None,
    list_protocols: Annotated[bool, typer.Option("--list", help="Show the protocols.")] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Make the report of the results in --out again; nothing is measured.")
    ] = False,
    scale: Annotated[
        int | None, typer.Option(min=2, help="Enlargement, for super-resolution; by default the protocol's, or 4.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Beside PSNR and SSIM, e.g. ms-ssim, lpips, niqe. May be repeated.")
    ] = None,
    metric_weights: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of a metric's weights as safetensors, e.g. lpips=FOLDER. May be repeated."),
    ] = None,
    mos: Annotated[
        Path | None, typer.Option(help="Opinions: a CSV file (image, method, rater, score), or a folder of them.")
    ] = None,
    rating_sheet: Annotated[
        bool,
        typer.Option(
            "--rating-sheet", help="Write a page on which raters score the report's images for --mos, blindly."
        ),
    ] = False,
    figure: Annotated[
        bool, typer.Option("--figure", help="Write the report's figure, images by methods, as figure.png too.")
    ] = False,
    figure_box: Annotated[
        str,
        typer.Option(
            metavar="LEFT:TOP:WIDTH", help="What the figure enlarges, in px; by default where methods differ."
        ),
    ] = "",
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help="Leave classical methods out.")] = False,
    repeats: Annotated[int, typer.Option(min=0, help="Timed runs of each network; 0 leaves the speed out.")] = 3,
    shown: Annotated[int, typer.Option(min=0, help="Images that the report holds.")] = 8,
    allow_training_data: Annotated[
        bool, typer.Option("--allow-training-data", help="Measure networks on what they were trained on, too.")
    ] = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    progress: options.ProgressKind = "bar",
) -> None:
    """Reproduce a paper's table: restore a set, measure, show published rows.

    Writes results.json, results.csv and report.html, one self-contained page. A
    second run measures only what has changed.
    """
    if list_protocols:
        _list_protocols()
        return
    box = _box(figure_box) if figure_box else None
    if report_only:
        if mos is not None:  # a report with the opinions of an earlier run would look as if these were in it
            raise UsageError(
                "--report-only shows the opinions that are kept and reads no others.",
                "Leave out --report-only: what is measured is remembered.",
            )
        from restorekit.evaluation.report import write_report

        console.show(str(write_report(out, box)))
        _write_extras(out, rating_sheet, figure, box)
        return
    from restorekit.evaluation.benchmark import run_benchmark
    from restorekit.evaluation.protocol import load_protocol
    from restorekit.evaluation.result import BenchmarkRequest
    from restorekit.inference.settings import Settings

    if pairs is not None:
        if data is None and not model and all(path.is_file() for path in pairs):
            _refuse_of_videos(
                {
                    "--figure": figure,
                    "--figure-box": figure_box,
                    "--metric": metric,
                    "--metric-weights": metric_weights,
                    "--mos": mos,
                    "--rating-sheet": rating_sheet,
                }
            )
            folders = {"restored": pairs[0], **_folders(restored, "restored")}
            _compare_videos(folders, pairs[1], protocol or "pairs", out, progress)
            return
        if any(path.is_file() for path in pairs):
            raise UsageError(
                "--pairs compares two folders, or two videos without --data and --model.", "Name two alike."
            )
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
        baselines=not no_baselines,
        scale=scale or chosen.scale or 4,
        metrics=tuple(metric or ()),
        metric_weights=_folders(metric_weights, "metric-weights", "lpips=weights/"),
        settings=Settings(device, precision),
        repeats=repeats,
        opinions=mos,
        shown=shown,
        box=box,
        allow_training_data=allow_training_data,
    )
    with open_progress(progress, "Benchmark") as told:
        result = run_benchmark(request, out, progress=told)
    for subset in result.subsets:
        _print_scores(result, subset)
    if result.speeds:
        _print_speeds(result)
    if result.opinions:
        _print_opinions(result)
    for message in result.messages:
        console.say(message)
    failed = [
        (scores.item, scores.method, console.with_flags(scores.reason)) for scores in result.scores if scores.reason
    ]
    if failed:
        print_table(
            "Failed", [Column("image"), Column("method"), Column("reason", wraps=True)], failed, terminal_width()
        )
    console.say(f"{result.done} of {len(result.scores)} scores were measured now, {result.skipped} remembered.")
    console.show(str(result.report))
    _write_extras(out, rating_sheet, figure, box)
    raise typer.Exit(result.exit_code)


def _refuse_of_videos(given: dict[str, object]) -> None:
    """Options of images, by their names: a comparison of videos without what was asked for would look complete."""
    names = ", ".join(name for name, value in given.items() if value)
    if names:
        raise UsageError(
            f"Videos are compared without {names}.",
            "Leave that out, or compare folders of their frames: `deblur clip.mp4 -o frames/%06d.png` writes them.",
        )


def _compare_videos(restored: dict[str, Path], sharp: Path, protocol: str, out: Path, progress: str) -> None:
    from restorekit.evaluation.protocol import load_protocol
    from restorekit.evaluation.videos import MEASURES, compare_videos

    with open_progress(progress, "Benchmark") as told:
        comparison = compare_videos(restored, sharp, load_protocol(protocol), out, told)
    columns = [Column("video"), *(Column(title, "right") for title, _ in MEASURES.values())]
    cells = [
        [name, *(_number(comparison.mean(name, measure), places) for measure, (_, places) in MEASURES.items())]
        for name in restored
    ]
    print_table(f"Compared with {sharp.name}", columns, cells, terminal_width())
    console.show(str(comparison.report))


def _box(text: str) -> Box:
    from restorekit.evaluation.preparation import Box

    try:
        left, top, width = map(int, text.split(":"))
    except ValueError:
        raise UsageError(
            f"--figure-box {text} is not LEFT:TOP:WIDTH.", "Write it like --figure-box 40:60:80."
        ) from None
    if min(left, top) < 0 or width < 1:
        raise UsageError(f"--figure-box {text} is no part of an image.", "Write it like --figure-box 40:60:80.")
    return Box(left, top, width)


def _write_extras(out: Path, rating_sheet: bool, figure: bool, box: Box | None) -> None:
    """Write what was asked for beside the report."""
    if figure:
        from restorekit.evaluation.figure import write_figure

        console.show(str(write_figure(out, box)))
    if rating_sheet:
        from restorekit.evaluation.rating_sheet import write_rating_sheet

        console.show(str(write_rating_sheet(out)))


def _list_protocols() -> None:
    from restorekit.evaluation.protocol import load_protocol, protocol_names

    protocols = [load_protocol(name) for name in protocol_names()]
    rows = [(protocol.name, protocol.task, protocol.title, protocol.source) for protocol in protocols]
    columns = [Column("name"), Column("task"), Column("what", wraps=True), Column("published rows", optional=True)]
    print_table("Protocols", columns, rows, terminal_width())


def _folders(entries: list[str] | None, option: str, example: str = "theirs=results/") -> dict[str, Path]:
    """Folders by name, of NAME=FOLDER."""
    folders: dict[str, Path] = {}
    for entry in entries or []:
        name, _, folder = entry.partition("=")
        if not (name and folder):
            raise UsageError(f"--{option} {entry} is not NAME=FOLDER.", f"Write it like --{option} {example}.")
        if name in folders:
            raise UsageError(f"--{option} names '{name}' twice.", "Give each folder a name of its own.")
        folders[name] = Path(folder)
    return folders


def _print_scores(result: BenchmarkResult, subset: str) -> None:
    """A subset's tables: scores beside what is printed, then the metrics that no paper prints."""
    from restorekit.evaluation.summary import metric_label, table_metrics, table_rows

    rows = table_rows(result, subset)
    title = result.request.protocol.title + (f": {subset}" if subset != "all" else "")
    _print_beside_published(title, rows, result)
    extras = [name for name in table_metrics(result) if name not in ("psnr", "ssim")]
    if extras:
        columns = [Column("method"), *(Column(metric_label(name), "right") for name in extras)]
        cells = [[row.method, *(_score(row, name) for name in extras)] for row in rows if row.scores]
        print_table("Other metrics", columns, cells, terminal_width())


def _print_beside_published(title: str, rows: list[TableRow], result: BenchmarkResult) -> None:
    """PSNR and SSIM of our methods, with their difference to what is printed, then every published row."""
    from restorekit.evaluation.summary import metric_label
    from restorekit.metrics import METRICS

    sources = list(dict.fromkeys(row.table for row in rows if row.kind == "published"))
    timed = any("seconds" in row.printed for row in rows)
    columns = [
        Column("method"),
        Column("n", "right"),
        Column(metric_label("psnr"), "right"),
        Column("95 %", "right", optional=True),
        Column(metric_label("ssim"), "right"),
        Column("MOS", "right"),
        Column("s/image", "right"),
        Column("s/epoch", "right"),
        Column("minus printed", "right"),
        Column("from"),
    ]
    cells = []
    for row in rows:
        psnr = row.scores.get("psnr")
        count = "" if psnr is None else f"{psnr.n}" + (f" + {psnr.infinite} inf" if psnr.infinite else "")
        interval = "" if psnr is None else _interval(psnr.low, psnr.high)
        gaps = ((name, row.minus_printed(name)) for name in ("psnr", "ssim"))
        minus = " / ".join(f"{gap:+.{METRICS[name].decimals}f}" for name, gap in gaps if gap is not None)
        published = row.printed if row.kind == "published" else {}
        mos = _as_printed(published.get("mos"), 2) if row.opinion is None else _number(row.opinion.mean, 2)
        seconds = _as_printed(published.get("seconds"), 1)
        epoch = _as_printed(published.get("epoch_seconds", row.epoch_seconds), 0)
        if timed and (speed := result.speeds.get(row.method)) is not None and row.kind != "published":
            seconds = f"{speed.seconds:.3f}"
        source = f"[{sources.index(row.table) + 1}]" if row.kind == "published" else "here"
        cells.append(
            [row.method, count, _score(row, "psnr"), interval, _score(row, "ssim"), mos, seconds, epoch, minus, source]
        )
    filled = [at for at, column in enumerate(columns) if any(row[at] for row in cells)]
    print_table(title, [columns[at] for at in filled], [[row[at] for at in filled] for row in cells], terminal_width())
    for number, source in enumerate(sources, start=1):
        console.show(f"[{number}] {source}{' (other data)' if result.other_data else ''}")


def _print_speeds(result: BenchmarkResult) -> None:
    columns = [Column("method"), *(Column(head, "right") for head in ("s/image", "MP/s", "peak MB", "parameters"))]
    cells = []
    for method in result.methods:
        if (speed := result.speeds.get(method.name)) is not None:
            rate, peak = f"{speed.megapixels_per_second:.2f}", f"{speed.peak_mb:.0f}"
            cells.append([method.name, f"{speed.seconds:.3f}", rate, peak, f"{method.parameters or 0:,}"])
    print_table("Speed of this machine", columns, cells, terminal_width())


def _score(row: TableRow, metric: str) -> str:
    """A mean of ours, or what is printed."""
    from restorekit.metrics import METRICS

    decimals = METRICS[metric].decimals
    if row.kind == "published":
        return _as_printed(row.printed.get(metric), 3 if metric == "ssim" else decimals)
    return _number(row.scores[metric].mean, decimals) if metric in row.scores else ""


def _print_opinions(result: BenchmarkResult) -> None:
    rows = [
        (
            opinion.method,
            opinion.subset,
            str(opinion.n),
            f"{opinion.mean:.2f}",
            _number(opinion.std, 2),
            _interval(opinion.low, opinion.high),
        )
        for opinion in result.opinions
        if not opinion.item
    ]
    columns = [
        Column("method"),
        Column("set"),
        *(Column(header, justify="right") for header in ("n", "mean", "std", "95 %")),
    ]
    print_table("Mean opinion scores", columns, rows, terminal_width())


def _interval(low: float, high: float) -> str:
    return f"{low:.2f} to {high:.2f}" if math.isfinite(low) else ""


def _as_printed(value: float | None, decimals: int) -> str:
    """At least so many decimals, and all that were printed."""
    text = _number(value, decimals)
    return text if value is None or float(text) == value else repr(value)


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{decimals}f}"
