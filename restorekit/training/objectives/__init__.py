"""What a generator is trained for: one file an objective, found by the name in a system's spec.

An objective's file defines

    LossWeights                             a frozen dataclass of numbers; a term of weight 0 is not computed
    Options                                 optional: a frozen dataclass of what else can be chosen
    Objective(loss_weights[, options][, perceptual])    a `TrainingObjective` that owns the discriminators

`Objective` takes options where the file has them, and a perceptual loss where `LossWeights` has a `perceptual` term.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from restorekit.errors import UsageError
from restorekit.models import config, registry
from restorekit.training.objectives.base import TrainingObjective
from restorekit.training.perceptual import load_perceptual_loss
from restorekit.training.settings import usage_error


def check(name: str, loss_weights: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an objective, typed: what its class takes by keyword.

    Args:
        name: its file.
        loss_weights: weights of loss terms; the others keep their defaults.
        options: options of the objective; the others keep their defaults.

    Raises:
        UsageError: there is no such term or option, or it has no such value.
    """
    module = import_module(f"{__name__}.{name}")
    settings: dict[str, Any] = {"loss_weights": _typed(module.LossWeights, loss_weights, "loss")}
    if hasattr(module, "Options"):
        settings["options"] = _typed(module.Options, options, "objective")
    elif options:
        raise UsageError(f"This system's objective has no options, so no '{next(iter(options))}'.")
    return settings


def parse_options(model: str, entries: Iterable[str]) -> dict[str, object]:
    """Read options of a system's objective as the command line takes them.

    Args:
        model: the system.
        entries: ``KEY=VALUE`` each, e.g. ``gan=non-saturating``.

    Raises:
        UsageError: there is no such option, or the value is not of its type.
    """
    module = import_module(f"{__name__}.{registry.spec_of(model).objective}")
    if not hasattr(module, "Options"):
        raise UsageError(f"The objective of '{model}' has no options.")
    return config.parse_options(f"the objective of {model}", module.Options, entries)


def make(
    name: str,
    loss_weights: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    features: Path | None = None,
) -> TrainingObjective:
    """Build an objective.

    Args:
        name: its file.
        loss_weights: weights of loss terms; the others keep their defaults.
        options: options of the objective; the others keep their defaults.
        features: VGG weights for a perceptual term; without them pixels take its place.

    Raises:
        UsageError: see `check`, or the objective has no perceptual term.
        WeightsError: see `load_perceptual_loss`.
    """
    settings = check(name, loss_weights or {}, options or {})
    if features is not None:
        if not hasattr(settings["loss_weights"], "perceptual"):
            raise UsageError("This system's loss has no perceptual term.", "Leave out the features.")
        settings["perceptual"] = load_perceptual_loss(features)
    return cast(TrainingObjective, import_module(f"{__name__}.{name}").Objective(**settings))


def _typed(kind: type, values: Mapping[str, Any], what: str) -> object:
    try:
        return kind(**values)
    except ValidationError as error:
        raise usage_error(error, what, known=[field.name for field in fields(kind)]) from None
