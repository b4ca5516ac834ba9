"""What a generator is trained for: one file an objective, found by the name in a system's spec.

An objective's file defines `Objective(weights)`, an nn.Module that owns the critics, and `Weights`, its settings.
"""

from importlib import import_module
from typing import Protocol, cast

from torch import Tensor, nn


class Objective(Protocol):
    """One adversarial (or plain) training goal."""

    critics: nn.Module
    """Networks trained against the generator; without parameters if there are none."""

    def generator(self, model: nn.Module, blurred: Tensor, sharp: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Weighted terms of the generator's loss by name, and the restored batch for the critics' turn."""
        ...

    def critic(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Loss of the critics for a detached restored batch."""
        ...


def make(name: str, **weights: float) -> Objective:
    """Build the objective called `name` with the given term weights (the others keep their defaults)."""
    module = import_module(f"restorekit.training.objectives.{name}")
    return cast(Objective, module.Objective(module.Weights(**weights)))
