import json
from pathlib import Path
from typing import Any

import pytest

from restorekit.errors import UsageError
from restorekit.training.recipe import Recipe


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, {0: 1e-4, 99: 1e-4}),
        ({"schedule": "milestones", "milestones": (10, 20, 30)}, {9: 1e-4, 10: 1e-5, 20: 1e-6, 99: 1e-7}),
        ({"schedule": "milestones", "milestones": (10, 20), "decay": 0.5}, {9: 1e-4, 10: 5e-5, 99: 2.5e-5}),
        ({"schedule": "linear"}, {0: 1e-4, 25: 7.5e-5, 99: 1e-6}),
        ({"schedule": "linear", "decay_from": 60, "floor": 2e-5}, {0: 1e-4, 60: 1e-4, 80: 6e-5, 99: 2.2e-5}),
        ({"schedule": "linear", "power": 2.0, "floor": 2e-5}, {0: 1e-4, 50: 4e-5, 90: 2.08e-5}),
        ({"schedule": "exponential", "floor": 1e-6}, {0: 1e-4, 50: 1e-5, 75: 10**-5.5}),
        ({"schedule": "exponential", "floor": 1e-6, "decay_from": 50}, {50: 1e-4, 75: 1e-5}),
        ({"schedule": "cosine"}, {0: 1e-4, 50: 5e-5, 75: 1e-4 * (1 - 0.5**0.5) / 2}),
        ({"schedule": "cosine", "warmup": 10}, {0: 1e-5, 8: 9e-5, 9: 1e-4}),
    ],
)
def test_the_learning_rate_follows_its_schedule(settings: dict[str, Any], rates: dict[int, float]) -> None:
    recipe = Recipe("gggan", steps=100, learning_rate=1e-4, **settings)
    assert {step: recipe.learning_rate_at(step) for step in rates} == pytest.approx(rates)


def test_a_linear_schedule_that_ends_before_it_falls_stays_flat() -> None:
    assert Recipe("gggan", steps=5, schedule="linear", decay_from=60).learning_rate_at(4) == 1e-4


def test_an_exponential_schedule_needs_a_floor() -> None:
    with pytest.raises(UsageError, match="never ends at 0"):
        Recipe("gggan").replacing(schedule="exponential")


def test_recipes_survive_their_file(tmp_path: Path) -> None:
    recipe = Recipe("gggan", config={"taps": (3, 5), "block": "rrdb"}, loss_weights={"pixel": 2.0}, betas=(0.5, 0.9))
    assert Recipe.from_json(recipe.to_json()) == recipe
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    assert Recipe.from_file(tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("learning_rat", 1e-4, "Did you mean learning_rate"),
        ("steps", 0, "steps"),
        ("betas", [0.9], "betas"),
        ("accumulate", 3, "batch of 4 does not divide into 3"),
        ("schedule", "sometimes", "schedule"),
        ("config", {"chanels": 3}, "chanels"),
        ("loss_weights", {"pixels": 3}, "pixels"),
        ("blur", {"lenght": [3, 4]}, "lenght"),
        ("learning_rate", float("nan"), "learning_rate"),
    ],
)
def test_a_misspelt_key_or_wrong_value_in_a_file_fails_at_once_by_its_name(
    tmp_path: Path, key: str, value: object, word: str
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"model": "gggan", key: value}))
    with pytest.raises(UsageError, match=word) as caught:
        Recipe.from_file(path)
    assert caught.value.path == path


def test_what_is_no_recipe_at_all_is_named(tmp_path: Path) -> None:
    for content in (b"", b"\xff", b"[]", b"{}", b'{"model": "nothing"}'):
        (tmp_path / "recipe.json").write_bytes(content)
        with pytest.raises(UsageError):
            Recipe.from_file(tmp_path / "recipe.json")
    with pytest.raises(UsageError, match="cannot be read"):
        Recipe.from_file(tmp_path / "absent.json")


def test_a_system_without_parameters_is_not_trained() -> None:
    with pytest.raises(UsageError, match="nothing to learn"):
        Recipe("gggan").replacing(model="bicubic")
    with pytest.raises(UsageError, match="nothing to learn"):
        Recipe.of_paper("tv")
