from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.evaluation.baselines import Baseline, bicubic, identity
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.methods import BaselineMethod, FolderMethod, NetworkMethod
from restorekit.evaluation.preparation import Degraded
from restorekit.media.encode import write_image
from restorekit.media.image import Image


def folder(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write_image(Image(np.full((12, 14, 3), 10 * number, np.uint8)), root / name)
    return root


def item(name: str) -> Item:
    return Item(name, (Path("x"),))


def test_a_restored_file_is_found_by_its_path_before_its_name(tmp_path: Path) -> None:
    restorer = FolderMethod("theirs", folder(tmp_path, "a/1.png", "b/1.png", "b/2.tif")).load()
    assert restorer.source(item("a/1")) == tmp_path / "a/1.png"
    assert restorer.source(item("b/1")) == tmp_path / "b/1.png"
    assert restorer.source(item("elsewhere/2")) == tmp_path / "b/2.tif"
    assert restorer.source(item("elsewhere/1")) is None  # two files have the name
    with pytest.raises(UsageError, match="elsewhere/1 is expected"):
        restorer.restore(item("elsewhere/1"), None)
    assert restorer.restore(item("b/1"), None)[0, 0, 0] == 10
    assert (restorer.facts.name, restorer.facts.kind, restorer.keeps_images) == ("theirs", "folder", False)


def test_a_restored_file_is_cut_like_the_others_unless_it_is_too_small(tmp_path: Path) -> None:
    root = folder(tmp_path, "1.png")
    assert FolderMethod("theirs", root, 8).load().restore(item("1"), None).shape == (8, 8, 3)
    assert FolderMethod("theirs", root, 12).load().restore(item("1"), None).shape == (12, 12, 3)
    assert FolderMethod("theirs", root, 13).load().restore(item("1"), None).shape == (12, 14, 3)
    assert FolderMethod("theirs", root).load().identity != FolderMethod("theirs", root, 8).load().identity


@pytest.mark.parametrize(
    ("weights", "label", "name"),
    [
        ("auto", "", "gggan"),
        ("photo", "", "gggan:photo"),
        ("runs/x.safetensors", "", "gggan:x"),
        ("runs/x.safetensors", "mine", "mine"),
    ],
)
def test_a_networks_row_is_called_by_its_label_or_its_weights(weights: str, label: str, name: str) -> None:
    assert NetworkMethod("gggan", weights, label=label).name == name


def test_baselines_tell_what_they_do_and_only_results_are_kept() -> None:
    enlarging, doing_nothing = (
        BaselineMethod(Baseline("bicubic", bicubic)),
        BaselineMethod(Baseline("identity", identity)),
    )
    assert enlarging.facts.paper.startswith("Enlarge by MATLAB's")
    assert enlarging.identity == {"baseline": "bicubic", "does": enlarging.facts.paper}
    assert (enlarging.keeps_images, doing_nothing.keeps_images) == (True, False)
    assert not enlarging.needs_psf
    assert enlarging.source(item("a")) is None


def test_a_network_that_misses_the_wanted_size_is_resized_to_it(weights_file: Path, photo: np.ndarray) -> None:
    restorer = NetworkMethod("gggan-lite", str(weights_file)).load()
    small = np.ascontiguousarray(photo[:32, :40])
    same = restorer.restore(item("a"), Degraded(small, (32, 40)))
    other = restorer.restore(item("a"), Degraded(small, (31, 42)))
    assert same.shape == (32, 40, 3)
    np.testing.assert_array_equal(other, bicubic(Degraded(same, (31, 42))))
    assert restorer.identity["model"] == "gggan-lite"
    assert restorer.facts.weights == str(weights_file)
