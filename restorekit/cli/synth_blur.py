"""`restorekit synth-blur`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import console, options
from restorekit.cli.progress import open_progress
from restorekit.cli.quiet import quiet_decoders
from restorekit.cli.summary import print_counts, print_failures
from restorekit.degradation.choices import ConvolutionBorder, Light, SetKind
from restorekit.errors import UsageError

WIDE_SWEEP = 15  # degrees
BLURRED: tuple[SetKind, ...] = ("linear", "trajectory", "mixed", "rotational", "shake", "scene")
BELONGS: dict[str, tuple[SetKind, ...]] = {
    "length": ("linear", "trajectory", "mixed", "shake", "scene"),
    "angle": ("linear", "mixed"),
    "sweep": ("rotational", "mixed", "shake", "scene"),
    "border": BLURRED,
    "highlights": BLURRED,
    "per_image": BLURRED,
    "frames": ("frames",),
    "stride": ("frames",),
}
"""The kinds that an option means something for; all others mean something for every kind."""


def synth_blur(
    context: typer.Context,
    inputs: options.Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The set is written here.")],
    kind: Annotated[
        SetKind,
        typer.Option(
            help="linear: a straight path; trajectory: a shaking hand; rotational: a rolling camera; mixed: the first or "
            "the third; shake: a camera that moves and rolls; scene: the same, with objects that move in front; frames: "
            "means of high-speed frames, INPUTS being folders of them or videos."
        ),
    ] = "linear",
    length: Annotated[str, typer.Option(metavar="LOW:HIGH", help="Pixels travelled (not rotational).")] = "50:80",
    angle: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="Direction of linear blur in degrees, counter-clockwise.")
    ] = "-40:40",
    sweep: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="Degrees turned through (rotational, shake, scene).")
    ] = "1:6",
    border: Annotated[
        ConvolutionBorder,
        typer.Option(help="reflect keeps the size; valid crops to what no invented pixel touched."),
    ] = "reflect",
    light: Annotated[
        Light,
        typer.Option(
            help="Blur stored values, light by a gamma of 2.2 or by the curve of sRGB, or one of these at random. auto: "
            "stored for linear and trajectory, gamma for the rest; frames: both stored (blur/) and gamma (blur_gamma/)."
        ),
    ] = "auto",
    highlights: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="Factor for light above 0.95 before the blur: lamps leave streaks.")
    ] = "1",
    frames: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="Frames in a mean; an odd number is drawn (frames).")
    ] = "7:23",
    stride: Annotated[
        int, typer.Option(min=0, help="Frames between the beginnings of two means; 0: none in common (frames).")
    ] = 0,
    resize: Annotated[
        str, typer.Option(metavar="WxH", help="Size that images get first, e.g. 1349x1079, the GGGAN paper's.")
    ] = "",
    noise: Annotated[
        float, typer.Option(min=0, help="Standard deviation of Gaussian noise in grey levels of 255.")
    ] = 0.0,
    split: Annotated[
        str,
        typer.Option(
            help="Parts and their sizes in images (frames: sequences), e.g. train=480,test=300. One part, all, by default."
        ),
    ] = "",
    per_image: Annotated[int, typer.Option(min=1, help="Differently blurred copies of each image.")] = 1,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Draw the PSFs, or the motion of a grid of points, to OUT/sheet.png.")
    ] = False,
    seed: options.Seed = 0,
    workers: Annotated[
        int,
        typer.Option(min=0, help="Threads, or processes (scene); 0 takes all cores. The result does not depend on it."),
    ] = 0,
    progress: options.ProgressKind = "bar",
) -> None:
    """Build a paired set: OUT/PART/{blur,sharp}/NAME.png and OUT/pairs.jsonl.

    The defaults are those of the GGGAN paper for frames of 1349x1079: linear
    motion of 50 to 80 px at -40 to 40 degrees, one PSF for each image. A second
    run makes only what is missing.
    """
    _check_belongs(context, kind)
    lengths, angles, sweeps = options.span(length, "length"), options.span(angle, "angle"), options.span(sweep, "sweep")
    factors = options.span(highlights, "highlights")
    parts = _parts(split) if split else None
    if kind not in ("linear", "trajectory", "frames") and sweeps[1] > WIDE_SWEEP:
        console.say(f"Warning: a sweep of more than {WIDE_SWEEP} degrees leaves hardly anything to recognise.")
    size = options.size(resize, "resize", "1349x1079") if resize else None
    from restorekit.degradation.frames import FrameSettings, synthesize_frames
    from restorekit.degradation.pairs import synthesize_pairs
    from restorekit.degradation.synthetic_blur import BlurSettings
    from restorekit.runtime.worker_processes import worker_processes

    with quiet_decoders(), open_progress(progress, "Blurring") as told, worker_processes(workers) as processes:
        if kind == "frames":
            fewest, most = (int(count) for count in options.span(frames, "frames"))
            means = FrameSettings((fewest, most), stride, light, noise, seed, size)
            summary = synthesize_frames(
                inputs, out, settings=means, split=parts, workers=workers or None, progress=told
            )
        else:
            blur = BlurSettings(kind, lengths, angles, sweeps, border, light, factors, noise, seed, size)
            summary = synthesize_pairs(
                inputs,
                out,
                settings=blur,
                split=parts,
                per_image=per_image,
                workers=workers or None,
                renderers=processes if kind == "scene" else None,
                progress=told,
            )
    if sheet:
        from restorekit.degradation.sheet import draw_sheet
        from restorekit.media.encode import write_image
        from restorekit.media.image import Image

        write_image(Image(draw_sheet(out)), out / "sheet.png")
    print_counts(summary.planned, summary.count)
    failed = [(result.key, result.reason) for result in summary.results if result.status == "failed"]
    print_failures(failed, "pair")
    raise typer.Exit(summary.exit_code)


def _check_belongs(context: typer.Context, kind: SetKind) -> None:
    """Refuse what was given and means nothing for the kind; the options' defaults are none of that."""
    for name, kinds in BELONGS.items():
        source = context.get_parameter_source(name)
        if kind not in kinds and source is not None and source.name != "DEFAULT":
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} does not go with --kind {kind}.", f"Leave it out; it is for {', '.join(kinds)}."
            )


def _parts(text: str) -> dict[str, int]:
    counts = options.numbers([text], "split", "train=480,test=300")
    if odd := [part for part, count in counts.items() if not count.is_integer()]:
        raise UsageError(f"--split cannot give {odd[0]} {counts[odd[0]]:g} images.", "Write whole numbers.")
    return {part: int(count) for part, count in counts.items()}
