"""A training run in its folder: resumable, on a CPU to the bit, and the same for any number of loader workers."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from restorekit.degradation.pairs import find_records, fingerprint_sharp
from restorekit.errors import RestorekitError, UnreadableImage, UsageError
from restorekit.media.discover import check_apart
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.models.spec import Spec
from restorekit.runtime import fingerprints
from restorekit.runtime.atomic import write_atomically
from restorekit.runtime.device import choose_device
from restorekit.runtime.lock import working_in
from restorekit.runtime.precision import choose_dtype, name_of
from restorekit.runtime.progress import SILENT, Event, Progress, Work
from restorekit.runtime.provenance import environment
from restorekit.training import processes
from restorekit.training.checkpoint import Checkpoint
from restorekit.training.curves import draw_curves
from restorekit.training.loading import load_batches, numbers_of_batches
from restorekit.training.log import Log, LogRow, TensorBoard
from restorekit.training.loss_means import LossMeans, NotFinite
from restorekit.training.recipe import Recipe
from restorekit.training.samples import Samples, find_training_pairs, hold_out
from restorekit.training.trainer import Trainer
from restorekit.training.validation import ValidationSet, validate
from restorekit.weights import state_dict
from restorekit.weights.load import load_model
from restorekit.weights.manifest import check_kept

RETURNS = 3  # to one checkpoint, because the loss is not finite behind it; then the run stops


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    validation: Path | None = None,
    start: Path | None = None,
    device: str = "auto",
    workers: int = 1,
    compiled: bool = False,
    log_every: int = 100,
    validate_every: int = 1000,
    validate_full: bool = False,
    checkpoint_minutes: float = 10.0,
    tensorboard: bool = False,
    stop: threading.Event | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Train a network, or go on with the run that `out` holds.

    Where torch.distributed is initialised, its processes share every batch, and the first of them writes.

    Args:
        recipe: settings; for a run that goes on they must be the ones it was begun with.
        data: folder of sharp images or of pairs. Images that cannot be read are passed over.
        out: folder of the run: recipe.json, run.json, log.csv, curves.png, checkpoint.pt, strips/, weights.safetensors,
            and weights-STEP.safetensors for every step that the recipe keeps. It may lie inside `data`.
        validation: folder of sharp images or pairs; by default a few images of `data` are held out.
        start: weights to begin with instead of random ones. Parts of the network that they lack wholly stay random: GGGAN
            may begin with its pre-network alone.
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: processes that prepare samples; the result does not depend on it.
        compiled: compile the networks and losses with torch.compile; the result differs by rounding.
        log_every: steps between rows of the log; the first step has one of its own.
        validate_every: steps between validations, each with a checkpoint.
        validate_full: validate on all images, whole; by default on centre crops of a few.
        checkpoint_minutes: longest time between checkpoints.
        tensorboard: write the log to `out`/tensorboard too.
        stop: once it is set, the run finishes its step, writes a checkpoint and raises KeyboardInterrupt.
        progress: told of every step; the detail of its event is a `LogRow` where the log has one. Failed events are
            images that cannot be read, each once, and returns to a checkpoint.

    Returns:
        The file of the finished weights.

    Raises:
        UsageError: no data, no such device, a batch that does not divide among the processes, a crop that the network cannot
            take, `out` holds a run with another recipe, or the run would replace the weights that it begins with.
        WeightsError: `start` or the recipe's features cannot be read or do not fit.
        UnwritableOutput: `out` cannot be written, or another run works there.
        NotFinite: the loss is no longer finite, not even on other batches.
        KeyboardInterrupt: see `stop`.
    """
    chosen_device = choose_device(processes.local_device(device))
    if recipe.batch % (processes.count() * recipe.accumulate):
        raise UsageError(
            f"A batch of {recipe.batch} does not divide among {processes.count()} processes with {recipe.accumulate} "
            "passes each.",
            "Change the batch.",
        )
    _, spec = registry.configure(recipe.model, **recipe.config)
    if recipe.crop % spec.size_multiple:
        raise UsageError(
            f"A crop of {recipe.crop} px is no multiple of {spec.size_multiple}, as {recipe.model} needs.",
            "Change the crop.",
        )
    kept = [f"weights-{step}.safetensors" for step in recipe.keep]
    check_kept(start, [out / name for name in ("weights.safetensors", *kept)], "run")
    check_apart([data] if validation is None else [data, validation], [out])
    pairs = find_training_pairs(data, [out])
    if validation is None:
        pairs, unseen_pairs = hold_out(pairs)
    else:
        unseen_pairs = find_training_pairs(validation, [out])
    degradation = recipe.degradation()
    checkpoint = Checkpoint.read(out / "checkpoint.pt", recipe)
    # A run keeps its type: another processor may prefer another one, and that would be another result.
    precision = checkpoint.precision if checkpoint else recipe.precision
    begun_with = None if start is None or checkpoint else load_model(recipe.model, start)
    readable = [pair.sharp for pair in pairs if os.access(pair.sharp, os.R_OK)]
    trained_on = fingerprint_sharp(readable, find_records(data))
    if checkpoint:
        trained_on |= fingerprints.unpack(checkpoint.trained_on)
    if begun_with:
        trained_on |= begun_with.provenance.trained_on
    run = _Run(
        recipe=recipe,
        data=data,
        out=out,
        spec=spec,
        samples=Samples(pairs, recipe.crop, degradation, recipe.seed, recipe.augment),
        unseen=ValidationSet(tuple(unseen_pairs), degradation, recipe.seed, spec.size_multiple, validate_full),
        begun_with=begun_with,
        trained_on=fingerprints.pack(trained_on),
        device=chosen_device,
        dtype=choose_dtype(precision, chosen_device, "training"),
        workers=workers,
        compiled=compiled,
        log_every=log_every,
        validate_every=validate_every,
        checkpoint_minutes=checkpoint_minutes,
        tensorboard=tensorboard,
        stop=stop or threading.Event(),
        progress=_RunProgress(progress),
    )
    cuda_devices = [chosen_device] if chosen_device.type == "cuda" else []
    alone = working_in(out) if processes.rank() == 0 else nullcontext()
    with (
        alone,
        torch.random.fork_rng(devices=cuda_devices),  # the caller's random numbers go on as if nothing had happened
        _fastest_convolutions(),
    ):
        run.finish(checkpoint)
    weights = out / "weights.safetensors"
    progress.end(weights)
    return weights


