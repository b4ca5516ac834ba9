"""`restorekit sr`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import options
from restorekit.cli.pipes import Choices, is_piped, restore_piped
from restorekit.cli.progress import open_progress
from restorekit.cli.quiet import quiet_decoders
from restorekit.cli.stopping import stopped_by_signals
from restorekit.cli.summary import print_summary
from restorekit.errors import UsageError
from restorekit.media.limits import MOST_PIXELS


def sr(
    inputs: options.InputsOrPipe,
    out: options.Target = Path("restored"),
    model: Annotated[
        str, typer.Option(help="A system; see `restorekit models`. auto is the best that ships for the scale.")
    ] = "auto",
    scale: Annotated[
        int | None, typer.Option(min=1, help="Output pixels for one input pixel; by default that of the weights, or 4.")
    ] = None,
    outscale: Annotated[
        float | None,
        typer.Option(help="Any other factor, e.g. 2.7: the next larger network and one antialiased resize."),
    ] = None,
    size: Annotated[str | None, typer.Option(help="Size of every result instead of a factor, WIDTHxHEIGHT.")] = None,
    weights: options.Weights = "auto",
    config: options.Config = None,
    device: options.Device = "auto",
    precision: options.PrecisionOrInt8 = "auto",
    backend: options.Backend = None,
    provider: options.Provider = "cpu",
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    statistics: options.Statistics = "fast",
    batch: options.Batch = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    watch: options.Watch = False,
    compare: options.Compare = None,
    report: options.Report = None,
    max_pixels: options.MaxPixels = MOST_PIXELS,
    on_doubt: options.OnDoubt = "keep",
    codec: options.Codec = None,
    crf: options.Crf = None,
    preset: options.Preset = None,
    lossless: options.Lossless = False,
    frames: options.Frames = None,
    deinterlace: options.Deinterlace = False,
    fps: options.Fps = None,
    preview: options.Preview = 0,
    progress: options.ProgressKind = "bar",
) -> None:
    """Enlarge small images and videos (super-resolution).

    Reads PNG, JPEG, WebP, TIFF and BMP; writes the same format, depth, alpha
    and metadata. A second run does only what is missing. Inputs are never
    touched.

    - instead of a name takes one image from stdin; -o - writes it to stdout.

    Videos keep every frame's time, sound, subtitles and chapters; animations
    (GIF, WebP, APNG) their times, loops and alpha.
    """
    if sum(given is not None for given in (scale, outscale, size)) > 1:
        raise UsageError("--scale, --outscale and --size exclude each other.", "Give one of them.")
    from restorekit.inference.image import Size
    from restorekit.inference.settings import Settings
    from restorekit.models import registry
    from restorekit.pipeline.files import restore_folder
    from restorekit.weights.manifest import load_manifest

    width, height = options.size(size, "size", "1920x1080") if size else (0, 0)
    wanted = Size(factor=scale if outscale is None else outscale, pixels=(height, width) if size else None)
    with quiet_decoders(), open_progress(progress, "Enlarging") as told:
        model = model if model == "auto" else registry.resolve(model)
        if model == "auto":
            if weights != "auto":
                raise UsageError("--weights needs the --model that they are for.", "Add --model NAME.")
            entry = load_manifest().choose_upscaler(wanted.factor or 4)
            model, weights = entry.model, entry.tag
            network = None
        elif weights == "auto" and wanted.factor:
            network = load_manifest().choose_scale(model, wanted.factor)
        else:
            network = scale  # a file or a tag is for one scale, and says so if it is another
        choices: Choices = {
            "model": model,
            "weights": None if weights == "none" else weights,
            "scale": network,
            "task": "sr",
            "config": registry.parse_config(model, config or ()),
            "settings": Settings(device, precision, tile, overlap, statistics, batch, backend, provider),
            "size": wanted,
            "max_pixels": max_pixels,
            "on_doubt": on_doubt,
        }
        if is_piped(inputs, out, compare, report, dry_run, watch):
            restore_piped(inputs, out, choices, told)
            return
        with stopped_by_signals() as stop:
            run = restore_folder(
                inputs,
                out,
                **choices,
                overwrite=overwrite,
                dry_run=dry_run,
                watch=watch,
                compare=compare,
                report=report,
                video=options.video_settings(codec, crf, preset, lossless, frames, deinterlace, fps, preview),
                progress=told,
                stop=stop,
            )
    print_summary(run, tile)
    raise typer.Exit(run.exit_code)
