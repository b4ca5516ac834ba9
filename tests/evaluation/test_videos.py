import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from video_clips import make_clip

from restorekit.errors import UsageError
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.videos import compare_videos


def clip(path: Path, levels: list[int]) -> Path:
    frames = [np.full((24, 32, 3), level, np.uint8) for level in levels]
    return make_clip(path, "ffv1", "bgr0", frames=frames)


def test_scores_of_flat_frames_are_those_of_a_calculator(tmp_path: Path) -> None:
    sharp = clip(tmp_path / "sharp.mkv", [100, 110, 120])
    flickers = clip(tmp_path / "flickers.mkv", [102, 108, 122])  # changes of +6 and +14 instead of +10
    brighter = clip(tmp_path / "brighter.mkv", [102, 112, 122])  # as far away, and steady
    out = tmp_path / "out"
    compared = compare_videos({"<b>": flickers, "steady": brighter}, sharp, load_protocol("pairs"), out)
    psnr = 20 * math.log10(255 / 2)
    for name, errors in (("<b>", [None, 4, 4]), ("steady", [None, 0, 0])):
        scores = [score for score in compared.scores if score.video == name]
        assert [score.temporal_error for score in scores] == errors
        assert [score.psnr for score in scores] == pytest.approx([psnr] * 3)
        assert [score.seconds for score in scores] == [0, 0.2, 0.4]
        assert compared.mean(name, "temporal_error") == errors[1]
    facts = json.loads((out / "results.json").read_text())
    assert facts["means"]["steady"]["psnr"] == pytest.approx(psnr)
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [(row["video"], row["frame"], row["temporal_error"]) for row in rows[:2]] == [
        ("<b>", "0", ""),
        ("<b>", "1", "4.0"),
    ]
    page = (out / "report.html").read_text()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<polyline") == 6


def test_equal_videos_have_an_infinite_psnr_and_a_page(tmp_path: Path) -> None:
    sharp = clip(tmp_path / "sharp.mkv", [100, 110])
    compared = compare_videos({"same": sharp}, sharp, load_protocol("pairs"), tmp_path / "out")
    assert compared.mean("same", "psnr") == math.inf
    assert json.loads((tmp_path / "out/results.json").read_text())["means"]["same"]["psnr"] is None


def test_videos_of_other_lengths_are_refused(tmp_path: Path) -> None:
    sharp = clip(tmp_path / "sharp.mkv", [100, 110, 120])
    with pytest.raises(UsageError, match="frame 2"):
        compare_videos({"short": clip(tmp_path / "short.mkv", [100, 110])}, sharp, load_protocol("pairs"), tmp_path)
