"""One training step of a generator and its discriminators, and the state that a checkpoint holds."""

import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from restorekit.models import registry
from restorekit.training import objectives, processes
from restorekit.training.loss_means import NotFinite
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.optimisation import check_patterns, clip_gradients, make_optimiser, set_learning_rate
from restorekit.training.recipe import Recipe


class Trainer:
    """Networks, optimisers and the step number.

    Args:
        recipe: settings of the run.
        model: the generator, on its device.
        objective: what it is trained for, on the same device.
        dtype: what autocast computes in; float32 means no autocast.
        compiled: compile the losses, and with them the networks, when they are first computed.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        objective: TrainingObjective,
        dtype: torch.dtype,
        *,
        compiled: bool = False,
    ) -> None:
        self.recipe, self.model, self.objective, self.dtype = recipe, model, objective, dtype
        self.generator_loss, self.discriminator_loss = objective.generator_loss, objective.discriminator_loss
        if compiled:
            self.generator_loss = torch.compile(self.generator_loss)
            self.discriminator_loss = torch.compile(self.discriminator_loss)
        self.device = next(model.parameters()).device
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))  # type: ignore[no-untyped-call]
        self.optimiser = make_optimiser(recipe, model)
        discriminators = objective.discriminators
        trains_discriminators = any(True for _ in discriminators.parameters())
        self.discriminator_optimiser = make_optimiser(recipe, discriminators) if trains_discriminators else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == torch.float16)
        self.steps_done = 0

    @classmethod
    def build(cls, recipe: Recipe, device: torch.device, dtype: torch.dtype, *, compiled: bool = False) -> "Trainer":
        """Make the networks that a recipe asks for. Seeds torch's generator, which they and every step draw from.

        Raises:
            UsageError: the objective has no perceptual term for the recipe's features, or a pattern of the recipe matches
                no parameter.
            WeightsError: the features cannot be read.
        """
        torch.manual_seed(recipe.seed)
        model = registry.build(recipe.model, **recipe.config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        check_patterns(recipe, model)
        name = registry.spec_of(recipe.model).objective
        features = Path(recipe.features) if recipe.features else None
        objective = objectives.make(name, recipe.loss_weights, recipe.objective, features).to(device)
        objective.discriminators.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(recipe, model, objective, dtype, compiled=compiled)

    def step(self, degraded: Tensor, sharp: Tensor) -> LossTerms:
        """One step of the generator, and those of the discriminators that follow it.

        Args:
            degraded: (N,3,H,W) float32 in 0..1, on the device: this process's share of the batch.
            sharp: (N,3,sH,sW), likewise.

        Returns:
            Weighted loss terms by name, means over this process's share; "discriminator" is that of the last
            discriminator step.
        """
        # Resumed runs and all processes know their random numbers without being told.
        seeds = np.random.SeedSequence([self.recipe.seed, self.steps_done, processes.rank()])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        learning_rate = self.recipe.learning_rate_at(self.steps_done)
        passes = self.recipe.accumulate
        parts = list(zip(degraded.chunk(passes), sharp.chunk(passes), strict=True))
        restored: list[Tensor] = []
        terms = self._update(self.optimiser, learning_rate, self._generator_passes(parts, restored))
        if self.discriminator_optimiser is not None:
            for _ in range(self.objective.discriminator_steps(self.steps_done)):
                losses = self._discriminator_passes(parts, restored)
                terms |= self._update(self.discriminator_optimiser, learning_rate, losses)
                self.objective.constrain()
        processes.follow_first([*self.model.buffers(), *self.objective.discriminators.buffers()])
        self.scaler.update()
        self.average.update_parameters(self.model)
        self.steps_done += 1
        return terms

    def _generator_passes(self, parts: list[tuple[Tensor, Tensor]], restored: list[Tensor]) -> Iterator[LossTerms]:
        """The generator's loss terms for one part of the batch after the other; adds what it restored to `restored`."""
        for degraded, sharp in parts:
            with self._autocast():
                terms, output = self.generator_loss(self.model, degraded, sharp)
            restored.append(output.detach())
            yield terms

    def _discriminator_passes(self, parts: list[tuple[Tensor, Tensor]], restored: list[Tensor]) -> Iterator[LossTerms]:
        for (degraded, sharp), output in zip(parts, restored, strict=True):
            with self._autocast():
                loss = self.discriminator_loss(degraded, output, sharp)
            yield {"discriminator": loss}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _update(self, optimiser: torch.optim.Optimizer, learning_rate: float, passes: Iterator[LossTerms]) -> LossTerms:
        """Go one step down the sum of the terms, in the mean over the passes. Returns the means."""
        optimiser.zero_grad(set_to_none=True)
        means: LossTerms = {}
        for terms in passes:
            parts = {name: term / self.recipe.accumulate for name, term in terms.items()}
            self.scaler.scale(torch.stack(list(parts.values())).sum()).backward()  # type: ignore[no-untyped-call]
            means = {name: means.get(name, 0) + part.detach() for name, part in parts.items()}
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        processes.average(parameter.grad for parameter in parameters if parameter.grad is not None)
        set_learning_rate(optimiser, learning_rate)
        if self.recipe.gradient_clip:
            self.scaler.unscale_(optimiser)
            clip_gradients(self.recipe, optimiser, learning_rate)
        self.scaler.step(optimiser)
        return means

    def check_weights(self) -> None:
        """See that a step has not spoilt the generator.

        Raises:
            NotFinite: one of its weights.
        """
        if not all(parameter.isfinite().all() for parameter in self.model.parameters()):
            raise NotFinite("A weight", self.steps_done)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on as if nothing had happened."""
        optimiser = self.discriminator_optimiser
        return {
            "steps_done": self.steps_done,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "discriminators": self.objective.discriminators.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "discriminator_optimiser": optimiser.state_dict() if optimiser else {},
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken.

        Raises:
            Exception: of any kind; the state is of another recipe, or spoilt.
        """
        self.steps_done = operator.index(state["steps_done"])
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.objective.discriminators.load_state_dict(state["discriminators"])
        _load_momenta(self.optimiser, state["optimiser"])
        if self.discriminator_optimiser:
            _load_momenta(self.discriminator_optimiser, state["discriminator_optimiser"])
        self.scaler.load_state_dict(state["scaler"])


def _load_momenta(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load all but the hyperparameters, which are the recipe's."""
    optimiser.load_state_dict({"state": state["state"], "param_groups": optimiser.state_dict()["param_groups"]})
    expected = {"momentum_buffer"} if isinstance(optimiser, torch.optim.SGD) else {"step", "exp_avg", "exp_avg_sq"}
    for parameter, values in optimiser.state.items():
        if values.keys() != expected:
            raise ValueError(f"the optimiser keeps {', '.join(sorted(expected))} of a parameter")
        for name, value in values.items():
            if not isinstance(value, Tensor) or value.shape != (() if name == "step" else parameter.shape):
                raise ValueError(f"{name} of the optimiser does not fit its parameter")
        if "step" in values and not values["step"] >= 0:
            raise ValueError("the optimiser has done fewer steps than none")
