"""report.html, in a browser where there is one."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import BROWSER, opened

from restorekit.errors import UsageError
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.figure import write_figure
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.rating_sheet import write_rating_sheet
from restorekit.evaluation.report import _error_map, _shrink, write_report
from restorekit.evaluation.result import BenchmarkRequest

PROBE = Path(__file__).with_name("report_probe.js")


@pytest.fixture
def page(pairs: Path, tmp_path: Path) -> Path:
    (tmp_path / "mos.csv").write_text("image,method,rater,score\na,identity,1,3\na,identity,2,4\n")
    request = BenchmarkRequest(
        load_protocol("gopro"),
        pairs,
        restored={"</script><b>": pairs / "all/sharp"},
        opinions=tmp_path / "mos.csv",
        shown=2,
    )
    return run_benchmark(request, tmp_path / "out").report


def test_the_page_is_one_file_that_asks_for_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == text.count("<script>") == 1  # a method's name does not end the script
    assert "http://" not in text
    assert "https://" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    content = re.search(r"const D = (\{.*\});", text)
    assert content is not None
    data = json.loads(content[1])
    assert len(data["examples"]) == 2
    names = [layer["name"] for layer in data["examples"][0]["layers"]]
    assert names == ["input", "unsharp-mask", "wiener", "richardson-lucy", "</script><b>", "sharp"]
    assert all(example["psf"].startswith("data:image/webp") for example in data["examples"])


def test_the_page_is_made_again_from_what_is_kept_alone(
    page: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = page.read_bytes()
    page.unlink()
    shutil.rmtree(pairs)
    shutil.rmtree(page.parent / "pairs", ignore_errors=True)
    monkeypatch.setattr("restorekit.deconvolution.richardson_lucy", lambda *_: pytest.fail("restored again"))
    assert write_report(page.parent) == page
    assert page.read_bytes() == before


@pytest.mark.parametrize(("missing", "word"), [("results.json", "no results"), ("images/sharp", "image.*is missing")])
def test_a_page_whose_parts_are_missing_is_not_made(page: Path, missing: str, word: str) -> None:
    part = page.parent / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(UsageError, match=word):
        write_report(page.parent)


@pytest.mark.parametrize(
    "odd",
    [{"examples": 3}, {"examples": [[]]}, {"examples": [{"layers": [{"name": {}, "file": 3}]}]}, {"scores": None}],
)
def test_results_that_make_no_sense_are_named(page: Path, odd: dict[str, object]) -> None:
    path = page.parent / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | odd))
    for write in (write_report, write_figure):
        with pytest.raises(UsageError, match="The results are damaged") as caught:
            write(page.parent)
        assert caught.value.path == path


def test_results_show_nothing_from_outside_their_folder(page: Path, tmp_path: Path) -> None:
    private, path = tmp_path / "private.png", page.parent / "results.json"
    shutil.copy(next(page.parent.rglob("*.png")), private)
    sound = json.loads(path.read_bytes())
    for file in (str(private), "../private.png", "images/../../private.png"):
        psf, layers = {"psf": file}, {"layers": [{"name": "input", "file": file}]}
        cases = [(psf, write_report), *((layers, write) for write in (write_report, write_figure, write_rating_sheet))]
        for part, write in cases:
            path.write_text(json.dumps(sound | {"examples": [sound["examples"][0] | part]}))
            with pytest.raises(UsageError, match=r"private\.png lies outside") as caught:
                write(page.parent)
            assert caught.value.path == path


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_an_image_whose_name_is_no_text_is_measured_and_shown(pairs: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.png")
    for half in ("blur", "sharp"):
        (pairs / "all" / half / "a.png").rename(pairs / "all" / half / name)
    result = run_benchmark(BenchmarkRequest(load_protocol("pairs"), pairs / "all", shown=2), tmp_path / "out")
    item = name.removesuffix(".png")
    assert result.failed == 0
    assert item in {scores.item for scores in result.scores}
    assert {scores["item"] for scores in json.loads((tmp_path / "out/results.json").read_bytes())["scores"]} >= {item}
    write_rating_sheet(tmp_path / "out")
    for written in ("report.html", "results.csv"):
        assert b"a\\udcff" in (tmp_path / "out" / written).read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_works_in_a_browser(page: Path, width: int) -> None:
    seen = opened(page, PROBE, width)
    assert seen["faults"] == []
    assert seen["requests"] == []
    assert seen["drawn"]
    assert seen["clip"] == ["inset(0px 0px 0px 50%)", "inset(0px 0px 0px 20%)"]

    def numbers(texts: list[str]) -> list[float]:
        return [float(text) for text in texts if text]

    assert "srn" in seen["methods"]
    assert numbers(seen["down"]) == sorted(numbers(seen["down"]), reverse=True)
    assert numbers(seen["up"]) == sorted(numbers(seen["up"]))
    assert "inf" in seen["down"][0]
    assert "scale(4)" in seen["zoom"]
    assert re.search(r"scale\((5|6|7|8|9|10|11|12)", seen["wheel"])
    assert seen["heat"]
    assert seen["mos"] == "3.50"
    assert seen["imageMos"] == "all/a3.50"
    assert seen["example"]
    assert seen["width"][1] <= seen["width"][0]  # tables scroll in their own boxes, the page does not


def test_error_maps_are_dark_where_nothing_differs_and_bright_from_64_grey_levels_on() -> None:
    sharp = np.full((1, 4, 3), 5, np.uint8)
    image = sharp.copy()
    image[0, 1] += np.array((96, 0, 0), np.uint8)  # 32 on average of the channels
    image[0, 2] += 64
    image[0, 3] = 250
    colours = cv2.applyColorMap(np.array([[0, 127, 255, 255]], np.uint8), cv2.COLORMAP_INFERNO)
    np.testing.assert_array_equal(_error_map(image, sharp), colours[..., ::-1])
    np.testing.assert_array_equal(_error_map(sharp, image), colours[..., ::-1])


def test_embedded_images_are_at_most_1280_px_long() -> None:
    assert _shrink(np.zeros((900, 1281, 3), np.uint8)).shape == (899, 1280, 3)
    assert _shrink(np.zeros((2560, 10, 3), np.uint8)).shape == (1280, 5, 3)
    whole = np.zeros((1280, 3, 3), np.uint8)
    assert _shrink(whole) is whole