def _fastest_convolutions() -> AbstractContextManager[None]:
    """Crops are all of one size, so that cuDNN's search for its fastest algorithms pays."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(cudnn.enabled, benchmark=True, deterministic=cudnn.deterministic, allow_tf32=cudnn.allow_tf32)


class _RunProgress:
    """Names an image that cannot be read once. Of processes beside the first nothing else is told."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.unreadable = progress, set[str]()

    def begin(self, work: Work) -> None:
        """Pass it on."""
        if processes.rank() == 0:
            self.progress.begin(work)

    def step(self, event: Event) -> None:
        """Pass it on, if it is news."""
        if isinstance(event.detail, UnreadableImage):
            if event.key not in self.unreadable:
                self.progress.step(event)
            self.unreadable.add(event.key)
        elif processes.rank() == 0:
            self.progress.step(event)

    def end(self, summary: object) -> None:
        """Pass it on."""
        self.progress.end(summary)


@dataclass(frozen=True)
class _Run:
    """What `train` was asked for, checked."""

    recipe: Recipe
    data: Path
    out: Path
    spec: Spec
    samples: Samples
    unseen: ValidationSet
    begun_with: Model | None
    trained_on: str
    device: torch.device
    dtype: torch.dtype
    workers: int
    compiled: bool
    log_every: int
    validate_every: int
    checkpoint_minutes: float
    tensorboard: bool
    stop: threading.Event
    progress: Progress

    def finish(self, checkpoint: Checkpoint | None) -> None:
        """Train to the last step.

        After a loss that is not finite the run returns to its last checkpoint and passes over the batches since, as PaLM's
        did (Chowdhery et al. 2022, arXiv:2204.02311, section 5.1): on the same ones it would happen again.

        Args:
            checkpoint: where to begin; None at the beginning.

        Raises:
            NotFinite: the checkpoint is not got past.
        """
        failures, first_batch = 0, 0
        while True:
            trainer = Trainer.build(self.recipe, self.device, self.dtype, compiled=self.compiled)
            if checkpoint:
                _restore(trainer, checkpoint, self.out)
            elif self.begun_with:
                _begin_with(trainer.model, self.begun_with)
            first = trainer.steps_done
            skipped = max(checkpoint.batches_skipped if checkpoint else 0, first_batch - first)
            numbers = numbers_of_batches(first + skipped, self.recipe.steps + skipped, self.recipe.batch)
            batches = load_batches(self.samples, numbers, self.device, self.workers, self.progress)
            try:
                with closing(batches):  # or else the workers would live as long as an error is looked at
                    self._train(trainer, checkpoint, batches, skipped)
                return
            except NotFinite as error:
                checkpoint = Checkpoint.read(self.out / "checkpoint.pt", self.recipe)
                went_on = checkpoint is not None and checkpoint.trainer["steps_done"] > first
                failures = 1 if went_on else failures + 1
                if failures > RETURNS:
                    raise
                first_batch = error.step + skipped
                hint = "The run returns to its last checkpoint, for other images."
                detail = RestorekitError(error.reason, hint)
                self.progress.step(Event("training", 0, 0.0, "failed", detail))

    def _train(
        self, trainer: Trainer, checkpoint: Checkpoint | None, batches: Iterator[tuple[Tensor, Tensor]], skipped: int
    ) -> None:
        """Train from where the trainer is to the last step.

        Args:
            trainer: in the state of the checkpoint.
            checkpoint: None at the beginning.
            batches: one for each step that is left.
            skipped: how many batches the run passes over; see `finish`.

        Raises:
            NotFinite: a loss or a weight.
        """
        recipe, out, first, writes = self.recipe, self.out, trainer.steps_done, processes.rank() == 0
        earlier = checkpoint.losses if checkpoint else []  # read to main memory
        pending = LossMeans([{name: term.to(self.device) for name, term in terms.items()} for terms in earlier])
        log, board = Log(out / "log.csv", []), None
        if writes:
            log = Log.resume(out / "log.csv", first)
            board = TensorBoard(out / "tensorboard", first) if self.tensorboard else None
            _write_json(out / "recipe.json", json.loads(recipe.to_json()))
            self._write_run_info(first, skipped)
        description = (
            f"Training {recipe.model} on {self.device} in {name_of(self.dtype)}, from step {first} to {recipe.steps}"
        )
        if recipe.missing_features:
            description += f", without its paper's loss on VGG features ({recipe.missing_features})"
        self.progress.begin(Work(recipe.steps - first, recipe.steps - first, "steps", description))
        saved, seconds = time.monotonic(), checkpoint.seconds if checkpoint else 0.0
        begun = saved - seconds
        for degraded, sharp in batches:
            pending.add(trainer.step(degraded, sharp))
            step, now = trainer.steps_done, time.monotonic()
            seconds = now - begun
            stopped, late = processes.any_of(self.stop.is_set(), now - saved > 60 * self.checkpoint_minutes)
            validates = step % self.validate_every == 0 or step == recipe.steps
            logs = validates or step == 1 or step % self.log_every == 0
            saves = validates or stopped or late
            if logs or saves or step in recipe.keep:
                means = pending.means(step)
            if saves or step in recipe.keep:
                trainer.check_weights()
            if writes and step in recipe.keep:
                self._write_weights(trainer, f"weights-{step}.safetensors", seconds)
            row = None
            if logs and writes:
                row = self._make_row(trainer, means, seconds, validates)
                log.append(row)
                if board:
                    board.append(row)
                if validates:
                    draw_curves(log.rows, out / "curves.png")
            if logs:
                pending.clear()
            if saves:
                saved = time.monotonic()
                if writes:
                    self._write_checkpoint(trainer, saved - begun, pending, skipped)
            self.progress.step(Event(f"step {step}", 1, 1, detail=row))
            if stopped and step < recipe.steps:
                raise KeyboardInterrupt
        if writes:
            self._write_weights(trainer, "weights.safetensors", seconds)

    def _make_row(self, trainer: Trainer, losses: dict[str, float], seconds: float, validates: bool) -> LogRow:
        """A row of the log, with a validation if it is time."""
        step = trainer.steps_done
        scores, measured_on = dict[str, float](), ""
        if validates:
            strip = self.out / "strips" / f"{step:07d}.png"
            network = trainer.average.module
            scores, measured_on = validate(network, self.spec, self.unseen, self.device, strip, self.progress)
        return LogRow(step, seconds, self.recipe.learning_rate_at(step - 1), losses, scores, measured_on)

    def _write_weights(self, trainer: Trainer, name: str, seconds: float) -> None:
        """Write the averaged weights in float16, half the size of float32."""
        samples = max(1, trainer.steps_done * self.recipe.batch)
        about = {
            "model": self.recipe.model,
            "recipe": self.recipe.to_json(),
            "trained_on": self.trained_on,
            "seconds_per_sample": f"{seconds / samples:.4g}",
        }
        if self.recipe.missing_features:
            about["without_features"] = self.recipe.missing_features
        state_dict.save(trainer.average.module.state_dict(), self.out / name, about, torch.float16)

    def _write_checkpoint(self, trainer: Trainer, seconds: float, pending: LossMeans, skipped: int) -> None:
        Checkpoint(
            recipe=self.recipe.to_json(),
            precision=name_of(self.dtype),
            seconds=seconds,
            trainer=trainer.state(),
            trained_on=self.trained_on,
            losses=pending.steps,
            batches_skipped=skipped,
        ).write(self.out / "checkpoint.pt")

    def _write_run_info(self, first: int, skipped: int) -> None:
        """Tell how the run is computed, for people: run.json has an entry for every sitting."""
        sitting = {
            "first_step": first,
            "batches_skipped": skipped,
            "device": str(self.device),
            "processes": processes.count(),
            "precision": name_of(self.dtype),
            "compiled": self.compiled,
            "data": str(self.data),
            "validation": self.unseen.description,
            "environment": environment(),
        }
        path, earlier = self.out / "run.json", []
        if first:
            with suppress(
                OSError, ValueError, LookupError, TypeError, RecursionError
            ):  # gone or spoilt, it stops no run
                earlier = list(json.loads(path.read_bytes())["sittings"])
        _write_json(path, {"sittings": [*earlier, sitting]})


def _write_json(path: Path, value: object) -> None:
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def _restore(trainer: Trainer, checkpoint: Checkpoint, out: Path) -> None:
    try:
        trainer.load_state(checkpoint.trainer)
    except Exception as error:  # of another version, or spoilt in any way
        raise UsageError(
            f"The checkpoint cannot be used ({type(error).__name__}: {error}).",
            "Choose another folder for the run.",
            out / "checkpoint.pt",
        ) from error


def _begin_with(network: nn.Module, start: Model) -> None:
    """Fill a network, but for those of its parts that the weights know nothing of.

    Raises:
        WeightsError: the weights do not fit.
    """
    state = start.module.state_dict()
    parts = {name.split(".")[0] for name in state}
    fresh = {name: tensor for name, tensor in network.state_dict().items() if name.split(".")[0] not in parts}
    state_dict.fit(network, fresh | state, Path(start.provenance.weights))
