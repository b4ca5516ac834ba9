"""Every system trains towards its own goal: with its critics at work, and with features where it takes them."""

import math
from pathlib import Path

import pytest
import torch
from helpers import SMALL
from torch import nn

from restorekit.errors import UsageError, WeightsError
from restorekit.models import registry
from restorekit.training import objectives
from restorekit.training.adversarial import EM, JS, gradient_penalty
from restorekit.training.features import Features
from restorekit.training.recipe import Recipe
from restorekit.training.run import Trainer
from restorekit.weights import state_dict

CROPS = {"deblurgan-v2-inception": 128, "deepdeblur": 256}
NAMES = [name for name in registry.names() if registry.spec_of(name).parameters]


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    generator = torch.Generator().manual_seed(0)
    sizes = {0: (8, 3), 2: (8, 8), 5: (8, 8), 7: (8, 8), 10: (8, 8), 12: (8, 8), 14: (8, 8)}
    state = {}
    for index, (after, before) in sizes.items():
        state[f"features.{index}.weight"] = torch.randn(after, before, 3, 3, generator=generator) / 6
        state[f"features.{index}.bias"] = torch.zeros(after)
    state_dict.save(state, path, {})
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_system_takes_a_step_by_its_papers_recipe(name: str) -> None:
    paper = Recipe.of_paper(name)
    recipe = Recipe(name, config=SMALL.get(name, {}), batch=2, betas=paper.betas, precision="fp32")
    trainer = Trainer(recipe, torch.device("cpu"))
    scale = registry.spec_of(name).scale
    side = CROPS.get(name, 128)
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    sharp = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    terms = trainer.advance(0.9 * nn.functional.avg_pool2d(sharp, scale), sharp)
    assert all(math.isfinite(float(value)) for value in terms.values())
    assert any(not torch.equal(before[key], value) for key, value in trainer.model.state_dict().items())


@pytest.mark.parametrize("name", ["deblurgan", "deblurgan-v2", "dgf", "msdn"])
def test_features_join_or_take_the_place_of_pixels(name: str, vgg: Path) -> None:
    goal = objectives.make(registry.spec_of(name).objective, vgg, adversarial=0)
    model = registry.build(name, **SMALL.get(name, {}))
    terms, _ = goal.generator(model, torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert "perceptual" in terms
    assert ("pixel" in terms) is False


def test_features_are_zero_for_the_same_picture_and_frozen(vgg: Path) -> None:
    features, rgb = Features(vgg), torch.rand(1, 3, 32, 32)
    assert float(features(rgb, rgb)) == 0
    assert float(features(rgb, rgb.flip(3))) > 0
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_features_need_the_layers(tmp_path: Path) -> None:
    state_dict.save({"features.0.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "x.safetensors", {})
    with pytest.raises(WeightsError, match=r"features\.0\.bias"):
        Features(tmp_path / "x.safetensors")


def test_systems_without_a_perceptual_term_refuse_features_and_unknown_terms(vgg: Path) -> None:
    with pytest.raises(UsageError, match="no perceptual term"):
        objectives.make("pixel", vgg)
    with pytest.raises(UsageError, match="They are l1, mse"):
        objectives.make("pixel", None, pixels=1)


def test_rhythm_of_critic_and_generator() -> None:
    assert [objectives.make("deblurgan").turns(step) for step in range(3)] == [5, 5, 5]
    assert [objectives.make("msdn").turns(step) for step in range(6)] == [0, 0, 0, 0, 1, 0]


def test_the_sr_critic_stays_within_its_clip_and_refuses_small_crops() -> None:
    goal = objectives.make("srgan_em", side=64)
    goal.constrain()
    assert max(float(p.detach().abs().max()) for p in goal.critics.features[0].parameters()) <= 0.01
    with pytest.raises(UsageError, match="64 px"):
        goal.critic(torch.rand(1, 3, 8, 8), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))


def test_games_reward_what_they_say() -> None:
    low, high = torch.full((4, 1), -2.0), torch.full((4, 1), 2.0)
    for game in (JS, EM):
        assert game.critic(low, high) < game.critic(high, low)  # restored scored low, sharp scored high
        assert game.generator(high, low) < game.generator(low, low)


def test_gradient_penalty_of_a_plane_is_known() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    nn.init.constant_(critic[1].weight, 0.5)  # slope: sqrt(12 * 0.25)
    found = gradient_penalty(critic, torch.zeros(3, 3, 2, 2), torch.ones(3, 3, 2, 2))
    assert float(found.detach()) == pytest.approx((math.sqrt(3) - 1) ** 2, rel=1e-5)
