"""One training step of a generator and its discriminators, and the state that a checkpoint holds."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from restorekit.models import registry
from restorekit.training import objectives
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.recipe import Recipe


class Trainer:
    """Networks, optimisers and the step number.

    Args:
        recipe: settings of the run.
        model: the generator, on its device.
        objective: what it is trained for, on the same device.
        dtype: what autocast computes in; float32 means no autocast.
    """

    def __init__(self, recipe: Recipe, model: nn.Module, objective: TrainingObjective, dtype: torch.dtype) -> None:
        self.recipe, self.model, self.objective, self.dtype = recipe, model, objective, dtype
        self.device = next(model.parameters()).device
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay))  # type: ignore[no-untyped-call]
        self.optimiser = torch.optim.Adam(model.parameters(), betas=recipe.betas)
        parameters = list(objective.discriminators.parameters())
        self.discriminator_optimiser = torch.optim.Adam(parameters, betas=recipe.betas) if parameters else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == torch.float16)
        self.steps_done = 0

    @classmethod
    def build(cls, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> "Trainer":
        """Make the networks that a recipe asks for. Seeds torch's generator, which they and every step draw from.

        Raises:
            UsageError: the objective has no perceptual term for the recipe's features.
            WeightsError: the features cannot be read.
        """
        torch.manual_seed(recipe.seed)
        model = registry.build(recipe.model, **recipe.config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        name = registry.spec_of(recipe.model).objective
        features = Path(recipe.features) if recipe.features else None
        objective = objectives.make(name, recipe.loss_weights, recipe.objective, features).to(device)
        objective.discriminators.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(recipe, model, objective, dtype)

    def step(self, degraded: Tensor, sharp: Tensor) -> LossTerms:
        """One step of the generator, and those of the discriminators that follow it.

        Args:
            degraded: (N,3,H,W) float32 in 0..1, on the device.
            sharp: (N,3,sH,sW), likewise.

        Returns:
            Weighted loss terms by name; "discriminator" is that of the last discriminator step.
        """
        learning_rate = self.recipe.learning_rate_at(self.steps_done)
        with self._autocast():
            terms, restored = self.objective.generator_loss(self.model, degraded, sharp)
        self._update(self.optimiser, learning_rate, terms)
        terms = {name: term.detach() for name, term in terms.items()}
        if self.discriminator_optimiser is not None:
            restored = restored.detach()
            for _ in range(self.objective.discriminator_steps(self.steps_done)):
                with self._autocast():
                    loss = self.objective.discriminator_loss(degraded, restored, sharp)
                self._update(self.discriminator_optimiser, learning_rate, {"discriminator": loss})
                self.objective.constrain()
                terms["discriminator"] = loss.detach()
        self.scaler.update()
        self.average.update_parameters(self.model)
        self.steps_done += 1
        return terms

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def _update(self, optimiser: torch.optim.Optimizer, learning_rate: float, terms: LossTerms) -> None:
        """Go one step down the sum of the terms."""
        optimiser.zero_grad(set_to_none=True)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        self.scaler.scale(torch.stack(list(terms.values())).sum()).backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip:
            self.scaler.unscale_(optimiser)
            parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.gradient_clip)
        self.scaler.step(optimiser)

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
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.steps_done = state["steps_done"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.objective.discriminators.load_state_dict(state["discriminators"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.discriminator_optimiser:
            self.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"].cpu())
        if self.device.type == "cuda" and state["cuda_random"] is not None:
            torch.cuda.set_rng_state(state["cuda_random"].cpu(), self.device)
