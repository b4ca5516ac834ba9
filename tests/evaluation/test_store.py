"""What is remembered counts only while nothing that decides it has changed."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from restorekit.evaluation.baselines import Baseline, identity
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.methods import BaselineMethod, FolderMethod
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.scoring import ImageScores, Scorer
from restorekit.evaluation.speed import SpeedMeasurement, SpeedRequest
from restorekit.evaluation.store import BenchmarkStore, folder_name
from restorekit.inference.settings import Settings
from restorekit.media.encode import write_image
from restorekit.media.image import Image

PAIRS = load_protocol("pairs")
SCORER = Scorer(PAIRS, 1)
METHOD = BaselineMethod(Baseline("identity", identity))
PIXELS = np.full((12, 14, 3), 7, np.uint8)


@pytest.fixture
def item(tmp_path: Path) -> Item:
    for name in ("blur", "sharp", "other"):
        write_image(Image(PIXELS), tmp_path / f"{name}.png")
    return Item("set/a", (tmp_path / "sharp.png",), tmp_path / "blur.png", subset="set")


def changed(path: Path) -> None:
    write_image(Image(np.zeros((13, 14, 3), np.uint8)), path)


def test_a_restored_image_is_found_until_it_or_its_input_changes(item: Item, tmp_path: Path) -> None:
    store = BenchmarkStore(tmp_path / "out", PAIRS, 1)
    facts = store.image_facts(item, METHOD)
    assert store.find_image("m", item, facts) is None
    store.keep_image("m", item, facts, PIXELS, 1.5)
    again = BenchmarkStore(tmp_path / "out", PAIRS, 1)
    kept = again.find_image("m", item, again.image_facts(item, METHOD))
    assert kept is not None
    assert (kept.path, kept.seconds) == (tmp_path / "out/images/m/set/a.png", 1.5)
    assert again.find_image("other", item, facts) is None
    changed(kept.path)
    assert again.find_image("m", item, facts) is None
    assert item.blurred is not None
    changed(item.blurred)
    assert again.image_facts(item, METHOD) != facts


def test_the_sharp_image_decides_scores_and_only_enlargements_inputs(item: Item, tmp_path: Path) -> None:
    store, enlarging = BenchmarkStore(tmp_path, PAIRS, 1), BenchmarkStore(tmp_path, load_protocol("sr-y"), 4)
    facts = store.image_facts(item, METHOD), enlarging.image_facts(item, METHOD)
    scores = store.score_facts(item, facts[0], SCORER)
    changed(item.sharp[0])
    assert store.image_facts(item, METHOD) == facts[0]
    assert enlarging.image_facts(item, METHOD) != facts[1]
    assert store.score_facts(item, facts[0], SCORER) != scores
    assert BenchmarkStore(tmp_path, load_protocol("sr-y"), 3).image_facts(item, METHOD) != facts[1]


def test_the_psf_the_method_and_its_file_decide_too(item: Item, tmp_path: Path) -> None:
    store = BenchmarkStore(tmp_path, PAIRS, 1)
    facts = store.image_facts(item, METHOD)
    assert store.image_facts(replace(item, psf=np.ones((3, 3), np.float32)), METHOD) != facts
    theirs = FolderMethod("theirs", tmp_path).load()
    named = replace(item, name="other")
    before = store.image_facts(named, theirs)
    assert before != store.image_facts(named, METHOD)
    changed(tmp_path / "other.png")
    assert store.image_facts(named, theirs) != before


def test_scores_come_back_as_they_were_and_only_with_all_that_is_asked_for(item: Item, tmp_path: Path) -> None:
    store = BenchmarkStore(tmp_path / "out", PAIRS, 1)
    facts = store.score_facts(item, store.image_facts(item, METHOD), SCORER)
    values = {"psnr": math.inf, "ssim": 1.0, "mse": 0.0}
    scores = ImageScores("set/a", "set", "m", values, {"niqe": "too small"}, 2.5, True)
    store.record_scores(item, facts, scores)
    again = BenchmarkStore(tmp_path / "out", PAIRS, 1)
    plain = again.find_scores("m", item, facts, SCORER)
    assert plain == replace(scores, left_out={})
    assert again.find_scores("m", item, facts, Scorer(PAIRS, 1, ("niqe",))) == scores
    assert again.find_scores("m", item, facts, Scorer(PAIRS, 1, ("ms-ssim",))) is None
    assert again.find_scores("m", item, {**facts, "sharp": []}, SCORER) is None


def test_another_protocol_forgets_scores(item: Item, tmp_path: Path) -> None:
    image = BenchmarkStore(tmp_path, PAIRS, 1).image_facts(item, METHOD)
    facts = [
        BenchmarkStore(tmp_path, protocol, 1).score_facts(item, image, SCORER)
        for protocol in (PAIRS, load_protocol("hide"))
    ]
    assert facts[0] != facts[1]


def test_speeds_are_those_of_one_request_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BenchmarkStore(tmp_path, PAIRS, 1)
    request = SpeedRequest("gggan", "auto", None, Settings("cpu"), (32, 48), 3)
    speed = SpeedMeasurement(1.0, 0.5, 90.0, "cpu", "fp32")
    store.record_speed("m", request, {"sha256": "x"}, speed)
    again = BenchmarkStore(tmp_path, PAIRS, 1)
    assert again.find_speed("m", request, {"sha256": "x"}) == speed
    assert again.find_speed("m", replace(request, repeats=4), {"sha256": "x"}) is None
    assert again.find_speed("m", request, {"sha256": "y"}) is None
    monkeypatch.setattr("restorekit.evaluation.store.cpu_name", lambda: "another machine")
    assert again.find_speed("m", request, {"sha256": "x"}) is None


def test_a_methods_folder_has_no_characters_that_file_systems_refuse() -> None:
    assert folder_name("with BN: 500/epochs?") == "with-BN--500-epochs-"
    assert folder_name("gggan-lite_x2.5") == "gggan-lite_x2.5"


def test_lines_whose_values_make_no_sense_do_not_count(item: Item, tmp_path: Path) -> None:
    store = BenchmarkStore(tmp_path / "out", PAIRS, 1)
    facts = store.image_facts(item, METHOD)
    request = SpeedRequest("gggan-lite", "auto", None, Settings("cpu"), (8, 8), 1)
    store.keep_image("m", item, facts, PIXELS, 0.5)
    store.record_scores(item, facts, ImageScores(item.name, "set", "m", {"psnr": 1.0, "ssim": 1.0, "mse": 1.0}))
    store.record_speed("m", request, {}, SpeedMeasurement(1.0, 1.0, 1.0, "cpu", "fp32"))
    image, scores, speed = map(json.loads, store.journal.path.read_text().splitlines())
    changes = [(image, "stamp", 3), (image, "seconds", "soon"), (image, "seconds", []), (speed, "speed", {"more": 1})]
    changes += [(speed, "speed", None), (speed, "speed", speed["speed"] | {"seconds": "soon"}), (scores, "grey", 3)]
    changes += [
        (scores, "values", {"psnr": []}),
        (scores, "values", 3),
        (scores, "left_out", []),
        (scores, "seconds", {}),
    ]
    for entry, name, odd in changes:
        store.journal.path.write_text(json.dumps(entry | {name: odd}) + "\n")
        again = BenchmarkStore(tmp_path / "out", PAIRS, 1)
        assert again.find_image("m", item, facts) is None, (name, odd)
        assert (again.find_scores("m", item, facts, SCORER) is None) is (name != "grey"), (name, odd)
        assert again.find_speed("m", request, {}) is None, (name, odd)
