"""Every paper's recipe against its numbers, typed a second time from the papers and the authors' code."""

import csv
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SMALL, VGG16, VGG19, learning_systems, save_vgg

from restorekit.errors import RestorekitError
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.training import objectives, sources
from restorekit.training.recipe import Recipe
from restorekit.training.run import train
from restorekit.weights.load import load_model

GGGAN = {
    "steps": 500_000,
    "batch": 4,
    "crop": 128,
    "learning_rate": 1e-4,
    "schedule": "milestones",
    "milestones": (50_000, 100_000, 200_000, 300_000),
    "decay": 0.1,
    "optimizer": "adam",
    "betas": (0.9, 0.999),
    "augment": "none",
    "blur.shares": {"linear": 1.0},
    "blur.length": (50.0, 80.0),
    "blur.angle": (-40.0, 40.0),
    "blur.noise_share": 0.0,
    "blur.jpeg_share": 0.0,
    "blur.mirror_share": 0.0,
}
SPSR = {
    "loss_weights.pixel": 1e-2,
    "loss_weights.perceptual": 1.0,
    "loss_weights.gradient": 1e-2,
    "loss_weights.branch": 0.5,
    "loss_weights.ssim": 0.0,
    "loss_weights.adversarial": 5e-3,
    "objective.gan": "ragan",
    "objective.layer": "vgg19.conv5_4",
    "objective.gradient_distance": "mse",
}
DEBLURGAN = {
    "steps": 600_000,
    "batch": 1,
    "crop": 256,
    "learning_rate": 1e-4,
    "schedule": "linear",
    "decay_from": 300_000,
    "floor": 0.0,
    "optimizer": "adam",
    "betas": (0.5, 0.999),
    "augment": "flips",
    "loss_weights.perceptual": 100.0,
    "loss_weights.adversarial": 1.0,
    "loss_weights.gradient_penalty": 10.0,
    "objective.discriminator_steps": 5,
    "objective.generator_steps": 1,
    "objective.layer": "conv3_3",
}
DEBLURGAN_V2 = {
    "steps": 600_000,
    "batch": 1,
    "crop": 256,
    "learning_rate": 1e-4,
    "schedule": "linear",
    "decay_from": 300_000,
    "floor": 1e-7,
    "optimizer": "adam",
    "betas": (0.9, 0.999),
    "loss_weights.mse": 0.5,
    "loss_weights.perceptual": 0.006,
    "loss_weights.adversarial": 0.01,
    "objective.layer": "conv3_3",
}
MSDN = DEBLURGAN | {
    "steps": 630_000,
    "decay_from": 420_000,
    "floor": 1e-8,
    "objective.discriminator_steps": 1,
    "objective.generator_steps": 5,
    "objective.layer": "vgg19.conv5_4",
}
SUM = {"loss_weights.l1": 0.0}

