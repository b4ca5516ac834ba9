"""`restorekit synth-blur`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from restorekit.cli import console, options


def synth_blur(
    inputs: options.Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The set is written here.")],
    kind: Annotated[
        str, typer.Option(help="linear, trajectory (a shaking hand), rotational (the camera rolls) or mixed.")
    ] = "linear",
    length: Annotated[str, typer.Option(help="Pixels travelled, LOW:HIGH.")] = "50:80",
    angle: Annotated[
        str, typer.Option(help="Direction of linear blur in degrees, counter-clockwise, LOW:HIGH.")
    ] = "-40:40",
    sweep: Annotated[str, typer.Option(help="Angle swept by rotational blur in degrees, LOW:HIGH.")] = "1:6",
    border: Annotated[
        str, typer.Option(help="reflect keeps the size; valid crops to what no invented pixel touched.")
    ] = "reflect",
    light: Annotated[
        str, typer.Option(help="Blur stored values (srgb) or linear light; auto: linear for rotational.")
    ] = "auto",
    noise: Annotated[float, typer.Option(help="Standard deviation of Gaussian noise in grey levels of 255.")] = 0.0,
    split: Annotated[
        str, typer.Option(help="Parts and their sizes, e.g. train=480,test=300. One part, all, by default.")
    ] = "",
    per_image: Annotated[int, typer.Option(min=1, help="Differently blurred copies of each picture.")] = 1,
    seed: options.Seed = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Threads; 0 takes all cores. The result does not depend on it.")
    ] = 0,
) -> None:
    """Build a paired set: OUT/PART/{blur,sharp}/NAME.png and OUT/pairs.jsonl.

    The defaults are those of the GGGAN paper for frames of 1349x1079: linear motion of 50 to 80 px at -40 to 40 degrees,
    one kernel a picture. A second run makes only what is missing.
    """
    chosen: dict[str, Any] = {
        "kind": options.one_of(kind, "kind", ("linear", "trajectory", "rotational", "mixed")),
        "length": options.span(length, "length"),
        "angle": options.span(angle, "angle"),
        "sweep": options.span(sweep, "sweep"),
        "border": options.one_of(border, "border", ("reflect", "valid")),
        "light": options.one_of(light, "light", ("auto", "srgb", "linear")),
        "noise": noise,
        "seed": seed,
    }
    parts = {part: int(count) for part, count in options.numbers([split], "split").items()} if split else None
    if chosen["kind"] in ("rotational", "mixed") and chosen["sweep"][1] > 15:
        console.say("Warning: a sweep of more than 15 degrees leaves hardly anything to recognise.")
    from restorekit.degradation import pairs

    with console.Bar("Blurring") as bar:
        made = pairs.synthesize(
            inputs,
            out,
            recipe=pairs.Recipe(**chosen),
            split=parts,
            per_image=per_image,
            workers=workers or None,
            start=lambda count: bar.expect(count, count),
            watch=lambda one: bar.advance(one.status != "skipped", "pairs"),
        )
    counts = [str(sum(one.status == status for one in made)) for status in ("done", "skipped", "failed")]
    console.out.print(
        console.listing(f"Pairs in {out}", ("planned", "done", "skipped", "failed"), [[str(len(made)), *counts]])
    )
    failed = [(one.name, one.reason) for one in made if one.status == "failed"]
    if failed:
        console.out.print(console.listing("Failed", ("pair", "reason"), failed))
    raise typer.Exit(pairs.exit_code(made))
