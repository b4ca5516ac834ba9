"""Optimisers and clipping on two parameters, with the steps computed by hand."""

import pytest
import torch
from torch import nn

from restorekit.training.optimisation import clip_gradients, make_optimiser, set_learning_rate
from restorekit.training.recipe import Recipe


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1, bias=False)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 1.0)


def values(network: nn.Module) -> dict[str, float]:
    return {name: float(parameter.detach()) for name, parameter in network.named_parameters()}


def set_gradients(network: nn.Module, *gradients: float) -> None:
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        parameter.grad = torch.full_like(parameter, gradient)


def gradients(network: nn.Module) -> list[float]:
    return [float(parameter.grad) for parameter in network.parameters() if parameter.grad is not None]


def take_steps(recipe: Recipe, *rates: float) -> dict[str, float]:
    """Parameters that begin at 1 after steps down the same gradients."""
    network = Two()
    optimiser = make_optimiser(recipe, network)
    for rate in rates:
        set_gradients(network, 2.0, -1.0, 4.0)
        set_learning_rate(optimiser, rate)
        optimiser.step()
    return values(network)


def test_sgd_has_momentum() -> None:
    after = take_steps(Recipe("espcn", optimizer="sgd", momentum=0.9), 0.1, 0.01)
    # 1 - 0.1 g - 0.01 (0.9 g + g)
    assert after == pytest.approx({"first.weight": 0.762, "first.bias": 1.119, "second.weight": 0.524})


def test_weight_decay_adds_to_the_gradient() -> None:
    after = take_steps(Recipe("espcn", optimizer="sgd", weight_decay=0.5), 0.1)
    assert after == pytest.approx({"first.weight": 0.75, "first.bias": 1.05, "second.weight": 0.55})


def test_adam_has_the_recipes_betas() -> None:
    network = Two()
    optimiser = make_optimiser(Recipe("espcn", betas=(0.5, 0.75)), network)
    set_learning_rate(optimiser, 0.1)
    for gradient in (1.0, 3.0):
        set_gradients(network, gradient, gradient, gradient)
        optimiser.step()
    # Means (0.25 + 1.5) / 0.75 and (0.1875 + 2.25) / 0.4375 after two steps.
    assert values(network)["first.bias"] == pytest.approx(1 - 0.1 - 0.1 * (1.75 / 0.75) / (2.4375 / 0.4375) ** 0.5)


def test_rate_factors_go_by_the_first_pattern_that_matches() -> None:
    recipe = Recipe("espcn", optimizer="sgd", rate_factors={"*.bias": 0.1, "first.*": 0.5})
    assert take_steps(recipe, 0.1) == pytest.approx({"first.weight": 0.9, "first.bias": 1.01, "second.weight": 0.6})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"gradient_clip": 1.0}, [2 / 3, -1 / 3, 2 / 3]),  # the norm is 3
        ({"gradient_clip": 9.0}, [2.0, -1.0, 2.0]),
        ({"gradient_clip": 1.5, "clip_by": "value"}, [1.5, -1.0, 1.5]),
        ({"gradient_clip": 0.3, "clip_by": "value", "clip_over_rate": True}, [0.6, -0.6, 0.6]),
        ({"gradient_clip": 0.3, "clip_over_rate": True}, [0.4, -0.2, 0.4]),
        ({"gradient_clip": 0.5, "clip_only": "second.*"}, [2.0, -1.0, 0.5]),
    ],
)
def test_gradients_are_clipped_as_the_recipe_says(settings: dict[str, object], expected: list[float]) -> None:
    network, recipe = Two(), Recipe("espcn").replacing(**settings)
    set_gradients(network, 2.0, -1.0, 2.0)
    clip_gradients(recipe, make_optimiser(recipe, network), learning_rate=0.5)
    assert gradients(network) == pytest.approx(expected, rel=1e-5)


def test_a_parameter_whose_factor_is_zero_gets_no_gradient_and_counts_in_no_norm() -> None:
    network = torch.nn.ModuleDict(
        {"kept": torch.nn.Linear(1, 1, bias=False), "learned": torch.nn.Linear(1, 1, bias=False)}
    )
    recipe = Recipe("espcn", optimizer="sgd", rate_factors={"kept.*": 0.0}, gradient_clip=1.0)
    optimiser = make_optimiser(recipe, network)
    (100 * network["kept"](torch.ones(1, 1)) + 0.5 * network["learned"](torch.ones(1, 1))).sum().backward()
    clip_gradients(recipe, optimiser, 1.0)
    assert network["kept"].weight.grad is None
    assert network["learned"].weight.grad.item() == pytest.approx(0.5)  # a norm with the 100 would leave 0.005
