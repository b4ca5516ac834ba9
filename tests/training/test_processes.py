"""Several processes of one run: they need a socket of this machine and seconds to start."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SMALL

from restorekit.errors import UsageError
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training import loading, processes, run
from restorekit.training.checkpoint import Checkpoint
from restorekit.training.recipe import Recipe
from restorekit.weights import state_dict

# Sang's discriminator has no batch normalisation: its statistics would be those of each process's share.
RECIPE = Recipe(
    "sang",
    config=SMALL["sang"] | {"blocks": 2},
    steps=4,
    batch=4,
    crop=128,
    learning_rate=1e-4,
    precision="fp32",
    ema_decay=0.5,
)

# Batch normalisation, whose statistics a resumed run takes from the first process.
NORMALISED = Recipe("srresnet", config=SMALL["srresnet"], steps=4, batch=4, crop=32, precision="fp32")

STOPPED_BY_THE_SECOND = """
import sys
import threading
from pathlib import Path

from restorekit.runtime.progress import Silent
from restorekit.training import processes, run
from restorekit.training.recipe import Recipe

recipe, data, out = map(Path, sys.argv[1:])
stop = threading.Event()
with processes.torchrun_group():
    step = run.Trainer.step

    def counted(trainer, *batch):
        if processes.rank() == 1 and trainer.steps_done == 1:
            stop.set()
        return step(trainer, *batch)

    run.Trainer.step = counted
    try:
        run.train(Recipe.from_file(recipe), data, out, device="cpu", workers=0, log_every=4, stop=stop)
    except KeyboardInterrupt:
        print("stopped", processes.rank(), "of", processes.count())
"""


@pytest.fixture
def data(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(3):
        write_image(Image(np.roll(photo, 9 * number, axis=1)), tmp_path / "data" / f"{number}.png")
    (tmp_path / "recipe.json").write_text(RECIPE.to_json())
    return tmp_path / "data"


def torchrun(*command: object) -> str:
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, command)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(out: Path) -> dict[str, list[float]]:
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0] if name.startswith("loss/")}


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one_with_the_whole_batch(data: Path, tmp_path: Path) -> None:
    command = ("train", "--data", data, "--recipe", tmp_path / "recipe.json", "--log-every", "1")
    command += ("--validate-every", "2", "--device", "cpu", "--workers", "1", "--out")
    printed = torchrun("-m", "restorekit", *command, tmp_path / "two")
    assert printed.count("Weights:") == 1  # the first process alone tells
    run.train(RECIPE, data, tmp_path / "one", device="cpu", workers=0, log_every=1, validate_every=2)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert one.keys() == two.keys() == {"loss/mse", "loss/adversarial", "loss/discriminator"}
    for name in one:
        assert two[name] == pytest.approx(one[name], rel=1e-3)
    assert one["loss/discriminator"] == pytest.approx(sorted(one["loss/discriminator"], reverse=True))  # it learns
    (sitting,) = json.loads((tmp_path / "two" / "run.json").read_text())["sittings"]
    assert sitting["processes"] == 2


@pytest.mark.slow
def test_two_processes_stop_together_and_continue_to_the_bit(data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(NORMALISED.to_json())
    command = ("-m", "restorekit", "train", "--data", data, "--recipe", tmp_path / "recipe.json", "--log-every", "4")
    command += ("--device", "cpu", "--workers", "0", "--out")
    torchrun(*command, tmp_path / "straight")
    (tmp_path / "script.py").write_text(STOPPED_BY_THE_SECOND)
    printed = torchrun(tmp_path / "script.py", tmp_path / "recipe.json", data, tmp_path / "stopped")
    assert sorted(printed.splitlines()) == ["stopped 0 of 2", "stopped 1 of 2"]
    checkpoint = Checkpoint.read(tmp_path / "stopped" / "checkpoint.pt", NORMALISED)
    assert checkpoint is not None
    assert checkpoint.trainer["steps_done"] == 2
    torchrun(*command, tmp_path / "stopped")
    straight, stopped = (state_dict.load(tmp_path / name / "weights.safetensors") for name in ("straight", "stopped"))
    assert any("running_var" in name for name in straight)
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)
    assert losses(tmp_path / "straight") == losses(tmp_path / "stopped")


def test_processes_share_the_samples_of_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "count", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        shares.append(list(loading.numbers_of_batches(3, 5, batch=4)))
    assert shares == [[[12, 13], [16, 17]], [[14, 15], [18, 19]]]


def test_a_batch_that_does_not_divide_among_the_processes_is_a_usage_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "count", lambda: 3)
    with pytest.raises(UsageError, match="batch of 4 does not divide among 3 processes"):
        run.train(RECIPE, data, tmp_path / "run", device="cpu")
    monkeypatch.setattr(processes, "count", lambda: 2)
    with pytest.raises(UsageError, match="2 processes with 4 passes each"):
        run.train(RECIPE.replacing(accumulate=4), data, tmp_path / "run", device="cpu")
