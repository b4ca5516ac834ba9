"""Where the settings of a system's recipe come from.

A system's file holds `recipe`, settings of `training.recipe.Recipe` by their source:

    recipe = {
        "printed": {"batch": 4, "loss_weights": {"mse": 1.0}},     the system's paper prints it, or a paper that trains it
        "code": {"betas": (0.5, 0.999)},                           the authors' code has it
        "ours": {"crop": 256},                                     nobody says
        "without features": {"loss_weights": {"l1": 1.0}},         ours, where no VGG features are at hand
    }

Settings inside `loss_weights`, `objective` and `blur` may have different sources. What no group names is ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from restorekit.errors import RestorekitError
from restorekit.models import registry
from restorekit.training import objectives

if TYPE_CHECKING:
    from restorekit.training.recipe import Recipe

Source = Literal["printed", "code", "ours"]

GROUPS: dict[str, Source] = {"printed": "printed", "code": "code", "ours": "ours", "without features": "ours"}
NESTED = ("loss_weights", "objective", "blur")
"""Settings that are settings by name themselves."""

IDLE: dict[str, tuple[str, tuple[object, ...]]] = {
    "betas": ("optimizer", ("sgd",)),
    "momentum": ("optimizer", ("adam",)),
    "milestones": ("schedule", ("constant", "linear", "exponential", "cosine")),
    "decay": ("schedule", ("constant", "linear", "exponential", "cosine")),
    "decay_from": ("schedule", ("constant", "milestones", "cosine")),
    "floor": ("schedule", ("constant", "milestones", "cosine")),
    "power": ("schedule", ("constant", "milestones", "exponential", "cosine")),
    "clip_by": ("gradient_clip", (0.0,)),
    "clip_over_rate": ("gradient_clip", (0.0,)),
    "clip_only": ("gradient_clip", (0.0,)),
}
"""Settings that do nothing where another one has one of these values."""


def read(model: str, with_features: bool) -> tuple[dict[str, Any], dict[str, Source]]:
    """What a system's file says of its training.

    Args:
        model: the system.
        with_features: whether VGG features are at hand.

    Returns:
        Settings for `Recipe`, and the source of each; those inside others are called "loss_weights.mse".
    """
    settings: dict[str, Any] = {}
    found: dict[str, Source] = {}
    for group, values in getattr(registry.find(model), "recipe", {}).items():
        if group not in GROUPS:
            raise RestorekitError(f"The recipe of '{model}' has a group '{group}'.", f"Use {', '.join(GROUPS)}.")
        if group == "without features" and with_features:
            continue
        for name, value in values.items():
            if name in NESTED:
                settings.setdefault(name, {}).update(value)
            else:
                settings[name] = value
            found |= dict.fromkeys((key for key, _ in _flatten(name, value)), GROUPS[group])
    return settings, found


def list_settings(recipe: "Recipe") -> dict[str, object]:
    """Every setting of a recipe that does something, loss weights and options of the objective included, by flat names."""
    settings = asdict(recipe)
    spec = registry.configure(recipe.model, **recipe.config)[1]
    chosen = objectives.check(spec.objective, recipe.loss_weights, recipe.objective)
    settings |= {"loss_weights": asdict(chosen["loss_weights"])}
    settings |= {"objective": asdict(chosen["options"]) if "options" in chosen else {}}
    idle = {name for name, (other, values) in IDLE.items() if settings[other] in values}
    idle |= {"model", "downscale" if spec.task == "deblur" else "blur"}
    return {key: value for name in settings if name not in idle for key, value in _flatten(name, settings[name])}


def _flatten(name: str, value: object) -> Iterator[tuple[str, object]]:
    if name in NESTED and isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{name}.{key}", inner
    else:
        yield name, value