PRINTED: dict[str, dict[str, Any]] = {
    "gggan": GGGAN
    | SPSR
    | {"loss_weights.pre": 1e3, "loss_weights.gradient_adversarial": 0.0, "objective.ssim": "window"},
    "spsr-deblur": GGGAN | SPSR | {"loss_weights.pre": 0.0, "loss_weights.gradient_adversarial": 5e-3},
    "deblurgan": DEBLURGAN,
    "deblurgan-v2": DEBLURGAN_V2,
    "deblurgan-v2-inception": DEBLURGAN_V2,
    "dn": MSDN,
    "msdn": MSDN,
    "deepdeblur": {
        "steps": 900_000,
        "batch": 2,
        "crop": 256,
        "learning_rate": 5e-5,
        "schedule": "milestones",
        "milestones": (300_000,),
        "decay": 0.1,
        "optimizer": "adam",
        "augment": "sang",
        "loss_weights.mse": 1.0,
        "loss_weights.adversarial": 1e-4,
    },
    "dmphn": {
        "steps": 842_400,  # 2,400 epochs of 351
        "batch": 6,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "milestones",
        "milestones": (351_000, 702_000),
        "decay": 0.1,
        "optimizer": "adam",
        "augment": "none",
        "loss_weights.l1": 0.0,
        "loss_weights.mse": 1.0,
    },
    "sang": {
        "steps": 600_000,
        "batch": 6,
        "crop": 128,
        "schedule": "constant",
        "optimizer": "adam",
        "augment": "sang",
        "loss_weights.mse": 1.0,
    },
    "srn": {
        "steps": 262_000,
        "batch": 16,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "exponential",
        "decay_from": 0,
        "floor": 1e-6,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "gradient_clip": 3.0,
        "clip_by": "norm",
        "clip_over_rate": False,
        "clip_only": "lstm.*",
        "loss_weights.mse": 1.0,
        "loss_weights.adversarial": 0.0,
    },
    "gong": {
        "loss_weights.u": 1.0,
        "loss_weights.v": 1.0,
        "objective.translation": 27.0,
        "objective.acceleration": 0.3,
        "objective.spread": pytest.approx(180 / 70, abs=1e-3),
        "objective.turn": 0.005,
        "objective.centre": 15.0,
        "objective.sharp_share": 1 / 51,
        "objective.every": 1,
    },
    "chakrabarti": {"loss_weights.mse": 1.0, "objective.grids": (8, 16, 24), "objective.noise": 0.01},
    "schuler": {"objective.side": 17, "objective.noise": 0.01},
    "noroozi": {"loss_weights.mse": 1.0, "loss_weights.adversarial": 0.0},
    "sun": {"loss_weights.label": 1.0, "objective.noise": 0.01, "objective.lines": 1},
    "svrnn": SUM
    | {
        "steps": 200_000,
        "batch": 20,
        "crop": 128,
        "learning_rate": 1e-4,
        "schedule": "linear",
        "decay_from": 0,
        "power": 2.0,
        "floor": 0.0,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "none",
        "loss_weights.mse": 1.0,
    },
    "dgf": {
        "batch": 1,
        "crop": 256,
        "learning_rate": 3e-4,
        "schedule": "constant",
        "optimizer": "adam",
        "betas": (0.5, 0.999),
        "augment": "flips",
        "objective.layer": "vgg16.conv5_3",
        "loss_weights.perceptual": 1.0,
        "loss_weights.l1": 10.0,
        "loss_weights.adversarial": 0.1,
    },
    "srcnn": SUM
    | {
        "steps": 800_000_000,
        "batch": 128,
        "crop": 32,
        "learning_rate": 1e-4,
        "rate_factors": {"reconstruction.*": 0.1},
        "schedule": "constant",
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.0,
        "loss_weights.mse": 1.0,
    },
    "espcn": SUM | {"crop": 4 * 17, "floor": 1e-4, "downscale": "gauss", "loss_weights.mse": 1.0},
    "vdsr": SUM
    | {
        "steps": 9_960,
        "batch": 64,
        "crop": 40,
        "learning_rate": 0.1,
        "schedule": "milestones",
        "milestones": (9_960 // 4, 9_960 // 2, 9_960 // 4 * 3),
        "decay": 0.1,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "gradient_clip": 0.001,
        "clip_by": "value",
        "clip_over_rate": True,
        "augment": "flips-and-turns",
        "loss_weights.mse": 1 / 2,
    },
    "drrn": SUM
    | {
        "batch": 128,
        "crop": 32,
        "learning_rate": 0.1,
        "rate_factors": {"*.bias": 0.1},
        "schedule": "milestones",
        "milestones": (65_360, 2 * 65_360, 3 * 65_360, 4 * 65_360),
        "decay": 0.5,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "gradient_clip": 0.01,
        "clip_by": "norm",
        "clip_over_rate": True,
        "augment": "flips-and-turns",
        "loss_weights.mse": 1 / 2,
    },
    "dsrn": SUM
    | {
        "batch": 32,
        "crop": 108,
        "learning_rate": 1e-3,
        "optimizer": "adam",
        "gradient_clip": 1.0,
        "clip_by": "value",
        "clip_over_rate": False,
        "augment": "flips-and-turns",
        "loss_weights.mse": 1.0,
    },
    "srresnet": SUM
    | {
        "steps": 10**6,
        "batch": 16,
        "crop": 96,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "loss_weights.mse": 1.0,
    },
    "srgan-em": {
        "steps": 25_000,
        "batch": 16,
        "crop": 384,
        "learning_rate": 1e-4,
        "schedule": "milestones",
        "milestones": (12_500,),
        "decay": 0.1,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "loss_weights.l1": 1.0,
        "loss_weights.mse": 0.0,
        "loss_weights.adversarial": 1e-3,
        "loss_weights.gradient_penalty": 0.0,
        "objective.gan": "wgan",
        "objective.side": 384,  # the whole crop
        "objective.clip": 0.01,
    },
    "esrgan": {
        "steps": 10**6,
        "batch": 16,
        "crop": 128,
        "learning_rate": 2e-4,
        "schedule": "milestones",
        "milestones": (200_000, 400_000, 600_000, 800_000),
        "decay": 0.5,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "flips-and-turns",
        "loss_weights.l1": 1.0,
        "loss_weights.mse": 0.0,
    },
    "compact": {"ema_decay": 0.999},
    "spsr": SPSR
    | {
        "steps": 500_000,
        "batch": 30,
        "crop": 128,
        "learning_rate": 1e-4,
        "schedule": "milestones",
        "milestones": (50_000, 100_000, 200_000, 300_000),
        "decay": 0.5,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "augment": "flips-and-turns",
        "loss_weights.pre": 0.0,
        "loss_weights.gradient_adversarial": 5e-3,
    },
}

NAMES = [
    name
    for name in learning_systems()
    if name != "gggan-lite"  # ours, as its weights were
]


@pytest.mark.parametrize("name", PRINTED)
def test_the_papers_recipe_has_the_papers_numbers(name: str) -> None:
    settings = sources.list_settings(Recipe.of_paper(name, features="vgg.pth"))
    assert {key: settings[key] for key in PRINTED[name]} == PRINTED[name]
    if name != "compact":
        assert settings["ema_decay"] == 0.0  # no other paper averages its weights


OURS = {
    "gggan": {"blur.noise_share", "blur.jpeg_share", "blur.mirror_share", "objective.ssim"},
    "spsr-deblur": {"blur.noise_share", "blur.jpeg_share", "blur.mirror_share", "loss_weights.pre"},
    "spsr": {"loss_weights.pre"},
    "dgf": {"loss_weights.perceptual", "loss_weights.l1", "loss_weights.adversarial"},
    "gong": {"loss_weights.u", "loss_weights.v", "objective.every"},
    "sang": {"schedule"},
    "chakrabarti": {"loss_weights.mse"},
    "schuler": {"objective.side", "objective.noise"},
    "sun": {"loss_weights.label", "objective.noise", "objective.lines"},
    "srn": {"decay_from", "clip_over_rate"},
    "svrnn": {"decay_from"},
    "srcnn": {"crop", "weight_decay", "loss_weights.l1", "loss_weights.mse"},
    "vdsr": {"crop", "gradient_clip", "loss_weights.l1", "loss_weights.mse"},
    "drrn": {"crop", "loss_weights.l1", "loss_weights.mse"},
    "dsrn": {"clip_over_rate"},
    "srgan-em": {
        *("crop", "schedule", "milestones"),
        *("loss_weights.gradient_penalty", "objective.side", "objective.clip"),
    },
}
"""Numbers above that are nobody's but ours; all others are printed or in the authors' code."""


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_decides_what_a_run_depends_on_and_says_whose_it_is(name: str) -> None:
    """No system takes another paper's settings silently."""
    settings, told = sources.read(name, with_features=True)
    decisive = {"steps", "batch", "crop", "learning_rate", "schedule", "optimizer", "augment"}
    assert decisive <= settings.keys()
    assert {key for key in PRINTED[name] if told.get(key, "ours") == "ours"} == OURS.get(name, set())


CODE = {
    "deepdeblur": {"learning_rate", "augment"},
    "spsr": {
        *(*SPSR, "loss_weights.gradient_adversarial", "steps", "batch", "crop", "learning_rate"),
        *("schedule", "milestones", "decay", "optimizer", "betas", "augment"),
    },
    "vdsr": set(),
    "srresnet": set(),
    "esrgan": {"steps"},
}
"""Numbers above that only the authors' code tells, where a paper and its code are easily taken for each other."""


@pytest.mark.parametrize("name", CODE)
def test_what_only_the_authors_code_tells_is_not_called_printed(name: str) -> None:
    _, told = sources.read(name, with_features=True)
    assert {key for key in PRINTED[name] if told.get(key) == "code"} == CODE[name]


@pytest.mark.parametrize("name", ["gggan", "spsr-deblur", "spsr"])
def test_without_features_pixels_and_edges_count_as_in_our_recipe(name: str) -> None:
    settings = sources.list_settings(Recipe.of_paper(name))
    assert [settings[f"loss_weights.{term}"] for term in ("pixel", "gradient", "ssim")] == [1.0, 1.0, 0.2]
    assert settings["objective.gradient_distance"] == "l1"
    assert sources.read(name, with_features=False)[1]["loss_weights.pixel"] == "ours"
    assert Recipe.of_paper(name).missing_features == "vgg19.conv5_4"
    assert not Recipe.of_paper(name, features="vgg.pth").missing_features


def test_the_layers_that_losses_miss_are_those_of_their_papers() -> None:
    missing = {name: Recipe.of_paper(name).missing_features for name in NAMES}
    assert {name: layer for name, layer in missing.items() if layer} == {
        "gggan": "vgg19.conv5_4",
        "spsr-deblur": "vgg19.conv5_4",
        "spsr": "vgg19.conv5_4",
        "dn": "vgg19.conv5_4",
        "msdn": "vgg19.conv5_4",
        "dgf": "vgg16.conv5_3",
        "deblurgan": "conv3_3",
        "deblurgan-v2": "conv3_3",
        "deblurgan-v2-inception": "conv3_3",
    }
    assert not Recipe("gggan-lite").missing_features
    assert not Recipe("msdn", loss_weights={"perceptual": 0.0}).missing_features


def test_a_misspelt_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.find("espcn"), "recipe", {"printd": {"batch": 1}})
    with pytest.raises(RestorekitError, match="group 'printd'"):
        Recipe.of_paper("espcn")


