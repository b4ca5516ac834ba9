"""`restorekit train`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorekit.cli import console, options

if TYPE_CHECKING:
    from restorekit.training.run import Progress


def train(
    data: Annotated[Path, typer.Option(help="Folder of sharp pictures (blurred on the fly) or of pairs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; a run that it holds is continued.")],
    model: Annotated[str, typer.Option(help="A system; see `restorekit models`.")] = "gggan-lite",
    recipe: Annotated[
        str,
        typer.Option(
            help="A recipe.json, or a tag of shipped weights, which options below override. By default what the system's "
            "paper prints, or else that of its default weights."
        ),
    ] = "",
    validation: Annotated[
        Path | None, typer.Option(help="Folder to validate on; by default about a dozen pictures are held out.")
    ] = None,
    start: Annotated[str, typer.Option(help="Weights to begin with: a file, or a tag of those that ship.")] = "",
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; 500000 in the paper.")] = None,
    batch: Annotated[int | None, typer.Option(help="Crops a step; 4 in the paper.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crops in pixels; 128 in the paper.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Adam's step size; 1e-4 in the paper.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="milestones (the paper's) or cosine (to zero at the last step).")
    ] = None,
    milestones: Annotated[
        str | None, typer.Option(help="Steps at which the rate falls to a tenth, e.g. 50000,100000.")
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="Weight of a loss term, e.g. adversarial=0; may be repeated.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="VGG-16 or VGG-19 weights (torchvision's names) for the perceptual terms of some systems."),
    ] = None,
    shrink: Annotated[
        str | None,
        typer.Option(help="How super-resolution's small pictures are made: matlab, pillow, opencv or gauss."),
    ] = None,
    config: options.Config = None,
    mix: Annotated[
        str | None, typer.Option(help="Shares of blur on sharp data, e.g. linear=0.6,trajectory=0.2,sharp=0.2.")
    ] = None,
    length: Annotated[str | None, typer.Option(help="Pixels travelled by linear blur, LOW:HIGH.")] = None,
    angle: Annotated[str | None, typer.Option(help="Its direction in degrees, LOW:HIGH.")] = None,
    noise: Annotated[str | None, typer.Option(help="Noise of some samples, grey levels of 255, LOW:HIGH.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same run.")] = None,
    device: options.Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare samples.")] = 1,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between rows of the log.")] = 100,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations and checkpoints.")] = 1000,
) -> None:
    """Train a network.

    OUT gets recipe.json, log.csv, checkpoint.pt, strips/ (blurred, restored, sharp) and at the end weights.safetensors for
    `deblur --weights`. Stop it at any time; the same command continues, to the bit as if it had not been stopped.
    """
    from restorekit.models import registry
    from restorekit.training import run
    from restorekit.training.recipe import Recipe
    from restorekit.weights.manifest import load_manifest

    model, manifest = registry.resolve(model), load_manifest()
    if recipe and Path(recipe).is_file():
        base = Recipe.from_file(Path(recipe))
    elif recipe or (manifest.bundled_for(model) and not Recipe.is_printed(model)):
        table = manifest.find_bundled(model, recipe or None).recipe
        base = Recipe.from_json(json.dumps({"config": {}, "blur": {}, **table}))
    else:
        base = Recipe.of_paper(model)
    blur: dict[str, Any] = {
        "shares": options.numbers([mix], "mix") if mix else None,
        "length": options.span(length, "length") if length else None,
        "angle": options.span(angle, "angle") if angle else None,
        "noise": options.span(noise, "noise") if noise else None,
    }
    given: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "crop": crop,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "milestones": tuple(map(int, milestones.split(","))) if milestones else None,
        "weights": base.weights | options.numbers(weight, "weight") if weight else None,
        "config": base.config | registry.parse_config(base.model, config) if config else None,
        "features": str(features) if features else None,
        "shrink": options.one_of(shrink, "shrink", ("matlab", "pillow", "opencv", "gauss")) if shrink else None,
        "precision": options.one_of(precision, "precision", ("auto", "fp32", "bf16", "fp16")) if precision else None,
        "seed": seed,
        "blur": replace(base.blur, **{name: value for name, value in blur.items() if value is not None}),
    }
    begin = None
    if start:
        begin = Path(start) if Path(start).is_file() else manifest.choose(model, start).path
    chosen = replace(base, **{name: value for name, value in given.items() if value is not None})
    deblurs = registry.configure(chosen.model, **chosen.config)[1].task == "deblur"
    if deblurs and not recipe and not start and not chosen.blur.ramp:
        # Random weights would stay with the identity on the whole mix.
        chosen = replace(chosen, blur=replace(chosen.blur, ramp=chosen.steps * chosen.batch // 4))
    console.say(f"Training {chosen.model} for {chosen.steps} steps on {data}.")
    with console.Bar("Training") as bar:
        weights = run.train(
            chosen,
            data,
            out,
            validation=validation,
            start=begin,
            device=device,
            workers=workers,
            log_every=log_every,
            validate_every=validate_every,
            watch=_Reporter(bar),
        )
    console.out.print(f"Weights: {weights}", soft_wrap=True)


class _Reporter:
    """Prints a row for every report and moves the bar."""

    def __init__(self, bar: console.Bar) -> None:
        self.bar = bar
        self.shown = 0

    def __call__(self, progress: Progress) -> None:
        """Show one report."""
        terms = "  ".join(f"{name} {value:.4f}" for name, value in progress.terms.items())
        console.say(f"{progress.step:>8}  {progress.seconds:8.0f} s  rate {progress.rate:.2g}  {terms}")
        if progress.scores:
            s = progress.scores
            console.say(
                f"{'':>8}  validation: PSNR {s['psnr']:.2f} dB (input {s['input_psnr']:.2f}), "
                f"SSIM {s['ssim']:.4f} (input {s['input_ssim']:.4f})"
            )
        if not self.shown:  # a continued run does not begin at zero
            self.bar.expect(progress.steps, progress.steps - progress.first)
            self.shown = progress.first
            self.bar.advance(0, "steps", progress.first)
        self.bar.advance(progress.step - self.shown, "steps", progress.step - self.shown)
        self.shown = progress.step
