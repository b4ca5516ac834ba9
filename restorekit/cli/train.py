"""`restorekit train`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from restorekit.cli import console, options
from restorekit.cli.progress import Bar
from restorekit.cli.stopping import stopped_by_signals
from restorekit.cli.tables import Column, print_table, terminal_width
from restorekit.errors import ExitCode, UnreadableImage, UsageError

if TYPE_CHECKING:
    from restorekit.runtime.progress import Event
    from restorekit.training.log import LogRow
    from restorekit.training.recipe import Recipe
    from restorekit.weights.manifest import Manifest


def train(
    data: Annotated[Path | None, typer.Option(help="Folder of sharp images (blurred on the fly) or of pairs.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; a run that it holds is continued.")
    ] = None,
    model: Annotated[str, typer.Option(help="A system; see `restorekit models`.")] = "gggan-lite",
    recipe: Annotated[
        str,
        typer.Option(
            help="A recipe.json, or a tag of bundled weights, which options below override. By default what the system's "
            "paper and its authors' code say, and ours for the rest, or else that of its default weights."
        ),
    ] = "",
    show_recipe: Annotated[
        bool,
        typer.Option("--show-recipe", help="Print the recipe with the source of every value, and train nothing."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --show-recipe: print it as JSON, which --recipe reads.")
    ] = False,
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder to validate on; by default about a dozen images are held out of the data."),
    ] = None,
    start: Annotated[str, typer.Option(help="Weights to begin with: a file, or a tag of those that ship.")] = "",
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Crops per step.")] = None,
    accumulate: Annotated[
        int | None, typer.Option(help="Passes that a step's crops are divided among, where memory is short.")
    ] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the sharp crops in pixels.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Learning rate.")] = None,
    schedule: Annotated[
        Literal["constant", "milestones", "linear", "exponential", "cosine"] | None,
        typer.Option(help="How the learning rate falls."),
    ] = None,
    milestone: Annotated[
        list[int] | None,
        typer.Option(help="A step at which the rate falls, for the schedule of that name; may be repeated."),
    ] = None,
    decay_from: Annotated[
        int | None, typer.Option(help="Step up to which a linear or exponential schedule is flat.")
    ] = None,
    floor: Annotated[float | None, typer.Option(help="Rate at which a linear or exponential schedule ends.")] = None,
    augment: Annotated[
        Literal["none", "flips", "flips-and-turns", "sang"] | None,
        typer.Option(
            help="What else crops go through; sang: turns, channels, saturation and noise, as that paper has it."
        ),
    ] = None,
    ema_decay: Annotated[
        float | None,
        typer.Option(help="Decay of the running average of the weights, which is validated and saved; 0 is without."),
    ] = None,
    keep: Annotated[
        str, typer.Option(help="Steps whose weights are kept, in files of their own, e.g. 500,600,800.")
    ] = "",
    loss_weight: Annotated[
        list[str] | None, typer.Option(help="Weight of a loss term, e.g. adversarial=0; may be repeated.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Option of the system's objective, e.g. discriminator_steps=1; may be repeated."),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            help="VGG weights for the perceptual terms of some losses: a file with torchvision's names, or vgg16 or vgg19 "
            "after `restorekit models fetch` of it."
        ),
    ] = "",
    downscale: Annotated[
        Literal["matlab", "pillow", "opencv", "gauss"] | None,
        typer.Option(help="How super-resolution's small images are made."),
    ] = None,
    config: options.Config = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(help="Part of the network that keeps the weights of --start, e.g. prenet; may be repeated."),
    ] = None,
    ablation: Annotated[
        list[str] | None,
        typer.Option(
            help="A variant that the system's paper compares it with; `restorekit models show` lists them; may be repeated."
        ),
    ] = None,
    blur_shares: Annotated[
        str | None, typer.Option(help="Kinds of blur on sharp data, e.g. linear=0.6,sharp=0.4.")
    ] = None,
    length: Annotated[str | None, typer.Option(help="Pixels travelled by linear blur, LOW:HIGH.")] = None,
    angle: Annotated[str | None, typer.Option(help="Its direction in degrees, LOW:HIGH.")] = None,
    light: Annotated[
        Literal["auto", "stored", "gamma", "srgb", "random"] | None,
        typer.Option(help="What is blurred: stored values, light by a gamma of 2.2 or sRGB's curve, or any of them."),
    ] = None,
    noise: Annotated[str | None, typer.Option(help="Noise of some samples, grey levels of 255, LOW:HIGH.")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None,
        typer.Option(help="auto is bf16 on a GPU; on a CPU bf16 or fp32, whichever is measured to be faster."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same run.")] = None,
    device: options.Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare samples.")] = 1,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile networks and losses (torch.compile); takes a C++ compiler.")
    ] = False,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between rows of the log.")] = 100,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations, with a checkpoint.")] = 1000,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints where validations are rarer.")
    ] = 10.0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the log to OUT/tensorboard too, for the program TensorBoard.")
    ] = False,
    validate_full: Annotated[
        bool,
        typer.Option(
            "--validate-full",
            help="Measure PSNR and SSIM on all validation images, whole; otherwise on the central 256 px of at most 8.",
        ),
    ] = False,
) -> None:
    """Train a network.

    OUT gets recipe.json, run.json, log.csv, curves.png, checkpoint.pt, strips/
    (degraded, restored, sharp) and at the end weights.safetensors for
    `deblur --weights`. Ctrl-C and SIGTERM finish the step and write a checkpoint;
    stopped in any way, the same command continues, on a CPU to the bit as if it
    had not been. Started by torchrun, its processes share every batch.
    """
    from restorekit.models import registry
    from restorekit.training import objectives, processes, run, sources
    from restorekit.training.recipe import Recipe
    from restorekit.weights.manifest import load_manifest

    if as_json and not show_recipe:
        raise UsageError("--json prints the recipe.", "Give --show-recipe too.")
    model, manifest = registry.resolve(model), load_manifest()
    features = _find_features(features, manifest)
    known: Mapping[str, str] = {}
    if recipe and Path(recipe).is_file():
        base, source = Recipe.from_file(Path(recipe)), Path(recipe).name
    elif recipe or (manifest.bundled_for(model) and not Recipe.is_printed(model)):
        entry = manifest.find_bundled(model, recipe or None)
        base, source = Recipe.from_json(json.dumps(entry.recipe)), f"weights {entry.tag}"
    else:
        base, source = Recipe.of_paper(model, features), "ours"
        known = sources.read(model, bool(features))[1]
    defaults = sources.list_settings(base)
    for variant in ablation or ():
        base = base.ablated(variant)
    blur: dict[str, Any] = {
        "shares": options.numbers([blur_shares], "blur-shares", "linear=0.6,sharp=0.4") if blur_shares else None,
        "length": options.span(length, "length") if length else None,
        "angle": options.span(angle, "angle") if angle else None,
        "light": light,
        "noise": options.span(noise, "noise") if noise else None,
    }
    given: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "accumulate": accumulate,
        "crop": crop,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "milestones": milestone or None,
        "ema_decay": ema_decay,
        "rate_factors": base.rate_factors | {f"{part}.*": 0.0 for part in freeze or ()},
        "keep": options.whole_numbers(keep, "keep") if keep else None,
        "decay_from": decay_from,
        "floor": floor,
        "augment": augment,
        "loss_weights": base.loss_weights | objectives.parse_loss_weights(base.model, loss_weight or ()),
        "objective": base.objective | objectives.parse_options(base.model, objective or ()),
        "config": base.config | registry.parse_config(base.model, config or ()),
        "features": features or None,
        "downscale": downscale,
        "precision": precision,
        "seed": seed,
        "blur": replace(base.blur, **{name: value for name, value in blur.items() if value is not None}),
    }
    begin = None
    if start:
        begin = Path(start) if Path(start).is_file() else manifest.choose(base.model, start).path
    chosen = base.replacing(**{name: value for name, value in given.items() if value is not None})
    told = {
        name: known.get(name, source) if name in defaults and defaults[name] == value else "given"
        for name, value in sources.list_settings(chosen).items()
    }
    deblurs = registry.spec_of(chosen.model).task == "deblur"
    if deblurs and not recipe and not start and not chosen.blur.ramp and chosen.blur.shares.keys() != {"linear"}:
        # Random weights would stay with the identity on all kinds of blur.
        chosen = chosen.replacing(blur=replace(chosen.blur, ramp=chosen.steps * chosen.batch // 4))
    if show_recipe:
        _show_recipe(chosen, told | {"blur.ramp": "ours"}, as_json)
        return
    if data is None or out is None:
        raise UsageError("Training needs --data and --out.", "Only --show-recipe goes without them.")
    with processes.torchrun_group(), stopped_by_signals() as stop, _TrainingBar("Training") as bar:
        weights = run.train(
            chosen,
            data,
            out,
            validation=validation,
            start=begin,
            device=device,
            workers=workers,
            compiled=compiled,
            log_every=log_every,
            validate_every=validate_every,
            validate_full=validate_full,
            checkpoint_minutes=checkpoint_minutes,
            tensorboard=tensorboard,
            stop=stop,
            progress=bar,
        )
        first_process = processes.rank() == 0
    if first_process:
        console.show(f"Weights: {weights}")
    if bar.unreadable:
        console.say(
            f"{bar.unreadable} of the images could not be read, or are smaller than a crop, and were passed over."
        )
        raise typer.Exit(ExitCode.SOME_FAILED)


def _find_features(features: str, manifest: Manifest) -> str:
    """The file of VGG weights that --features names; a name that is no file may be that of fetched ones."""
    if Path(features).is_file() or not manifest.remote_for(features):
        return features
    return str(manifest.choose(features, manifest.find_remote(features).tag).path)


def _show_recipe(recipe: Recipe, told: Mapping[str, str], as_json: bool) -> None:
    """Print a recipe to stdout.

    Args:
        recipe: what would be trained by.
        told: the source of every setting.
        as_json: print what --recipe reads.
    """
    from restorekit.training import sources

    if as_json:
        console.show(json.dumps(json.loads(recipe.to_json()), indent=2))
        return
    without = f", without the features of {recipe.missing_features}" if recipe.missing_features else ""
    columns = (Column("setting"), Column("value", wraps=True), Column("source"))
    words = {"code": "authors' code"}
    settings = sources.list_settings(recipe).items()
    rows = [(name, _format(value), words.get(told[name], told[name])) for name, value in settings]
    print_table(f"Recipe of {recipe.model}{without}", columns, rows, terminal_width())


def _format(value: object) -> str:
    from restorekit.models.config import format_value

    if isinstance(value, Mapping):
        return ", ".join(f"{key}={inner:g}" for key, inner in value.items()) or "none"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "none"
    return format_value(value) or "none"


class _TrainingBar(Bar):
    """A bar that also prints the rows of the log, and counts what cannot be read."""

    unreadable = 0

    def step(self, event: Event) -> None:
        """A step is done, an image was validated, or something failed."""
        if isinstance(event.detail, UnreadableImage):
            self.unreadable += 1
        elif event.status == "done" and event.detail is not None:
            _say_row(cast("LogRow", event.detail))
        super().step(event)


def _say_row(row: LogRow) -> None:
    losses = "  ".join(f"{name} {value:.4f}" for name, value in row.losses.items())
    console.say(f"{row.step:>8}  {row.seconds:8.0f} s  learning rate {row.learning_rate:.2g}  {losses}")
    if row.scores:
        s = row.scores
        console.say(
            f"{'':>8}  validation on {row.measured_on}: PSNR {s['psnr']:.2f} dB (input {s['input_psnr']:.2f}), "
            f"SSIM {s['ssim']:.4f} (input {s['input_ssim']:.4f})"
        )
