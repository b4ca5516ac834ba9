"""A training run in its folder: one process, resumable to the bit, the same result for any number of loader workers."""

import json
import math
import pickle
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from restorekit.degradation.pairs import find_records, fingerprint_sharp
from restorekit.errors import RestorekitError, UsageError
from restorekit.models import registry
from restorekit.runtime import fingerprints
from restorekit.runtime.atomic import replacing, write_atomically
from restorekit.runtime.device import choose_device
from restorekit.runtime.precision import choose_dtype, name_of
from restorekit.runtime.progress import SILENT, Event, Progress, Work
from restorekit.runtime.provenance import environment
from restorekit.training.log import Log, LogRow
from restorekit.training.objectives.base import LossTerms
from restorekit.training.recipe import Recipe
from restorekit.training.samples import Samples, find_training_pairs, hold_out
from restorekit.training.trainer import Trainer
from restorekit.training.validation import ValidationSet, validate
from restorekit.weights import state_dict
from restorekit.weights.load import load_model


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    validation: Path | None = None,
    start: Path | None = None,
    device: str = "auto",
    workers: int = 1,
    log_every: int = 100,
    validate_every: int = 1000,
    validate_full: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Train a network, or go on with the run that `out` holds.

    Args:
        recipe: settings; for a run that goes on they must be the ones it was begun with.
        data: folder of sharp images or of pairs.
        out: folder of the run: recipe.json, run.json, log.csv, checkpoint.pt, strips/, weights.safetensors.
        validation: folder of sharp images or pairs; by default a few images of `data` are held out.
        start: weights to begin with instead of random ones (fine-tuning).
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: processes that prepare samples; the result does not depend on it.
        log_every: steps between rows of the log; the first step has one of its own.
        validate_every: steps between validations and checkpoints.
        validate_full: validate on all images, whole; by default on centre crops of a few.
        progress: told of every step; the detail of its event is a `LogRow` where the log has one.

    Returns:
        The file of the finished weights.

    Raises:
        UsageError: no data, no such device, or `out` holds a run with another recipe.
        UnreadableImage: a file of `data` or `validation` is no image.
        WeightsError: `start` or the recipe's features cannot be read or do not fit.
        UnwritableOutput: `out` cannot be written.
        RestorekitError: the loss is no longer finite.
    """
    chosen_device = choose_device(device)
    _, spec = registry.configure(recipe.model, **recipe.config)
    pairs = find_training_pairs(data)
    if validation is None:
        pairs, unseen_pairs = hold_out(pairs)
    else:
        unseen_pairs = find_training_pairs(validation)
    degradation = recipe.degradation()
    samples = Samples(pairs, recipe.crop, degradation, recipe.seed, recipe.augment)
    unseen = ValidationSet(tuple(unseen_pairs), degradation, recipe.seed, spec.size_multiple, validate_full)
    checkpoint = _read_checkpoint(out / "checkpoint.pt", recipe)
    # A run keeps its type: another processor may prefer another one, and that would be another result.
    precision = checkpoint["precision"] if checkpoint else recipe.precision
    dtype = choose_dtype(precision, chosen_device, "training")
    cuda_devices = [chosen_device] if chosen_device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda_devices):  # the caller's random numbers go on as if nothing had happened
        trainer = Trainer.build(recipe, chosen_device, dtype)
        trained_on = fingerprint_sharp((pair.sharp for pair in pairs), find_records(data))
        if checkpoint:
            trainer.load_state(checkpoint["trainer"])
            trained_on |= fingerprints.unpack(checkpoint.get("trained_on", ""))
        elif start is not None:
            begun_with = load_model(recipe.model, start)
            state_dict.fit(trainer.model, begun_with.module.state_dict(), start)
            trained_on |= begun_with.provenance.trained_on
        _write_json(out / "recipe.json", json.loads(recipe.to_json()))
        _write_run_info(out / "run.json", trainer, data, unseen.description)
        seconds = checkpoint["seconds"] if checkpoint else 0.0
        first = trainer.steps_done
        log = Log.resume(out / "log.csv", first)
        description = (
            f"Training {recipe.model} on {chosen_device} in {name_of(dtype)}, from step {first} to {recipe.steps}"
        )
        progress.begin(Work(recipe.steps - first, recipe.steps - first, "steps", description))
        means = _LossMeans()
        begun = time.monotonic() - seconds
        for degraded, sharp in _batches(samples, recipe, first, chosen_device, workers):
            means.add(trainer.step(degraded, sharp))
            step = trainer.steps_done
            validates = step % validate_every == 0 or step == recipe.steps
            row = None
            if step == 1 or step % log_every == 0 or validates:
                seconds = time.monotonic() - begun
                losses = means.take()
                _check_finite(losses, step, out)
                scores = {}
                if validates:
                    strip = out / "strips" / f"{step:07d}.png"
                    scores = validate(trainer.average.module, spec, unseen, chosen_device, strip, progress)
                    _write_checkpoint(out / "checkpoint.pt", trainer, seconds, trained_on)
                learning_rate = recipe.learning_rate_at(step - 1)
                row = LogRow(step, seconds, learning_rate, losses, scores, unseen.description)
                log.append(row)
            progress.step(Event(f"step {step}", 1, 1, detail=row))
    weights = out / "weights.safetensors"
    about = {"model": recipe.model, "recipe": recipe.to_json(), "trained_on": fingerprints.pack(trained_on)}
    state_dict.save(trainer.average.module.state_dict(), weights, about, torch.float16)  # half the size, same images
    progress.end(weights)
    return weights


class _LossMeans:
    """Means of loss terms. Sums stay on the device: reading a number waits for everything before it."""

    def __init__(self) -> None:
        self.sums: LossTerms = {}
        self.steps = 0

    def add(self, terms: LossTerms) -> None:
        """One step's terms; not every step has all."""
        for name, term in terms.items():
            self.sums[name] = self.sums[name] + term if name in self.sums else term
        self.steps += 1

    def take(self) -> dict[str, float]:
        """The means per step since the last call."""
        means = {name: float(total) / self.steps for name, total in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means


def _batches(
    samples: Samples, recipe: Recipe, first: int, device: torch.device, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """(degraded, sharp) batches on the device, from the one that step `first` trains on."""
    loader = DataLoader(
        samples,
        recipe.batch,
        sampler=range(first * recipe.batch, recipe.steps * recipe.batch),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    for degraded, sharp in cast(Iterator[tuple[Tensor, Tensor]], loader):
        yield (
            degraded.to(device, non_blocking=True, memory_format=torch.channels_last),
            sharp.to(device, non_blocking=True, memory_format=torch.channels_last),
        )


def _check_finite(losses: dict[str, float], step: int, out: Path) -> None:
    if not math.isfinite(sum(losses.values())):
        raise RestorekitError(
            f"The loss is no longer finite at step {step}.",
            "Begin another run with the precision fp32 or a lower learning rate.",
            out,
        )


def _read_checkpoint(path: Path, recipe: Recipe) -> dict[str, Any] | None:
    """What `_write_checkpoint` wrote, or None if there is nothing.

    Raises:
        UsageError: it is of another recipe, or cannot be read.
    """
    if not path.exists():
        return None
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        begun_with = Recipe.from_json(checkpoint["recipe"])
        complete = checkpoint.keys() >= {"precision", "seconds", "trainer"}
    except (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, pickle.UnpicklingError):
        complete = False
    if not complete:
        raise UsageError("The checkpoint cannot be read.", "Choose another folder for the run.", path)
    if begun_with != recipe:
        raise UsageError(
            "The folder holds a run with another recipe.", "Repeat its settings, or choose another folder.", path.parent
        )
    return checkpoint


def _write_checkpoint(path: Path, trainer: Trainer, seconds: float, trained_on: frozenset[bytes]) -> None:
    checkpoint = {
        "recipe": trainer.recipe.to_json(),
        "precision": name_of(trainer.dtype),
        "seconds": seconds,
        "trainer": trainer.state(),
        "trained_on": fingerprints.pack(trained_on),
    }
    with replacing(path) as beside, beside.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # PyTorch's own, raised while it handles that of a full disk
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def _write_run_info(path: Path, trainer: Trainer, data: Path, validated_on: str) -> None:
    """Tell how the run is computed, for people: run.json has an entry for every sitting."""
    sitting = {
        "first_step": trainer.steps_done,
        "device": str(trainer.device),
        "precision": name_of(trainer.dtype),
        "data": str(data),
        "validation": validated_on,
        "environment": environment(),
    }
    earlier = []
    if trainer.steps_done:
        with suppress(OSError, ValueError, LookupError, TypeError):  # what is gone or spoilt stops no run
            earlier = json.loads(path.read_bytes())["sittings"]
    _write_json(path, {"sittings": [*earlier, sitting]})


def _write_json(path: Path, value: object) -> None:
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
