"""The training loop: one process, resumable to the bit, the same result for any number of loader workers."""

import csv
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from restorekit.errors import RestorekitError, UsageError
from restorekit.imaging.dtypes import from_unit
from restorekit.imaging.resize import resize
from restorekit.metrics import psnr, ssim
from restorekit.models import registry
from restorekit.runtime.memory import keep_buffers
from restorekit.training import objectives
from restorekit.training.recipe import Precision, Recipe
from restorekit.training.samples import Picture, Samples, Validation
from restorekit.weights import state_dict
from restorekit.weights.load import load_model


@dataclass
class Progress:
    """What a step or a validation looked like, for the log and for whoever watches."""

    step: int
    steps: int
    seconds: float
    """Training time of the whole run so far, earlier sittings included."""
    rate: float
    """Learning rate."""
    first: int = 0
    """Step at which this sitting began."""
    terms: dict[str, float] = field(default_factory=dict)
    """Mean of every weighted loss term since the last report."""
    scores: dict[str, float] = field(default_factory=dict)
    """PSNR and SSIM of the validation pictures, restored and as they came; empty between validations."""


Watch = Callable[[Progress], None]


def autocast_type(precision: Precision, device: torch.device) -> torch.dtype:
    """The type convolutions run in: what was asked for, or for "auto" the fastest that is safe to train with."""
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        # Without the instructions bfloat16 is emulated, which is slower than float32.
        return torch.bfloat16 if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


