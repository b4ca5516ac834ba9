import csv
import io
import json
import multiprocessing
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SMALL

from restorekit.degradation.downscale import Downscale
from restorekit.degradation.pairs import synthesize_pairs
from restorekit.degradation.random_blur import RandomBlur
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import RestorekitError, UnwritableOutput, UsageError, WeightsError
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import Pair
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.runtime import precision
from restorekit.runtime.fingerprints import fingerprint
from restorekit.runtime.progress import Event, Silent, Work
from restorekit.training import run as run_module
from restorekit.training.checkpoint import Checkpoint
from restorekit.training.loss_means import NotFinite
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

QUICK = Recipe("espcn", steps=6, batch=2, crop=48, learning_rate=1e-3)


@pytest.fixture
def sharp(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(5):
        write_image(Image(np.roll(photo, number * 9, axis=1)), tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def run(recipe: Recipe, sharp: Path, out: Path, **options: object) -> dict[str, torch.Tensor]:
    options = {"device": "cpu", "validate_every": 2, "log_every": 1, "workers": 0} | options
    return state_dict.load(train(recipe, sharp, out, **options))


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


def saw(weights: Path, model: str = "gggan-lite") -> frozenset[bytes]:
    return load_model(model, weights).provenance.trained_on


def test_weights_name_the_images_that_they_were_trained_on_and_no_others(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    # Of five, every second one is held out: the others are learned from.
    assert saw(tmp_path / "run/weights.safetensors") == {fingerprint(sharp / f"{number}.png") for number in (1, 3)}


def test_weights_tell_how_long_a_crop_took(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    seconds = float((tmp_path / "run/log.csv").read_text().splitlines()[-1].split(",")[1])
    told = load_model("gggan-lite", tmp_path / "run/weights.safetensors").provenance.seconds_per_sample
    assert told is not None
    assert told * TINY.steps * TINY.batch == pytest.approx(seconds, rel=1e-3, abs=0.05)  # the log has tenths


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


@pytest.mark.slow
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


def test_a_run_augments_as_its_recipe_says(sharp: Path, tmp_path: Path) -> None:
    plain, turned = (
        run(TINY.replacing(steps=1, augment=augment), sharp, tmp_path / augment)
        for augment in ("none", "flips-and-turns")
    )
    assert not equal(plain, turned)


class FirstLine(Silent):
    """Keeps what a run says before its first step."""

    def __init__(self) -> None:
        self.description = ""

    def begin(self, work: Work) -> None:
        self.description = self.description or work.description


def test_a_run_without_the_features_of_its_papers_loss_says_so_at_once_and_in_its_weights(
    sharp: Path, tmp_path: Path
) -> None:
    recipe, told = TINY.replacing(steps=1, loss_weights=PLAIN | {"perceptual": 1.0}), FirstLine()
    run(recipe, sharp, tmp_path / "run", progress=told)
    assert told.description.endswith("without its paper's loss on VGG features (vgg19.conv5_4)")
    weights = tmp_path / "run" / "weights.safetensors"
    assert load_model("gggan-lite", weights).provenance.without_features == "vgg19.conv5_4"
    complete = FirstLine()
    run(TINY.replacing(steps=1), sharp, tmp_path / "complete", progress=complete)
    assert complete.description.endswith("from step 0 to 1")
    weights = tmp_path / "complete" / "weights.safetensors"
    assert load_model("gggan-lite", weights).provenance.without_features == ""


@pytest.mark.parametrize("name", ["weights.safetensors", "weights-1.safetensors"])
def test_a_run_does_not_replace_the_weights_that_it_begins_with(sharp: Path, tmp_path: Path, name: str) -> None:
    recipe, start = TINY.replacing(steps=1, keep=(1,)), tmp_path / "run" / name
    run(recipe, sharp, tmp_path / "first")
    start.parent.mkdir()
    start.write_bytes(before := (tmp_path / "first" / "weights.safetensors").read_bytes())
    with pytest.raises(UsageError, match="run would replace the weights"):
        run(recipe, sharp, tmp_path / "run", start=start)
    assert start.read_bytes() == before


def test_another_recipe_does_not_continue_a_run(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    other = TINY.replacing(seed=1, blur=replace(TINY.blur, length=(3.0, 4.0)))
    with pytest.raises(
        UsageError, match=r"another recipe: blur\.length \[.*\] instead of \[3\.0, 4\.0\], seed 0 instead of 1\."
    ):
        run(other, sharp, tmp_path / "run")


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


def test_what_a_run_writes_is_no_training_data(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="input of the next run"):
        run(QUICK, sharp, sharp)
    run(QUICK, sharp, tmp_path / "outside")
    write_image(Image(np.zeros((90, 90, 3), np.uint8)), sharp / "run" / "strips" / "6.png")
    run(QUICK, sharp, sharp / "run")
    inside, outside = (saw(folder / "weights.safetensors", "espcn") for folder in (sharp / "run", tmp_path / "outside"))
    assert inside == outside != frozenset()


def test_an_unknown_device_is_a_usage_error_before_anything_is_written(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="abacus"):
        train(TINY, sharp, tmp_path / "run", device="abacus")
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written_says_so(sharp: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UnwritableOutput, match="Nothing can be written here"):
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
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        ".restorekit",
        "curves.png",
        "log.csv",
        "recipe.json",
        "run.json",
        "strips",
    }


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


class Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("attacked",)


def foreign(**changed: object) -> bytes:
    """A checkpoint in which something is changed."""
    content = io.BytesIO()
    torch.save({"recipe": TINY.to_json(), "precision": "fp32", "seconds": 1.0, "trainer": {}} | changed, content)
    return content.getvalue()


def unfolding() -> list[object]:
    """Lists of less than a kilobyte that are 2**60 when they are walked through."""
    nest: list[object] = []
    for _ in range(60):
        nest = [nest, nest]
    return nest


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no checkpoint", b"PK\3\4", foreign(recipe=3), foreign(seconds="soon"), foreign(losses=[{"l1": 3}])),
        *(foreign(precision="fp7"), foreign(trained_on="?"), foreign(more=1), foreign(trainer=Attack())),
        foreign(trainer={"model": unfolding()}),
    ],
    ids=["empty", "text", "cut", "recipe", "seconds", "losses", "precision", "trained on", "more", "code", "nest"],
)
def test_a_spoilt_checkpoint_is_named(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"checkpoint\.pt.*cannot be read"):
        run(TINY, sharp, tmp_path / "run")
    assert not (tmp_path / "attacked").exists()


def test_the_result_loads_with_its_own_sizes(sharp: Path, tmp_path: Path) -> None:
    run(TINY, sharp, tmp_path / "run")
    model = load_model("gggan-lite", tmp_path / "run" / "weights.safetensors")
    assert model.parameters < 100_000
    strip = read_rgb8(next((tmp_path / "run" / "strips").iterdir()))
    assert strip.shape[1] == 3 * 160


def test_the_first_step_is_told_at_once(sharp: Path, tmp_path: Path) -> None:
    train(TINY, sharp, tmp_path / "run", device="cpu", workers=0, log_every=100, validate_every=100)
    assert [row["step"] for row in rows(tmp_path / "run")] == ["1", "6"]


def test_a_run_that_goes_on_tells_the_steps_that_are_left(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(QUICK, sharp, tmp_path / "run", progress=StopsAt(3))  # behind the checkpoint of step 2
    told = Told()
    run(QUICK, sharp, tmp_path / "run", progress=told)
    assert [(work.items, work.amount, work.unit) for work in told.works] == [(4, 4, "steps")]
    assert told.works[0].description.endswith("from step 2 to 6")


def test_of_several_processes_the_first_alone_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, expected in ((0, ["begin", "step 1"]), (1, [])):
        monkeypatch.setattr(run_module.processes, "rank", lambda rank=rank: rank)
        told: list[str] = []
        inner = Silent()
        inner.begin = lambda work, told=told: told.append("begin")
        inner.step = lambda event, told=told: told.append(event.key)
        progress = run_module._RunProgress(inner)
        progress.begin(Work(1, 1, "steps"))
        progress.step(Event("step 1", 1, 1))
        assert told == expected


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
    scores, measured_on = validate(network, spec, images, torch.device("cpu"), tmp_path / "strip.png")
    assert measured_on == "the central 256 px of 1 images"
    assert network.training
    dark = np.clip(read_rgb8(sharp / "0.png").astype(float) - 8, 0, 255)
    error = np.mean((dark - read_rgb8(sharp / "0.png")) ** 2)
    assert scores["psnr"] == pytest.approx(10 * np.log10(255**2 / error))
    assert scores["input_psnr"] == np.inf
    assert scores["input_ssim"] == pytest.approx(1)


def test_validation_takes_the_mean_over_the_images(sharp: Path, tmp_path: Path) -> None:
    spec, pairs = registry.spec_of("gggan-lite"), [Pair(sharp / "0.png", sharp / f"{number}.png") for number in (1, 2)]

    def measure(*chosen: Pair) -> dict[str, float]:
        images = ValidationSet(chosen, RandomBlur(), 0)
        return validate(torch.nn.Identity(), spec, images, torch.device("cpu"), tmp_path / "strip.png")[0]

    first, second, both = measure(pairs[0]), measure(pairs[1]), measure(*pairs)
    assert first != second
    assert both == pytest.approx({name: (first[name] + second[name]) / 2 for name in both})


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
    assert terms.keys() == plain | {"adversarial", "discriminator"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_an_exploding_loss_stops_with_a_hint(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(RestorekitError, match="no longer finite"):
        run(TINY.replacing(learning_rate=1e30, precision="fp32"), sharp, tmp_path / "run")


class Interrupts(Silent):
    """Asks a run to stop while a step is reported."""

    def __init__(self, step: int) -> None:
        self.stop, self.last, self.rows = threading.Event(), f"step {step}", 0

    def step(self, event: Event) -> None:
        if event.key == self.last:
            self.stop.set()


@pytest.mark.parametrize(
    "settings",
    [{}, {"accumulate": 2, "ema_decay": 0.0, "keep": (2, 3)}],
    ids=["plain", "in passes"],
)
def test_a_run_that_is_asked_to_stop_finishes_its_step_and_continues_to_the_bit(
    sharp: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    recipe, spare = QUICK.replacing(steps=4, **settings), {"validate_every": 4, "log_every": 4}
    straight = run(recipe, sharp, tmp_path / "straight", **spare)
    interrupts = Interrupts(step=1)  # so that it stops after the second
    with pytest.raises(KeyboardInterrupt):
        run(recipe, sharp, tmp_path / "stopped", stop=interrupts.stop, progress=interrupts, **spare)
    assert Checkpoint.read(tmp_path / "stopped" / "checkpoint.pt", recipe).trainer["steps_done"] == 2
    assert equal(run(recipe, sharp, tmp_path / "stopped", **spare), straight)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "straight")  # losses before the stop count too
    for step in settings.get("keep", ()):
        kept, expected = (
            state_dict.load(tmp_path / name / f"weights-{step}.safetensors") for name in ("stopped", "straight")
        )
        assert equal(kept, expected)
        assert not equal(kept, straight)


class SeesCudnn(Silent):
    """Whether cuDNN looks for its fastest algorithms while a run is at work."""

    def __init__(self) -> None:
        self.seen = set[bool]()

    def step(self, event: Event) -> None:
        self.seen.add(torch.backends.cudnn.benchmark)


def test_cudnn_looks_for_its_fastest_algorithms_while_a_run_is_at_work(sharp: Path, tmp_path: Path) -> None:
    before, sees = torch.backends.cudnn.benchmark, SeesCudnn()
    run(QUICK.replacing(steps=1), sharp, tmp_path / "run", progress=sees)
    assert sees.seen == {True}
    assert torch.backends.cudnn.benchmark is before is False


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_stopped_run_continues_on_a_gpu(sharp: Path, tmp_path: Path) -> None:
    spare = {"device": "cuda", "validate_every": 4, "log_every": 4}  # so that losses wait for the log when it stops
    interrupts = Interrupts(step=1)
    with pytest.raises(KeyboardInterrupt):
        run(QUICK.replacing(steps=4), sharp, tmp_path / "run", stop=interrupts.stop, progress=interrupts, **spare)
    assert run(QUICK.replacing(steps=4), sharp, tmp_path / "run", **spare)


def test_a_run_that_is_asked_to_stop_in_its_last_step_ends_as_always(sharp: Path, tmp_path: Path) -> None:
    interrupts = Interrupts(step=QUICK.steps - 1)
    run(QUICK, sharp, tmp_path / "run", stop=interrupts.stop, progress=interrupts)
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_the_log_has_every_steps_own_learning_rate(sharp: Path, tmp_path: Path) -> None:
    run(QUICK.replacing(steps=3, schedule="milestones", milestones=(2,)), sharp, tmp_path / "run")
    assert [float(row["learning_rate"]) for row in rows(tmp_path / "run")] == pytest.approx([1e-3, 1e-3, 1e-4])


def test_a_row_has_the_means_since_the_last_one(sharp: Path, tmp_path: Path) -> None:
    run(QUICK.replacing(steps=4), sharp, tmp_path / "each")
    run(QUICK.replacing(steps=4), sharp, tmp_path / "second", log_every=2, validate_every=4)
    each, second = ([float(row["loss/l1"]) for row in rows(tmp_path / name)] for name in ("each", "second"))
    assert second == pytest.approx([each[0], each[1], (each[2] + each[3]) / 2], rel=1e-4)  # steps 1, 2 and 4


def test_the_log_counts_the_time_of_all_sittings(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(QUICK, sharp, tmp_path / "run", progress=StopsAt(3))
    path = tmp_path / "run" / "checkpoint.pt"
    checkpoint = Checkpoint.read(path, QUICK)
    assert checkpoint is not None
    replace(checkpoint, seconds=5000.0).write(path)
    run(QUICK, sharp, tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        assert float(list(csv.DictReader(file))[-1]["seconds"]) > 5000


def test_the_averaged_weights_are_validated_and_saved(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def look(network: torch.nn.Module, *others: object) -> tuple[dict[str, float], str]:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"psnr": 30.0}, "nothing"

    monkeypatch.setattr(run_module, "validate", look)
    recipe = QUICK.replacing(ema_decay=0.9, steps=2)
    saved = run(recipe, sharp, tmp_path / "run")
    checkpoint = Checkpoint.read(tmp_path / "run" / "checkpoint.pt", recipe)
    assert checkpoint is not None
    (average,) = seen
    assert not equal(average, checkpoint.trainer["model"])
    assert equal(
        {f"module.{name}": value for name, value in average.items()},
        {name: value for name, value in checkpoint.trainer["average"].items() if name != "n_averaged"},
    )
    assert equal(saved, {name: value.half() for name, value in average.items()})


def test_weights_are_kept_at_named_steps_and_are_those_of_a_run_that_ends_there(sharp: Path, tmp_path: Path) -> None:
    run(QUICK.replacing(keep=(3, 5)), sharp, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").glob("*.safetensors")} == {
        "weights.safetensors",
        "weights-3.safetensors",
        "weights-5.safetensors",
    }
    ended = run(QUICK.replacing(steps=3), sharp, tmp_path / "ended")
    assert equal(state_dict.load(tmp_path / "run" / "weights-3.safetensors"), ended)
    assert load_model("espcn", tmp_path / "run" / "weights-3.safetensors").provenance.trained_on


def test_an_average_with_decay_0_is_the_weights_themselves(sharp: Path, tmp_path: Path) -> None:
    saved = run(QUICK.replacing(ema_decay=0.0), sharp, tmp_path / "run")
    trained = Checkpoint.read(tmp_path / "run" / "checkpoint.pt", QUICK.replacing(ema_decay=0.0)).trainer["model"]
    assert equal(saved, {name: value.half() for name, value in trained.items()})


def test_checkpoints_are_written_by_time_too(sharp: Path, tmp_path: Path) -> None:
    def steps_done(out: Path, minutes: float) -> int:
        with pytest.raises(Stopped):
            run(QUICK, sharp, out, validate_every=100, checkpoint_minutes=minutes, progress=StopsAt(4))
        return (
            Checkpoint.read(out / "checkpoint.pt", QUICK).trainer["steps_done"]
            if (out / "checkpoint.pt").exists()
            else 0
        )

    assert steps_done(tmp_path / "always", 0.0) == 4
    assert steps_done(tmp_path / "never", 100.0) == 0


class Spoils:
    """In place of a trainer's step: one term is not finite for samples that a test names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
        self.batches: list[int] = []
        numbers, step = run_module.numbers_of_batches, Trainer.step

        def count(first: int, end: int, batch: int) -> Iterator[list[int]]:
            for chosen in numbers(first, end, batch):
                self.batches.append(chosen[0] // batch)
                yield chosen

        def spoil(trainer: Trainer, degraded: torch.Tensor, sharp: torch.Tensor) -> dict[str, torch.Tensor]:
            terms = step(trainer, degraded, sharp)
            return terms | {"l1": terms["l1"] / 0} if self.batches[-1] in bad else terms

        monkeypatch.setattr(run_module, "numbers_of_batches", count)
        monkeypatch.setattr(Trainer, "step", spoil)


class Told(Silent):
    def __init__(self) -> None:
        self.failures: list[str] = []
        self.works: list[Work] = []

    def begin(self, work: Work) -> None:
        self.works.append(work)

    def step(self, event: Event) -> None:
        if event.status == "failed":
            self.failures.append(f"{event.key}: {event.detail}")


def test_a_loss_that_is_not_finite_returns_to_the_checkpoint_and_passes_over_its_batches(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt, told = Spoils(monkeypatch, {2, 4}), Told()
    run(QUICK, sharp, tmp_path / "run", progress=told)
    # Validations after steps 2, 4 and 6. Batch 2 spoils step 3, batch 4 would spoil it again one batch later.
    assert spoilt.batches == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [line.split(" The run")[0] for line in told.failures] == [
        "training: The loss term 'l1' is no longer finite at step 3.",
        "training: The loss term 'l1' is no longer finite at step 4.",
    ]
    assert [row["step"] for row in rows(tmp_path / "run")] == list("123456")
    sittings = json.loads((tmp_path / "run" / "run.json").read_text())["sittings"]
    assert [(sitting["first_step"], sitting["batches_skipped"]) for sitting in sittings] == [(0, 0), (2, 1), (2, 3)]


def test_a_checkpoint_by_time_has_no_loss_that_is_not_finite_before_it(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = Spoils(monkeypatch, {2})  # no row of the log is due
    options = {"log_every": 100, "validate_every": 100, "checkpoint_minutes": 0.0}
    run(QUICK, sharp, tmp_path / "run", **options)
    assert spoilt.batches == [0, 1, 2, 3, 4, 5, 6]  # back from step 3 at once


def test_returns_to_different_checkpoints_do_not_add_up(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spoils(monkeypatch, {2, 5, 8, 11})  # each behind a checkpoint of its own
    told = Told()
    run(QUICK.replacing(steps=10), sharp, tmp_path / "run", progress=told)
    assert len(told.failures) == 4


def test_a_run_that_returned_and_was_stopped_continues_to_the_bit(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spoils(monkeypatch, {2})
    straight = run(QUICK, sharp, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(QUICK, sharp, tmp_path / "stopped", progress=StopsAt(5))
    assert equal(run(QUICK, sharp, tmp_path / "stopped"), straight)


def test_a_loss_that_is_finite_on_no_batch_stops_the_run(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt, told = Spoils(monkeypatch, set(range(2, 100))), Told()
    with pytest.raises(NotFinite, match=r"'l1' is no longer finite at step 3.*lower learning rate"):
        run(QUICK, sharp, tmp_path / "run", progress=told)
    assert spoilt.batches == [0, 1, 2, 3, 4, 5]  # three returns to the checkpoint after step 2
    assert len(told.failures) == 3


def test_no_checkpoint_holds_weights_that_a_step_has_spoilt(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def spoil(trainer: Trainer, *batch: torch.Tensor) -> dict[str, torch.Tensor]:
        terms = step(trainer, *batch)
        if trainer.steps_done == 4:
            next(trainer.model.parameters()).data[0] = float("nan")
        return terms

    monkeypatch.setattr(Trainer, "step", spoil)
    with pytest.raises(NotFinite, match="weight is no longer finite at step 4"):
        run(QUICK, sharp, tmp_path / "run")
    assert Checkpoint.read(tmp_path / "run" / "checkpoint.pt", QUICK).trainer["steps_done"] == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named_once_and_passed_over(sharp: Path, tmp_path: Path, workers: int) -> None:
    (sharp / "1.png").write_bytes(b"no image")  # learned from
    (sharp / "2.png").write_bytes(b"no image")  # held out
    told = Told()
    run(QUICK, sharp, tmp_path / "run", progress=told, workers=workers)
    assert sorted(line.split(":")[0] for line in told.failures) == [str(sharp / "1.png"), str(sharp / "2.png")]
    assert rows(tmp_path / "run")[-1]["validation/measured_on"] == "the central 256 px of 2 images"


def test_no_worker_outlives_a_run_that_an_error_ends(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped) as caught:
        run(QUICK, sharp, tmp_path / "run", workers=1, progress=StopsAt(2))
    assert caught.tb  # which keeps every frame of the run
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 1])
def test_no_image_that_can_be_read_is_an_error(sharp: Path, tmp_path: Path, workers: int) -> None:
    for name in ("1.png", "3.png"):
        (sharp / name).write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"^None of the 2 training images can be used \("):
        run(QUICK, sharp, tmp_path / "run", workers=workers)
    for name in ("0.png", "2.png", "4.png"):
        (sharp / name).write_bytes(b"no image")
    (tmp_path / "good").mkdir()
    write_image(Image(np.zeros((64, 64, 3), np.uint8)), tmp_path / "good" / "a.png")
    with pytest.raises(UsageError, match="None of the 5 validation images"):
        run(QUICK, tmp_path / "good", tmp_path / "other", validation=sharp)


def test_tensorboard_shows_the_rows_of_the_log(sharp: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(Stopped):
        run(QUICK, sharp, tmp_path / "run", tensorboard=True, progress=StopsAt(3))
    run(QUICK, sharp, tmp_path / "run", tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    log = rows(tmp_path / "run")
    assert [event.step for event in events.Scalars("loss/l1")] == [1, 2, 3, 4, 5, 6]
    for name in ("loss/l1", "validation/ssim", "learning_rate"):
        shown = {str(event.step): event.value for event in events.Scalars(name)}
        assert shown == pytest.approx({row["step"]: float(row[name]) for row in log if row[name]}, rel=1e-3)


def test_tensorboard_that_is_not_installed_is_a_usage_error(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"TensorBoard is not installed.*pip install"):
        run(QUICK, sharp, tmp_path / "run", tensorboard=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_run_differs_by_rounding(sharp: Path, tmp_path: Path) -> None:
    recipe = QUICK.replacing(steps=2, precision="fp32")
    plain = run(recipe, sharp, tmp_path / "run")
    compiled = run(recipe, sharp, tmp_path / "compiled", compiled=True)
    for name in plain:
        torch.testing.assert_close(compiled[name], plain[name], rtol=0, atol=1e-4)
    assert json.loads((tmp_path / "compiled" / "run.json").read_text())["sittings"][0]["compiled"]


def test_only_a_run_that_asks_for_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda function: seen.append(function.__name__) or function)
    for compiled in (False, True):
        trainer = Trainer.build(QUICK, torch.device("cpu"), torch.float32, compiled=compiled)
        trainer.step(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 32, 32))
        assert seen == (["generator_loss", "discriminator_loss"] if compiled else [])


@pytest.mark.slow
def test_gggan_begins_with_its_pre_network_and_may_keep_it(sharp: Path, tmp_path: Path) -> None:
    sizes = {"channels": 8, "modules": 1, "taps": (1,), "prenet_widths": (4, 4, 4)}
    alone = Recipe("gggan", config=sizes | {"trunk": False}, steps=2, batch=1, crop=32, loss_weights=PLAIN)
    before = run(alone, sharp, tmp_path / "prenet")
    assert {name.split(".")[0] for name in before} == {"prenet"}
    both = Recipe("gggan", config=sizes, steps=2, batch=1, crop=32, loss_weights=PLAIN, rate_factors={"prenet.*": 0.0})
    after = run(both, sharp, tmp_path / "trunk", start=tmp_path / "prenet/weights.safetensors")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert after["reconstruct.2.weight"].any()  # it starts at zero, and learns
    free = run(both.replacing(rate_factors={}), sharp, tmp_path / "all", start=tmp_path / "prenet/weights.safetensors")
    assert not torch.equal(free["prenet.out.weight"], before["prenet.out.weight"])


def test_a_part_that_the_network_does_not_have_cannot_be_frozen(sharp: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No parameter of 'gggan-lite' is called like pernet\.\*"):
        run(TINY.replacing(rate_factors={"pernet.*": 0.0}), sharp, tmp_path / "run")
    with pytest.raises(UsageError, match=r"called like lstn\.\*"):  # nor clipped alone
        run(TINY.replacing(clip_only="lstn.*"), sharp, tmp_path / "run")


@pytest.mark.parametrize(
    "trainer",
    [
        *({}, {"steps_done": 1, "model": {}}, {"steps_done": 1, "model": 3}),
        Trainer.build(QUICK, torch.device("cpu"), torch.float32).state() | {"optimiser": {"state": {9999: {}}}},
        Trainer.build(QUICK, torch.device("cpu"), torch.float32).state() | {"optimiser": {"state": 3}},
    ],
)
def test_a_checkpoint_that_does_not_fit_its_recipe_is_named(
    sharp: Path, tmp_path: Path, trainer: dict[str, object]
) -> None:
    Checkpoint(QUICK.to_json(), "fp32", 1.0, trainer).write(tmp_path / "run" / "checkpoint.pt")
    with pytest.raises(UsageError, match=r"checkpoint\.pt.*cannot be used"):
        run(QUICK, sharp, tmp_path / "run")


@pytest.mark.parametrize(
    "spoilt",
    [
        *({"exp_avg": 3}, {"exp_avg": torch.zeros(2)}, {"exp_avg": torch.zeros(())}, {"exp_avg_sq": None}, {"more": 1}),
        {"step": torch.tensor(-1.0)},
    ],
)
def test_momenta_that_do_not_fit_the_network_are_named(sharp: Path, tmp_path: Path, spoilt: dict[str, object]) -> None:
    run(QUICK.replacing(steps=1), sharp, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.pt"
    checkpoint = Checkpoint.read(path, QUICK.replacing(steps=1))
    assert checkpoint is not None
    momenta = checkpoint.trainer["optimiser"]["state"]
    momenta[0] = {name: value for name, value in (momenta[0] | spoilt).items() if value is not None}
    replace(checkpoint, recipe=QUICK.to_json()).write(path)
    with pytest.raises(UsageError, match=r"checkpoint\.pt.*cannot be used"):
        run(QUICK, sharp, tmp_path / "run")


def test_weights_that_lack_half_of_a_part_are_no_beginning(sharp: Path, tmp_path: Path) -> None:
    run(TINY.replacing(steps=1), sharp, tmp_path / "shallow")
    deeper = TINY.replacing(steps=1, config=TINY.config | {"blocks": 4})
    with pytest.raises(WeightsError, match="missing: image_blocks") as caught:
        run(deeper, sharp, tmp_path / "deep", start=tmp_path / "shallow/weights.safetensors")
    assert caught.value.path == tmp_path / "shallow/weights.safetensors"
