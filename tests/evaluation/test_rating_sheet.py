"""rating-sheet.html, in a browser where there is one."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from browser import BROWSER, opened

from restorekit.errors import UsageError
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.opinions import average_opinions, blind_name, read_opinions
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.rating_sheet import write_rating_sheet
from restorekit.evaluation.result import BenchmarkRequest, BenchmarkResult
from restorekit.media.decode import read_rgb8

PROBE = Path(__file__).with_name("rating_probe.js")
METHODS = ("identity", "unsharp-mask", "wiener", "richardson-lucy")


@pytest.fixture
def result(pairs: Path, tmp_path: Path) -> BenchmarkResult:
    return run_benchmark(BenchmarkRequest(load_protocol("pairs"), pairs, shown=2), tmp_path / "out")


def test_the_sheet_holds_every_result_without_loss_and_names_no_method(
    result: BenchmarkResult, pairs: Path, tmp_path: Path
) -> None:
    page = write_rating_sheet(tmp_path / "out").read_text(encoding="utf-8")
    assert not any(method in page for method in METHODS)
    assert not re.search(r"https?://|(?:src|href)=\"(?!data:)", page)
    names = re.findall(r'"name": "(\w+)"', page)
    shown = [example.item for example in result.examples]
    assert sorted(names) == names  # an order that tells nothing
    assert set(names) == {blind_name(item, method) for item in shown for method in METHODS}
    blurred = blind_name(shown[0], "identity")
    image = re.search(rf'"name": "{blurred}", "image": "data:image/webp;base64,([^"]+)"', page)
    assert image is not None
    pixels = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(image[1]))))
    np.testing.assert_array_equal(pixels, read_rgb8(pairs / f"all/blur/{shown[0].removeprefix('all/')}.png"))


def test_without_results_there_is_no_sheet(result: BenchmarkResult, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results"):
        write_rating_sheet(tmp_path)
    shutil.rmtree(tmp_path / "out/images/wiener")
    with pytest.raises(UsageError, match="missing"):
        write_rating_sheet(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_rater_fills_the_sheet_in_and_the_benchmark_reads_it(result: BenchmarkResult, tmp_path: Path) -> None:
    seen = opened(write_rating_sheet(tmp_path / "out"), PROBE)
    assert (seen["faults"], seen["requests"]) == ([], [])
    assert seen["count"] == "8"
    assert not seen["anonymous"]  # nobody begins without a name
    ben, anna = seen["orders"]
    assert ben != anna
    assert sorted(ben.split(",")) == sorted(anna.split(",")) == [*"01234567"]
    assert seen["next"]
    assert seen["chosen"] == "4 good"
    assert seen["unmoved"]
    assert seen["ended"]
    assert not any(method in seen["text"] for method in METHODS)
    (tmp_path / "anna.csv").write_text(seen["table"])
    opinions = read_opinions(tmp_path / "anna.csv")
    assert [opinion.score for opinion in opinions] == [1, 2, 3, 4, 5, 1, 2, 3]
    means, messages = average_opinions(opinions, result.dataset.items, METHODS)
    assert messages == []
    assert {mean.method for mean in means} == set(METHODS)
    assert all(mean.n == (1 if mean.item else 2) for mean in means)