def test_settings_that_do_nothing_are_not_listed() -> None:
    assert "betas" not in sources.list_settings(Recipe("espcn", optimizer="sgd"))
    assert "momentum" not in sources.list_settings(Recipe("espcn"))
    listed = sources.list_settings(Recipe("espcn", gradient_clip=1.0, schedule="linear"))
    assert {"clip_by", "clip_only", "floor", "decay_from"} <= listed.keys()
    assert not {"milestones", "decay", "blur.length", "model"} & listed.keys()
    assert not {"clip_by", "clip_only", "clip_over_rate"} & sources.list_settings(Recipe("espcn")).keys()
    assert "downscale" not in sources.list_settings(Recipe("gggan-lite"))
    assert objectives.check("pixel", {}, {})["loss_weights"].l1 == listed["loss_weights.l1"]


@pytest.mark.parametrize(("name", "parameters"), [("srn", 2), ("srcnn", 2), ("drrn", 56)])
def test_patterns_of_a_recipe_mean_the_parameters_that_its_paper_means(name: str, parameters: int) -> None:
    recipe = Recipe.of_paper(name)  # SRN's LSTM is one convolution; DRRN has 52 biases of norms and 4 of convolutions
    with torch.device("meta"):
        named = dict(registry.build(name).named_parameters())
    patterns = recipe.rate_factors or [recipe.clip_only]
    assert sum(fnmatchcase(key, pattern) for key in named for pattern in patterns) == parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_steps_of_every_papers_recipe_run(name: str, tmp_path: Path, photo: np.ndarray) -> None:
    """The recipe as it is, features and discriminators included, but for smaller networks, batches and crops."""
    write_image(Image(np.tile(photo, (3, 3, 1))), tmp_path / "sharp" / "1.png")
    for network, places in (("vgg16", VGG16), ("vgg19", VGG19)):
        save_vgg(tmp_path / network, places)
    layer = Recipe.of_paper(name).missing_features
    features = str(tmp_path / ("vgg16" if layer.startswith("vgg16") else "vgg19")) if layer else ""
    recipe = Recipe.of_paper(name, features).replacing(config=SMALL.get(name, {}), steps=2, batch=2, precision="fp32")
    if name != "deepdeblur":  # whose discriminator looks at 256 px
        recipe = recipe.replacing(crop=min(recipe.crop, 128))
    if name == "srgan-em":
        recipe = recipe.replacing(objective=recipe.objective | {"side": 128})
    weights = train(recipe, tmp_path / "sharp", tmp_path / "run", device="cpu", workers=0, log_every=1)
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2]
    assert bool(layer) == ("loss/perceptual" in rows[0])
    spec = registry.spec_of(name)
    discriminators = objectives.make(spec.objective, recipe.loss_weights, recipe.objective).discriminators
    assert any(True for _ in discriminators.parameters()) == any("adversarial" in term for term in rows[0])
    assert load_model(name, weights).provenance.without_features == ""
