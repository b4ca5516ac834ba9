"""`restorekit deblur`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import options
from restorekit.cli.pipes import Choices, is_piped, restore_piped
from restorekit.cli.progress import open_progress
from restorekit.cli.quiet import quiet_decoders
from restorekit.cli.stopping import stopped_by_signals
from restorekit.cli.summary import print_stronger, print_summary
from restorekit.errors import UsageError
from restorekit.media.limits import MOST_PIXELS


def deblur(
    inputs: options.InputsOrPipe,
    out: options.Target = Path("restored"),
    model: Annotated[
        str | None,
        typer.Option(
            help="A system; see `restorekit models`. By default gggan-lite; with --kernel tv.", show_default=False
        ),
    ] = None,
    kernel: Annotated[
        Path | None,
        typer.Option(
            help="What blurred the images, for tv, epll, hyper-laplacian, wiener, richardson-lucy and systems that find a "
            "blur: a PSF (PNG, TIFF, .npy), a motion field or grid of PSFs as --blur-out writes it, a folder of such "
            "files with the images' names, or the pairs.jsonl of synth-blur."
        ),
    ] = None,
    blur_out: Annotated[
        Path | None,
        typer.Option(help="Write each image's blur to this folder: a TIFF that --kernel takes, and a picture of it."),
    ] = None,
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
    """Sharpen blurred images and videos.

    Reads PNG, JPEG, WebP, TIFF and BMP; writes the same format, depth and
    metadata. A second run does only what is missing. Inputs are never touched.

    - instead of a name takes one image from stdin; -o - writes it to stdout.

    Videos keep every frame's time, sound, subtitles and chapters; animations
    (GIF, WebP, APNG) their times, loops and alpha.
    """
    model = model or ("gggan-lite" if kernel is None else "tv")
    from restorekit.inference.image import Size
    from restorekit.inference.settings import Settings
    from restorekit.models import registry
    from restorekit.pipeline.files import restore_folder

    with quiet_decoders(), open_progress(progress, "Deblurring") as told:
        choices: Choices = {
            "model": model,
            "weights": None if weights == "none" else weights,
            "scale": None,
            "task": "deblur",
            "config": registry.parse_config(model, config or ()),
            "settings": Settings(device, precision, tile, overlap, statistics, batch, backend, provider),
            "size": Size(),
            "max_pixels": max_pixels,
            "on_doubt": on_doubt,
        }
        if is_piped(inputs, out, compare, report, dry_run, watch):
            for option, value in (("--kernel", kernel), ("--blur-out", blur_out)):
                if value is not None:
                    raise UsageError(f"{option} does not go with -.", "Name a file, and a folder for the result.")
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
                kernel=kernel,
                blur_out=blur_out,
                video=options.video_settings(codec, crf, preset, lossless, frames, deinterlace, fps, preview),
                progress=told,
                stop=stop,
            )
    print_summary(run, tile)
    print_stronger(run)
    raise typer.Exit(run.exit_code)