class Trainer:
    """Networks, optimisers and the step number: all that a checkpoint holds."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        spec = registry.spec_of(recipe.model)
        if not spec.parameters:
            raise UsageError(f"'{recipe.model}' has nothing to learn.", "Train another model.")
        self.model = registry.build(recipe.model, **recipe.config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))  # type: ignore[no-untyped-call]
        self.objective = objectives.make(
            spec.objective, Path(recipe.features) if recipe.features else None, **recipe.weights
        ).to(device)
        critics = self.objective.critics.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.model.parameters(), betas=recipe.betas)
        self.adversarial = any(True for _ in critics.parameters())
        self.critic_optimiser = torch.optim.Adam(critics.parameters(), betas=recipe.betas) if self.adversarial else None
        self.dtype = autocast_type(recipe.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.step = 0
        self.seconds = 0.0

    def advance(self, degraded: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """One step of the generator and, if there are any, of the critics. Returns the loss terms."""
        rate = self.recipe.rate(self.step)
        terms, restored = self._apply(
            self.optimiser, rate, lambda: self.objective.generator(self.model, degraded, sharp)
        )
        if self.critic_optimiser is not None:
            fixed = restored.detach()
            for _ in range(self.objective.turns(self.step)):
                critic_terms, _ = self._apply(
                    self.critic_optimiser,
                    rate,
                    lambda: ({"critic": self.objective.critic(degraded, fixed, sharp)}, fixed),
                )
                self.objective.constrain()
                terms |= critic_terms
        self.scaler.update()
        self.average.update_parameters(self.model)
        self.step += 1
        return terms

    def _apply(
        self, optimiser: torch.optim.Optimizer, rate: float, loss: Callable[[], tuple[dict[str, Tensor], Tensor]]
    ) -> tuple[dict[str, Tensor], Tensor]:
        optimiser.zero_grad(set_to_none=True)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            terms, restored = loss()
        self.scaler.scale(torch.stack(list(terms.values())).sum()).backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip:
            self.scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], self.recipe.clip)
        self.scaler.step(optimiser)
        return {name: term.detach() for name, term in terms.items()}, restored

    def state(self) -> dict[str, Any]:
        """All that is needed to go on as if nothing had happened."""
        return {
            "recipe": self.recipe.to_json(),
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "critics": self.objective.critics.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict() if self.critic_optimiser else {},
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.objective.critics.load_state_dict(state["critics"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.critic_optimiser:
            self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"].cpu())


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
    watch: Watch = lambda progress: None,
) -> Path:
    """Train a network, or go on with the run that `out` holds.

    Args:
        recipe: settings; for a run that goes on they must be the ones it was begun with.
        data: folder of sharp pictures or of pairs.
        out: folder of the run: recipe.json, log.csv, checkpoint.pt, strips/, weights.safetensors.
        validation: folder of sharp pictures or pairs; by default a few pictures of `data` are held out.
        start: weights to begin with instead of random ones (fine-tuning).
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: processes that prepare samples; the result does not depend on it.
        log_every: steps between rows of the log.
        validate_every: steps between validations and checkpoints.
        watch: called with every report.

    Returns:
        The file of the finished weights.

    Raises:
        UsageError: no data, or `out` holds a run with another recipe.
        RestorekitError: the loss is no longer finite.
    """
    where = torch.device(device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    keep_buffers()
    out.mkdir(parents=True, exist_ok=True)
    samples = Samples(data, recipe.crop, recipe.degradation(), recipe.seed, hold_out=validation is None)
    unseen = Validation(validation, recipe.degradation(), recipe.seed) if validation else samples.held_out()
    trainer = Trainer(recipe, where)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=where, weights_only=True)
        if state["recipe"] != recipe.to_json():
            raise UsageError(
                "The folder holds a run with another recipe.", "Repeat its settings, or choose another --out.", out
            )
        trainer.restore(state)
    elif start is not None:
        state_dict.fit(trainer.model, load_model(recipe.model, start).module.state_dict(), start)
    (out / "recipe.json").write_text(recipe.to_json() + "\n", encoding="utf-8")
    log = _Log(out / "log.csv", trainer.step)

    first = trainer.step
    numbers = range(first * recipe.batch, recipe.steps * recipe.batch)
    batches: Iterator[tuple[Tensor, Tensor]] = iter(
        DataLoader(
            samples,
            recipe.batch,
            sampler=numbers,
            num_workers=workers,
            pin_memory=where.type == "cuda",
            prefetch_factor=4 if workers else None,
        )
    )
    sums: dict[str, Tensor] = {}
    counted = 0
    begun = time.monotonic() - trainer.seconds
    for degraded, sharp in batches:
        degraded, sharp = (
            batch.to(where, non_blocking=True, memory_format=torch.channels_last) for batch in (degraded, sharp)
        )
        for name, term in trainer.advance(degraded, sharp).items():
            sums[name] = sums.get(name, torch.zeros((), device=where)) + term
        counted += 1
        done = trainer.step == recipe.steps
        if trainer.step % log_every == 0 or done or trainer.step % validate_every == 0:
            trainer.seconds = time.monotonic() - begun
            progress = Progress(trainer.step, recipe.steps, trainer.seconds, recipe.rate(trainer.step - 1), first)
            progress.terms = {name: float(total) / counted for name, total in sums.items()}
            sums, counted = {}, 0
            if not np.isfinite(sum(progress.terms.values())):
                raise RestorekitError(
                    f"The loss is no longer finite at step {trainer.step}.",
                    "Start again from the last checkpoint with --precision fp32 or a lower learning rate.",
                    out,
                )
            if trainer.step % validate_every == 0 or done:
                progress.scores = validate(
                    trainer.average.module, unseen, where, out / "strips" / f"{trainer.step:07d}.png"
                )
                _save_checkpoint(trainer, checkpoint)
            log.write(progress)
            watch(progress)
    weights = out / "weights.safetensors"
    about = {"model": recipe.model, "recipe": recipe.to_json()}
    state_dict.save(trainer.average.module.state_dict(), weights, about, torch.float16)  # half the size, same pictures
    return weights


def _save_checkpoint(trainer: Trainer, path: Path) -> None:
    beside = path.with_name(path.name + ".part")
    torch.save(trainer.state(), beside)
    os.replace(beside, path)


class _Log:
    """log.csv: one row a report. Rows after the checkpoint a run resumes from are dropped: they will come again."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]

    def write(self, progress: Progress) -> None:
        row = {"step": progress.step, "seconds": f"{progress.seconds:.1f}", "rate": f"{progress.rate:.3g}"}
        values = {**progress.terms, **progress.scores}
        self.rows.append(row | {name: f"{value:.5g}" for name, value in values.items()})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        beside = self.path.with_name(self.path.name + ".part")
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(beside, self.path)


def validate(model: nn.Module, pairs: Validation, device: torch.device, strip: Path) -> dict[str, float]:
    """Mean PSNR and SSIM of whole validation pictures in float32, and a strip of a few of them.

    Args:
        model: the network; its mode is put back afterwards.
        pairs: pictures of any size.
        device: where the model is.
        strip: PNG to write: input (enlarged bicubically if it is small), restored, sharp side by side, one picture a row.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, float] = {"psnr": 0.0, "ssim": 0.0, "input_psnr": 0.0, "input_ssim": 0.0}
    rows: list[Picture] = []
    for degraded, sharp in pairs:
        batch = torch.from_numpy(degraded).permute(2, 0, 1)[None].to(device).float() / 255
        with torch.inference_mode():
            restored = from_unit(model(batch)[0].permute(1, 2, 0).cpu().numpy())
        shown = degraded if degraded.shape == sharp.shape else resize(degraded, sharp.shape[:2])
        for name, picture in (("", restored), ("input_", shown)):
            sums[f"{name}psnr"] += psnr(picture, sharp) / len(pairs)
            sums[f"{name}ssim"] += ssim(picture, sharp) / len(pairs)
        if len(rows) < 4 and (not rows or sharp.shape[1] * 3 == rows[0].shape[1]):
            rows.append(np.hstack([shown, restored, sharp]))
    model.train(was_training)
    strip.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(strip), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return sums
