import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import RestorekitError, UsageError
from restorekit.media.decode import read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training import run as training_run
from restorekit.training.recipe import Recipe
from restorekit.training.run import Trainer, train
from restorekit.weights import state_dict
from restorekit.weights.load import load_model

PLAIN = {"adversarial": 0.0, "gradient_adversarial": 0.0}
TINY = Recipe(
    "gggan-lite",
    config={"channels": 16, "blocks": 3, "taps": (1, 3), "gradient_channels": 16, "prenet_widths": (16, 16)},
    steps=6,
    batch=2,
    crop=48,
    learning_rate=1e-3,
    weights=PLAIN,
    blur=RandomBlur(length=(5, 9)),
)


@pytest.fixture
def sharp(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(5):
        write_image(Image(np.roll(photo, number * 9, axis=1)), tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def run(recipe: Recipe, sharp: Path, out: Path, **options: object) -> dict[str, torch.Tensor]:
    return state_dict.load(
        train(recipe, sharp, out, device="cpu", validate_every=2, log_every=1, **{"workers": 0} | options)
    )


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("adversarial", [False, True])
def test_a_stopped_run_continues_to_the_bit(sharp: Path, tmp_path: Path, adversarial: bool) -> None:
    recipe = replace(TINY, weights={"gradient_adversarial": 0.0}, crop=128, steps=4) if adversarial else TINY

    def stop(progress: training_run.Progress) -> None:
        if progress.step == recipe.steps - 1:
            raise Stopped

    straight = run(recipe, sharp, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(recipe, sharp, tmp_path / "stopped", watch=stop)
    assert equal(run(recipe, sharp, tmp_path / "stopped"), straight)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "straight")
    assert [int(row["step"]) for row in rows(tmp_path / "straight")] == list(range(1, recipe.steps + 1))


def test_the_result_does_not_depend_on_workers(sharp: Path, tmp_path: Path) -> None:
    assert equal(run(TINY, sharp, tmp_path / "none"), run(TINY, sharp, tmp_path / "two", workers=2))


def test_another_recipe_does_not_continue_a_run(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    with pytest.raises(UsageError, match="another recipe"):
        run(replace(TINY, seed=1), sharp, tmp_path / "run")


def test_the_result_loads_with_its_own_sizes(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    model = load_model("gggan-lite", tmp_path / "run" / "weights.safetensors").module
    assert sum(parameter.numel() for parameter in model.parameters()) < 100_000
    strip = read_rgb8(next((tmp_path / "run" / "strips").iterdir()))
    assert strip.shape[1] == 3 * 160


def test_training_lowers_the_loss_on_one_batch() -> None:
    recipe = replace(TINY, crop=128, precision="fp32")
    trainer = Trainer(recipe, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    sharp = torch.nn.functional.interpolate(
        torch.rand(2, 3, 16, 16, generator=generator), size=128, mode="bicubic"
    ).clamp(0, 1)
    blurred = torch.nn.functional.avg_pool2d(sharp, (1, 9), 1, (0, 4), count_include_pad=False)
    losses = [trainer.advance(blurred, sharp) for _ in range(12)]
    assert losses[-1]["pixel"] < losses[0]["pixel"]


def test_training_gggan_itself_takes_a_step() -> None:
    config = {"channels": 8, "modules": 2, "taps": (1, 2), "prenet_widths": (4, 4, 8)}
    trainer = Trainer(replace(TINY, model="gggan", config=config, crop=128, weights={}), torch.device("cpu"))
    batch = torch.rand(1, 3, 128, 128)
    terms = trainer.advance(batch, batch.flip(3))
    assert terms.keys() == {"pre", "pixel", "gradient", "branch", "ssim", "fool_image", "fool_gradient", "critic"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_an_exploding_loss_stops_with_a_hint(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(RestorekitError, match="no longer finite"):
        run(replace(TINY, learning_rate=1e30, precision="fp32"), sharp, tmp_path / "run")


def test_schedules_do_what_they_say() -> None:
    paper = Recipe("gggan")
    assert [paper.rate(step) for step in (0, 49_999, 50_000, 100_000, 300_000)] == pytest.approx(
        [1e-4, 1e-4, 1e-5, 1e-6, 1e-8]
    )
    cosine = Recipe("gggan", steps=100, schedule="cosine", warmup=10)
    assert cosine.rate(0) == pytest.approx(1e-5)
    assert cosine.rate(50) == pytest.approx(5e-5)
    assert cosine.rate(99) < 1e-7


def test_recipes_survive_their_file() -> None:
    assert Recipe.from_json(TINY.to_json()) == TINY


def test_a_system_without_parameters_is_not_trained() -> None:
    with pytest.raises(UsageError, match="nothing to learn"):
        Trainer(replace(TINY, model="bicubic", config={}), torch.device("cpu"))
