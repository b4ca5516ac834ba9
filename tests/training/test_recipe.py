import json
from pathlib import Path

import pytest

from restorekit.errors import UsageError
from restorekit.training.recipe import Recipe


def test_schedules_do_what_they_say() -> None:
    paper = Recipe("gggan")
    rates = [paper.learning_rate_at(step) for step in (0, 49_999, 50_000, 100_000, 300_000)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-6, 1e-8])
    cosine = Recipe("gggan", steps=100, schedule="cosine", warmup=10)
    assert cosine.learning_rate_at(0) == pytest.approx(1e-5)
    assert cosine.learning_rate_at(50) == pytest.approx(5e-5)
    assert cosine.learning_rate_at(99) < 1e-7


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
