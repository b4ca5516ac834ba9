from pathlib import Path

import cv2
import numpy as np
import pytest

from restorekit.cli.summary import print_stronger
from restorekit.media.discover import Job
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.pipeline.left_blur import count_left_blurred
from restorekit.pipeline.report import FileResult, Results, RunInfo, RunSummary
from restorekit.weights.manifest import load_manifest

PHOTO = RunInfo("gggan-lite", "photo", "cpu", "fp32")


def run_of(folder: Path, images: dict[str, np.ndarray], info: RunInfo = PHOTO) -> RunSummary:
    """A run that has left every image as it was."""
    results = Results(folder)
    for name, pixels in images.items():
        write_image(Image(pixels), folder / name)
        results.add(Job.of(folder / name, Path(name)), FileResult(folder / name, folder / name, "done"))
    return RunSummary(len(images), info, results)


@pytest.fixture
def blurred(photo: np.ndarray) -> np.ndarray:
    return cv2.blur(photo, (15, 1))


def test_the_first_three_results_are_looked_at(tmp_path: Path, photo: np.ndarray, blurred: np.ndarray) -> None:
    images = {"a.png": blurred, "b.png": photo, "c.png": blurred, "d.png": blurred}
    run = run_of(tmp_path, images)
    assert count_left_blurred(run) == (2, 3)
    (tmp_path / "a.png").unlink()
    assert count_left_blurred(run) == (1, 2)


def test_one_line_tells_of_a_stronger_network_until_it_is_here(
    tmp_path: Path,
    photo: np.ndarray,
    blurred: np.ndarray,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path / "cache"))
    print_stronger(run_of(tmp_path / "sharp", {"a.png": photo}))
    print_stronger(run_of(tmp_path / "other", {"a.png": blurred}, RunInfo("gggan-lite", "endoscopy", "cpu", "fp32")))
    assert capsys.readouterr().err == ""
    print_stronger(run_of(tmp_path / "blurred", {"a.png": blurred}))
    (line,) = capsys.readouterr().err.splitlines()
    assert "1 of 1 results" in line
    assert "`restorekit models fetch dmphn`" in line
    (entry,) = load_manifest().remote_for("dmphn")
    for part in entry.parts:
        part.path.parent.mkdir(parents=True, exist_ok=True)
        part.path.touch()
    print_stronger(run_of(tmp_path / "again", {"a.png": blurred}))
    assert capsys.readouterr().err == ""
