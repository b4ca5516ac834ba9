"""What a generator is trained for: one file an objective, found by the name in a system's spec.

An objective's file defines

    LossWeights                             a frozen dataclass of numbers; a term of weight 0 is not computed
    Options                                 optional: a frozen dataclass of what else can be chosen
    Objective(loss_weights[, options][, features])      a `TrainingObjective` that owns the discriminators

`Objective` takes options where the file has them. Where `LossWeights` has a `perceptual` term, `Options` has the `layer`
of VGG that it compares, and `Objective` takes the features if they are at hand.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from restorekit.errors import UsageError
from restorekit.models import config, registry
from restorekit.training.objectives.base import TrainingObjective
from restorekit.training.perceptual import Layer, load_features


def check(name: str, loss_weights: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an objective, typed: what its class takes by keyword.

    Args:
        name: its file.
        loss_weights: weights of loss terms; the others keep their defaults.
        options: options of the objective; the others keep their defaults.

    Raises:
        UsageError: there is no such term or option, or it has no such value.
    """
    module = _module(name)
    terms = config.check_options("The loss", module.LossWeights, loss_weights)
    settings = {"loss_weights": module.LossWeights(**terms)}
    if hasattr(module, "Options"):
        chosen = config.check_options("The objective", module.Options, options)
        settings["options"] = module.Options(**chosen)
    elif options:
        raise UsageError(f"The objective '{name}' has no options, so no '{next(iter(options))}'.")
    return settings


def parse_loss_weights(model: str, entries: Iterable[str]) -> dict[str, Any]:
    """Read weights of a system's loss terms as the command line takes them.

    Args:
        model: the system.
        entries: ``TERM=NUMBER`` each, e.g. ``adversarial=0``.

    Raises:
        UsageError: there is no such term, or its weight is no number.
    """
    module = _module(registry.spec_of(model).objective)
    return config.parse_options(f"The loss of {model}", module.LossWeights, entries)


def parse_options(model: str, entries: Iterable[str]) -> dict[str, Any]:
    """Read options of a system's objective as the command line takes them.

    Args:
        model: the system.
        entries: ``KEY=VALUE`` each, e.g. ``gan=non-saturating``.

    Raises:
        UsageError: there is no such option, or the value is not of its type.
    """
    module = _module(registry.spec_of(model).objective)
    if hasattr(module, "Options"):
        return config.parse_options(f"The objective of {model}", module.Options, entries)
    for entry in entries:
        raise UsageError(f"The objective of {model} has no options, so no '{entry}'.")
    return {}


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
        features: VGG weights for a perceptual term; without them it is left out.

    Raises:
        UsageError: see `check`, or the loss has no perceptual term.
        WeightsError: see `load_features`.
    """
    settings = check(name, loss_weights or {}, options or {})
    if features is not None:
        layer = features_layer(name, loss_weights or {}, options or {})
        if layer is None:
            raise UsageError(
                "The loss has no perceptual term.", "Leave out the features, or give `perceptual` a weight."
            )
        settings["features"] = load_features(features, layer)
    return cast(TrainingObjective, _module(name).Objective(**settings))


def features_layer(name: str, loss_weights: Mapping[str, float], options: Mapping[str, Any]) -> Layer | None:
    """The layer of VGG whose features a loss compares; None for a loss without a perceptual term.

    Args:
        name, loss_weights, options: see `check`.
    """
    settings = check(name, loss_weights, options)
    if not getattr(settings["loss_weights"], "perceptual", 0.0):
        return None
    return cast(Layer, settings["options"].layer)


def _module(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
