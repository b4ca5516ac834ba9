"""What a generator is trained for: one file an objective, found by the name in a system's spec.

An objective's file defines `Weights`, a frozen dataclass of numbers (a term of weight 0 is not computed), and
`Objective(weights)`, a `Goal` that owns the critics.
"""

from importlib import import_module
from typing import cast

from torch import Tensor, nn

Terms = dict[str, Tensor]


class Goal(nn.Module):
    """A training goal; on its own it has no critics."""

    def __init__(self) -> None:
        super().__init__()
        self.critics: nn.Module = nn.ModuleDict()
        """Networks trained against the generator."""

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms of the generator's loss by name, and the restored batch for the critics' turn."""
        raise NotImplementedError

    def turns(self, step: int) -> int:
        """How many steps of the critics follow generator step `step` (counted from 0)."""
        return 1

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Loss of the critics for a detached restored batch."""
        raise NotImplementedError

    def constrain(self) -> None:
        """Called after every step of the critics: the place for a constraint on their weights."""


def make(name: str, **weights: float) -> Goal:
    """Build the objective called `name` with the given term weights (the others keep their defaults)."""
    module = import_module(f"restorekit.training.objectives.{name}")
    return cast(Goal, module.Objective(module.Weights(**weights)))
