"""Optimisers and gradient clipping as recipes ask for them."""

from fnmatch import fnmatchcase

import torch
from torch import nn

from restorekit.errors import UsageError
from restorekit.training.recipe import Recipe


def check_patterns(recipe: Recipe, network: nn.Module) -> None:
    """See that the recipe's patterns mean something.

    Raises:
        UsageError: one matches the name of no parameter.
    """
    names = [name for name, _ in network.named_parameters()]
    for pattern in (*recipe.rate_factors, recipe.clip_only or "*"):
        if not any(fnmatchcase(name, pattern) for name in names):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise UsageError(f"No parameter of '{recipe.model}' is called like {pattern}.", f"Its parts are {parts}.")


def make_optimiser(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a network, which has parameters.

    Its groups hold parameters whose learning rate has the same "factor", and which are "clipped" or not. Those whose factor
    is 0 keep their values: they get no gradient, which costs no work and counts in no norm.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factors = [factor for pattern, factor in recipe.rate_factors.items() if fnmatchcase(name, pattern)]
        factor = factors[0] if factors else 1.0
        if not factor:
            parameter.requires_grad_(False)
            continue
        kind = (factor, fnmatchcase(name, recipe.clip_only or "*"))
        groups.setdefault(kind, []).append(parameter)
    listed = [
        {"params": parameters, "factor": factor, "clipped": clipped} for (factor, clipped), parameters in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(listed, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    return torch.optim.Adam(listed, betas=recipe.betas, weight_decay=recipe.weight_decay)


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of a step, times each group's factor."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["factor"]


def clip_gradients(recipe: Recipe, optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Limit the gradients as the recipe says; they are those of the loss, not scaled."""
    parameters = [parameter for group in optimiser.param_groups if group["clipped"] for parameter in group["params"]]
    limit = recipe.gradient_clip / (learning_rate if recipe.clip_over_rate else 1.0)
    if recipe.clip_by == "value":
        nn.utils.clip_grad_value_(parameters, limit)
    else:
        nn.utils.clip_grad_norm_(parameters, limit)
