import csv
import io
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SMALL

from restorekit.degradation.downscale import Downscale
from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.random_blur import RandomBlur
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import RestorekitError, UnwritableOutput, UsageError
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import Pair
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.runtime import precision
from restorekit.runtime.fingerprints import fingerprint
from restorekit.runtime.progress import Event, Silent
from restorekit.training.recipe import Recipe
from restorekit.training.run import train
from restorekit.training.samples import find_training_pairs
from restorekit.training.trainer import Trainer
from restorekit.training.validation import IMAGES, SIDE, ValidationSet, validate
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
    loss_weights=PLAIN,
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


class StopsAt(Silent):
    """Ends a run from outside, before a step."""

    def __init__(self, step: int) -> None:
        self.last = f"step {step}"

    def step(self, event: Event) -> None:
        if event.key == self.last:
            raise Stopped


def saw(weights: Path) -> frozenset[bytes]:
    return load_model("gggan-lite", weights).provenance.trained_on


def test_weights_name_the_images_that_they_were_trained_on_and_no_others(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    # Of five, every second one is held out: the others are learned from.
    assert saw(tmp_path / "run/weights.safetensors") == {fingerprint(sharp / f"{number}.png") for number in (1, 3)}


def test_weights_name_what_was_learned_from_before_too(sharp: Path, photo: np.ndarray, tmp_path: Path) -> None:
    write_image(Image(photo[::-1].copy()), tmp_path / "other/a.png")
    with pytest.raises(Stopped):  # by another sitting
        run(TINY, sharp, tmp_path / "run", progress=StopsAt(4))
    run(TINY, tmp_path / "other", tmp_path / "run")
    expected = {fingerprint(path) for path in (sharp / "1.png", sharp / "3.png", tmp_path / "other/a.png")}
    assert saw(tmp_path / "run/weights.safetensors") == expected
    # By the weights that it begins with.
    run(TINY.replacing(steps=1), tmp_path / "other", tmp_path / "tuned", start=tmp_path / "run/weights.safetensors")
    assert saw(tmp_path / "tuned/weights.safetensors") == expected


def test_pairs_name_the_originals_that_they_were_made_of(sharp: Path, tmp_path: Path) -> None:
    synthesize_pairs([sharp], tmp_path / "set", settings=BlurSettings(length=(5, 9)), split={"train": 4, "test": 1})
    run(TINY, tmp_path / "set/train", tmp_path / "run", validation=tmp_path / "set/test")
    (test,) = (path.name for path in (tmp_path / "set/test/sharp").iterdir())
    seen = saw(tmp_path / "run/weights.safetensors")
    assert {path.name for path in sharp.iterdir() if fingerprint(path) not in seen} == {test}


@pytest.mark.parametrize("adversarial", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_stopped_run_continues_to_the_bit(sharp: Path, tmp_path: Path, adversarial: bool) -> None:
    recipe = TINY.replacing(loss_weights={"gradient_adversarial": 0.0}, crop=128, steps=4) if adversarial else TINY
    straight = run(recipe, sharp, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(recipe, sharp, tmp_path / "stopped", progress=StopsAt(recipe.steps - 1))
    assert equal(run(recipe, sharp, tmp_path / "stopped"), straight)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "straight")
    assert [int(row["step"]) for row in rows(tmp_path / "straight")] == list(range(1, recipe.steps + 1))


def test_the_result_does_not_depend_on_workers(sharp: Path, tmp_path: Path) -> None:
    assert equal(run(TINY, sharp, tmp_path / "none"), run(TINY, sharp, tmp_path / "two", workers=2))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gggan-lite", "espcn"])
def test_training_starts_where_workers_are_spawned(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    recipe = TINY.replacing(steps=2) if model == "gggan-lite" else Recipe("espcn", steps=2, batch=2, crop=48)
    straight = run(recipe, sharp, tmp_path / "none")
    # What macOS and Windows do; a forked worker would share the parent's memory and pickle nothing.
    monkeypatch.setattr(
        multiprocessing.context._default_context, "_actual_context", multiprocessing.get_context("spawn")
    )
    assert multiprocessing.get_start_method() == "spawn"
    assert equal(run(recipe, sharp, tmp_path / "spawned", workers=1), straight)


def test_another_recipe_does_not_continue_a_run(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    with pytest.raises(UsageError, match="another recipe"):
        run(TINY.replacing(seed=1), sharp, tmp_path / "run")


def test_a_run_keeps_the_precision_it_was_begun_with(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "bf16_speed_up", lambda: 2.0)
    with pytest.raises(Stopped):
        run(TINY, sharp, tmp_path / "run", progress=StopsAt(3))
    monkeypatch.setattr(precision, "bf16_speed_up", lambda: 0.5)  # another machine
    run(TINY, sharp, tmp_path / "run")
    sittings = json.loads((tmp_path / "run" / "run.json").read_text())["sittings"]
    assert [sitting["precision"] for sitting in sittings] == ["bf16", "bf16"]
    assert [sitting["first_step"] for sitting in sittings] == [0, 2]
    assert sittings[0]["device"] == "cpu"


def test_an_unknown_device_is_a_usage_error_before_anything_is_written(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="abacus"):
        train(TINY, sharp, tmp_path / "run", device="abacus")
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written_says_so(sharp: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UnwritableOutput, match="cannot be written"):
        run(TINY, sharp, tmp_path / "run")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no limits of file sizes")
def test_a_full_disk_stops_the_run_and_leaves_no_half_checkpoint(sharp: Path, tmp_path: Path) -> None:
    import resource

    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, unlimited[1]))  # the strip fits, the checkpoint does not
    try:
        with pytest.raises(UnwritableOutput, match=r"checkpoint\.pt.*cannot be written"):
            run(TINY, sharp, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"log.csv", "recipe.json", "run.json", "strips"}


def test_a_run_with_a_spoilt_run_info_goes_on(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(TINY, sharp, tmp_path / "run", progress=StopsAt(3))
    (tmp_path / "run" / "run.json").write_text("[")
    run(TINY, sharp, tmp_path / "run")
    assert [entry["first_step"] for entry in json.loads((tmp_path / "run" / "run.json").read_text())["sittings"]] == [2]


def test_the_weights_have_the_permissions_of_other_files(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    (tmp_path / "other").write_text("")
    mode = (tmp_path / "other").stat().st_mode
    assert {
        path.name for path in (tmp_path / "run").iterdir() if path.is_file() and path.stat().st_mode != mode
    } == set()


def test_training_leaves_the_callers_random_numbers_alone(sharp: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run(TINY.replacing(steps=1), sharp, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_losses_and_scores_of_one_name_have_columns_of_their_own(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    (first, second, *_) = rows(tmp_path / "run")
    assert float(first["loss/ssim"]) > 0
    assert first["validation/ssim"] == first["validation/measured_on"] == ""
    assert 0.1 < float(second["validation/ssim"]) <= 1
    assert 0 < float(second["loss/ssim"]) < 0.2  # a fifth of the distance from 1
    assert second["validation/measured_on"] == "the central 256 px of 3 images"


def foreign() -> bytes:
    content = io.BytesIO()
    torch.save({"recipe": TINY.to_json()}, content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", b"PK\3\4", foreign()], ids=["empty", "text", "cut", "foreign"]
)
def test_a_spoilt_checkpoint_is_named(sharp: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(content)
    with pytest.raises(UsageError, match=r"checkpoint\.pt.*cannot be read"):
        run(TINY, sharp, tmp_path / "run")


def test_the_result_loads_with_its_own_sizes(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    model = load_model("gggan-lite", tmp_path / "run" / "weights.safetensors")
    assert model.parameters < 100_000
    strip = read_rgb8(next((tmp_path / "run" / "strips").iterdir()))
    assert strip.shape[1] == 3 * 160


def test_the_first_step_is_told_at_once(sharp: Path, tmp_path: Path) -> None:
    train(TINY, sharp, tmp_path / "run", device="cpu", workers=0, log_every=100, validate_every=100)
    assert [row["step"] for row in rows(tmp_path / "run")] == ["1", "6"]


def test_validation_sees_the_centre_of_a_few_images_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(IMAGES + 4):
        write_image(Image(rng.integers(0, 256, (300, 400, 3), np.uint8)), tmp_path / f"{number:02}.png")
    pairs = tuple(find_training_pairs(tmp_path))
    images = ValidationSet(pairs, RandomBlur(), seed=3)
    assert images.description == f"the central {SIDE} px of {IMAGES} images"
    sharp = [sharp for _, sharp in images]
    assert len(sharp) == IMAGES
    for index, name in ((0, "00.png"), (1, "02.png"), (-1, "11.png")):
        np.testing.assert_array_equal(sharp[index], read_rgb8(tmp_path / name)[22:278, 72:328])
    assert {sharp.shape for _, sharp in ValidationSet(pairs, RandomBlur(), 3, size_multiple=100)} == {(200, 200, 3)}
    assert {sharp.shape for _, sharp in ValidationSet(pairs, RandomBlur(), 3, size_multiple=999)} == {(256, 256, 3)}
    small, large = next(iter(ValidationSet(pairs, Downscale(4), seed=3)))
    assert small.shape == (64, 64, 3)
    np.testing.assert_array_equal(large, read_rgb8(tmp_path / "00.png")[20:276, 72:328])
    assert [sharp.shape for _, sharp in ValidationSet(pairs, RandomBlur(), 3, full=True)] == [(300, 400, 3)] * len(
        pairs
    )


def test_validation_measures_what_it_says_and_leaves_the_network_as_it_was(sharp: Path, tmp_path: Path) -> None:
    class Darken(torch.nn.Module):
        def forward(self, rgb: torch.Tensor) -> torch.Tensor:
            assert not self.training
            return rgb - 8 / 255

    spec = registry.spec_of("gggan-lite")
    network = Darken().train()
    pair = Pair(sharp / "0.png", sharp / "0.png")
    images = ValidationSet((pair,), RandomBlur(), 0)
    scores = validate(network, spec, images, torch.device("cpu"), tmp_path / "strip.png")
    assert network.training
    dark = np.clip(read_rgb8(sharp / "0.png").astype(float) - 8, 0, 255)
    error = np.mean((dark - read_rgb8(sharp / "0.png")) ** 2)
    assert scores["psnr"] == pytest.approx(10 * np.log10(255**2 / error))
    assert scores["input_psnr"] == np.inf
    assert scores["input_ssim"] == pytest.approx(1)


def test_validation_folds_a_copy_of_the_network_only(sharp: Path, tmp_path: Path) -> None:
    network = registry.build("msdn", **SMALL["msdn"])  # weight normalisation is folded for inference
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = ValidationSet((Pair(sharp / "0.png", None),), RandomBlur(), 0)
    validate(network, registry.spec_of("msdn"), images, torch.device("cpu"), tmp_path / "strip.png")
    assert equal(network.state_dict(), before)


def test_training_lowers_the_loss_on_one_batch() -> None:
    recipe = TINY.replacing(crop=128)
    trainer = Trainer.build(recipe, torch.device("cpu"), torch.float32)
    generator = torch.Generator().manual_seed(0)
    sharp = torch.nn.functional.interpolate(
        torch.rand(2, 3, 16, 16, generator=generator), size=128, mode="bicubic"
    ).clamp(0, 1)
    blurred = torch.nn.functional.avg_pool2d(sharp, (1, 9), 1, (0, 4), count_include_pad=False)
    losses = [trainer.step(blurred, sharp) for _ in range(12)]
    assert losses[-1]["pixel"] < losses[0]["pixel"]


@pytest.mark.slow
def test_training_gggan_itself_takes_a_step() -> None:
    config = {"channels": 8, "modules": 2, "taps": (1, 2), "prenet_widths": (4, 4, 8)}
    recipe = TINY.replacing(model="gggan", config=config, crop=128, loss_weights={})
    trainer = Trainer.build(recipe, torch.device("cpu"), torch.float32)
    batch = torch.rand(1, 3, 128, 128)
    terms = trainer.step(batch, batch.flip(3))
    plain = {"pre", "pixel", "gradient", "branch", "ssim"}
    assert terms.keys() == plain | {"adversarial", "gradient_adversarial", "discriminator"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_an_exploding_loss_stops_with_a_hint(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(RestorekitError, match="no longer finite"):
        run(TINY.replacing(learning_rate=1e30, precision="fp32"), sharp, tmp_path / "run")
