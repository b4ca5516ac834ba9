"""`restorekit train`: which recipe it takes, and what it says of it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from restorekit.cli.app import app
from restorekit.errors import UsageError, WeightsError
from restorekit.training.recipe import Recipe
from restorekit.weights.manifest import load_manifest


def train(*arguments: str | Path, columns: str = "80") -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": columns})


def rows(shown: str) -> dict[str, tuple[str, str]]:
    """Value and source of every setting that a table shows."""
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.splitlines()[3:]]
    return {row[0]: (row[1], row[2]) for row in cells if len(row) == 3}


def test_the_recipe_is_shown_with_the_source_of_every_value() -> None:
    shown = train("--model", "msdn", "--show-recipe", "--batch", "2", "--crop", "256").stdout
    assert shown.startswith("Recipe of msdn, without the features of vgg19.conv5_4")
    assert max(map(len, shown.splitlines())) <= 80
    table = rows(shown)
    assert table["floor"] == ("1e-08", "printed")
    assert table["betas"] == ("0.5, 0.999", "authors' code")
    assert table["batch"] == ("2", "given")
    assert table["crop"] == ("256", "printed")  # what was given is what is printed
    assert table["seed"] == ("0", "ours")
    assert table["loss_weights.perceptual"] == ("100.0", "printed")
    assert "milestones" not in table  # of another schedule
    assert "momentum" not in table


def test_a_recipe_of_weights_or_of_a_file_is_called_by_its_name(tmp_path: Path) -> None:
    assert rows(train("--show-recipe", columns="200").stdout)["steps"] == ("9000", "weights photo")
    (tmp_path / "mine.json").write_text(Recipe("espcn", steps=7).to_json())
    table = rows(train("--recipe", tmp_path / "mine.json", "--show-recipe").stdout)
    assert table["steps"] == ("7", "mine.json")


def test_the_recipe_as_json_is_what_recipe_reads(tmp_path: Path) -> None:
    shown = train("--model", "vdsr", "--show-recipe", "--json", "--steps", "5").stdout
    (tmp_path / "recipe.json").write_text(shown)
    assert Recipe.from_file(tmp_path / "recipe.json") == Recipe.of_paper("vdsr").replacing(steps=5)


def test_only_a_shown_recipe_goes_without_data_and_a_place() -> None:
    for arguments in ((), ("--data", "x"), ("--out", "x"), ("--json", "--data", "x", "--out", "y")):
        assert isinstance(train(*arguments).exception, UsageError)


def test_features_decide_between_two_recipes(tmp_path: Path) -> None:
    (tmp_path / "vgg.pth").touch()
    without = rows(train("--model", "gggan", "--show-recipe").stdout)
    with_features = rows(train("--model", "gggan", "--show-recipe", "--features", tmp_path / "vgg.pth").stdout)
    assert without["loss_weights.pixel"] == ("1.0", "ours")
    assert with_features["loss_weights.pixel"] == ("0.01", "authors' code")
    assert with_features["loss_weights.perceptual"] == ("1.0", "authors' code")


def test_fetched_features_are_called_by_their_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path))
    asked = ("--model", "gggan", "--show-recipe", "--json", "--features", "vgg19")
    error = train(*asked).exception
    assert isinstance(error, WeightsError)
    assert "restorekit models fetch vgg19" in error.hint
    path = load_manifest().find_remote("vgg19").path
    path.parent.mkdir(parents=True)
    path.touch()
    assert json.loads(train(*asked).stdout)["features"] == str(path)


def test_features_can_be_fetched_by_their_network() -> None:
    shown = CliRunner().invoke(app, ["models", "fetch", "vgg19", "vgg16", "--dry-run"]).stdout
    assert "from https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in shown
    assert "from https://download.pytorch.org/models/vgg16-397923af.pth" in shown
    for network, digits in (
        ("vgg19", "dcbb9e9d"),
        ("vgg16", "397923af"),
    ):  # torchvision's names say how the hash begins
        assert (load_manifest().find_remote(network).sha256 or "").startswith(digits)


def test_freeze_sets_the_rate_of_a_part_to_zero() -> None:
    asked = train("--model", "gggan", "--show-recipe", "--json", "--freeze", "prenet")
    assert json.loads(asked.stdout)["rate_factors"] == {"prenet.*": 0.0}


def test_options_of_a_system_may_be_words_and_lists() -> None:
    options = ("--config", "block=rrdb", "--config", "taps=5,10")
    asked = train("--model", "gggan", "--show-recipe", "--json", *options)
    assert json.loads(asked.stdout)["config"] == {"block": "rrdb", "taps": [5, 10]}
