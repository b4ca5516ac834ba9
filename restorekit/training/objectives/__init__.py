"""What a generator is trained for: one file an objective, found by the name in a system's spec.

An objective's file defines `Weights`, a frozen dataclass of numbers (a term of weight 0 is not computed), and
`Objective(weights)`, a `Goal` that owns the critics. Where `Weights` has `perceptual`, `Objective` also takes the features.
"""

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from restorekit.errors import UsageError
from restorekit.training.features import Features

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


def make(name: str, features: Path | None = None, **weights: float) -> Goal:
    """Build an objective.

    Args:
        name: its file.
        features: VGG weights for a perceptual term; without them pixels take its place.
        weights: of the terms; the others keep their defaults.

    Raises:
        UsageError: there is no such term, or the objective has no perceptual term.
    """
    module = import_module(f"restorekit.training.objectives.{name}")
    try:
        chosen = module.Weights(**weights)
    except TypeError:
        terms = ", ".join(field.name for field in fields(module.Weights))
        raise UsageError(f"Not all of {', '.join(weights)} are terms of the loss.", f"They are {terms}.") from None
    if features is None:
        return cast(Goal, module.Objective(chosen))
    if not hasattr(chosen, "perceptual"):
        raise UsageError("This system's loss has no perceptual term.", "Leave out --features.")
    return cast(Goal, module.Objective(chosen, Features(features)))
