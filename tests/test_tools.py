"""The scripts in tools/ that others run, in small."""

import csv
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from restorekit.media.decode import read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.weights.loss import Loss
from restorekit.weights.manifest import load_manifest

TOOLS = Path(__file__).parent.parent / "tools"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="tools/ is not beside an installed package")


@pytest.mark.slow
def test_systems_train_under_one_budget_and_are_measured(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    training, sharp = photo[:, :96].copy(), photo[:64, 96:].copy()
    write_image(Image(training), tmp_path / "data" / "a.png")
    write_image(Image(sharp), tmp_path / "pairs" / "sharp" / "b.png")
    write_image(Image(np.asarray(cv2.blur(sharp, (5, 1)), np.uint8)), tmp_path / "pairs" / "blur" / "b.png")
    out = tmp_path / "out"
    command = [sys.executable, str(TOOLS / "equal_budget.py"), "--data", str(tmp_path / "data"), "--device", "cpu"]
    command += ["--test", str(tmp_path / "pairs"), "--model", "gggan-lite", "--samples", "6", "--batch", "2"]
    command += ["--crop", "32", "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((out / "plan.json").read_text()) == {"gggan-lite, 6 samples, 2 crops of 32 px": 3}
    assert [row["step"] for row in csv.DictReader((out / "gggan-lite/log.csv").open())] == ["1", "3"]
    assert "gggan-lite" in {row["method"] for row in csv.DictReader((out / "scores/results.csv").open())}
    log = (out / "gggan-lite/log.csv").read_text()
    subprocess.run(command, check=True, capture_output=True)
    assert (out / "gggan-lite/log.csv").read_text() == log  # no step was left


@pytest.mark.slow
def test_systems_that_find_a_blur_are_measured(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    for number in range(2):
        write_image(Image(photo[:, number * 40 :][:, :100].copy()), tmp_path / f"{number}.png")
    command = [sys.executable, str(TOOLS / "measure_found_blur.py"), str(tmp_path), "--model", "sun"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    gains = "gain {0} dB, median {0}, lowest {0}, motion wrong by {0} px".format(r"[+-]?\d+\.\d\d")
    assert re.fullmatch(f"sun, lines of 15 px: {gains}", told[0])
    assert re.fullmatch(f"sun, lines of 9 px: {gains}", told[1])
    assert re.match(r"sun, sharp: \d of 2 unchanged", told[2])


def test_what_is_lost_in_int8_goes_to_the_entry_of_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    import quantize_weights

    path = tmp_path / "srgan-em-x4-int8.onnx"
    path.write_bytes(b"graph")
    entry = load_manifest().find_bundled("srgan-em", "x4")
    before = tomllib.loads(quantize_weights.MANIFEST.read_text(encoding="utf-8"))
    assert not any(other["model"] == "srgan-em" and "int8" in other for other in before["bundled"])
    text = quantize_weights.MANIFEST.read_text(encoding="utf-8")
    for images in (12, 13):  # the second table takes the place of the first
        table = quantize_weights.table(path, "photos", Loss(0.03456, 0.0011, images, 1, 18))
        text = quantize_weights.with_table(text, entry, table)
    after = tomllib.loads(text)
    (changed,) = (other for other in after["bundled"] if (other["model"], other["tag"]) == ("srgan-em", "x4"))
    assert changed.pop("int8") == {
        "file": "srgan-em-x4-int8.onnx",
        "sha256": "eef93e1d14482804277fca0172464032d1a4fdbcc338524059fa1e861454ad4d",
        "size": 5,
        "data": "40 images of BSDS500 train found the scales, 13 others measured the loss",
        "loss": {"psnr": 0.0346, "ssim": 0.0011, "images": 13, "float_layers": 1, "layers": 18},
    }
    assert after == before
    assert tomllib.loads(quantize_weights.with_table(text, entry, "")) == before


def test_every_bundled_file_has_its_card_and_cases_have_their_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    import model_cards

    root = TOOLS.parent
    assert (root / "WEIGHTS.md").read_text(encoding="utf-8") == model_cards.page(), "python tools/model_cards.py"
    shown = [entry for entry in load_manifest().bundled if entry.name in model_cards.CASES]
    assert len(shown) == len(model_cards.CASES)
    for entry in shown:
        assert read_rgb8(root / model_cards.picture_of(entry)).shape == (256, 3 * 256 + 2 * 8, 3)
