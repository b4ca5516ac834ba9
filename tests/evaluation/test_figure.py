from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from restorekit.errors import UsageError
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.figure import COLUMN, GAP, LINE, MARK, choose_box, draw_figure, write_figure
from restorekit.evaluation.kept import read_results
from restorekit.evaluation.preparation import Box
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.result import BenchmarkRequest
from restorekit.media.decode import read_rgb8


@pytest.fixture
def out(pairs: Path, tmp_path: Path) -> Path:
    """Results of four methods on three images of 80x64."""
    run_benchmark(BenchmarkRequest(load_protocol("pairs"), pairs), tmp_path / "out")
    return tmp_path / "out"


def test_the_box_lies_where_the_images_differ_most() -> None:
    first = np.zeros((60, 80, 3), np.uint8)
    second = first.copy()
    second[31:46, 42:62] = 90  # 20 wide, 15 high: the box's own size
    second[5, 5] = 255  # far more, but on one pixel
    assert choose_box([first, second]) == Box(42, 31, 20)
    assert choose_box([first, second]).height == 15


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (7, 300), (300, 7), (11, 53)])
def test_the_box_fits_into_images_of_any_shape(size: tuple[int, int]) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8) for seed in (0, 1)]
    box = choose_box(images)
    assert 0 <= box.top <= size[0] - box.height
    assert 0 <= box.left <= size[1] - box.width
    assert min(box.width, box.height) >= 1


def test_rows_are_images_and_columns_are_input_methods_and_the_sharp_image(out: Path, pairs: Path) -> None:
    results = read_results(out)
    figure = draw_figure(out, results, Box(10, 20, 40))
    whole, part = round(COLUMN * 64 / 80), COLUMN * 3 // 4
    high = LINE + whole + GAP // 2 + part + 2 * LINE
    assert figure.shape == (3 * (high + GAP) - GAP, 5 * (COLUMN + GAP) - GAP, 3)
    second = results["examples"][1]
    assert [layer["name"] for layer in second["layers"]] == [
        "input",
        "unsharp-mask",
        "wiener",
        "richardson-lucy",
        "sharp",
    ]
    # The last column of the second row: the enlarged box of its sharp image, between marks one pixel wide.
    top, left = high + GAP + LINE + whole + GAP // 2, 4 * (COLUMN + GAP)
    shown = figure[top : top + part, left : left + COLUMN]
    assert {tuple(pixel) for pixel in (shown[0, 0], shown[-1, -1], shown[0, -1])} == {MARK}
    sharp = read_rgb8(pairs / f"all/sharp/{second['item'].removeprefix('all/')}.png")[20:50, 10:50]
    expected = np.asarray(PIL.Image.fromarray(sharp).resize((COLUMN, part), PIL.Image.Resampling.BICUBIC), int)
    assert np.abs(shown[4:-4, 4:-4].astype(int) - expected[4:-4, 4:-4]).mean() < 4
    # On the whole image the box is marked where it is: 3.2 px of the figure for one of the image.
    frame = figure[high + GAP + LINE : high + GAP + LINE + whole, left : left + COLUMN]
    marked = np.argwhere((frame == MARK).all(axis=2))
    assert (marked.min(axis=0).tolist(), marked.max(axis=0).tolist()) == ([64, 32], [159, 159])


def ink(figure: np.ndarray, column: int, line: int) -> int:
    """Dark pixels of a line of text below the first row."""
    high = LINE + round(COLUMN * 64 / 80) + GAP // 2 + COLUMN * 3 // 4
    left = column * (COLUMN + GAP)
    return int((figure[high + line * LINE : high + (line + 1) * LINE, left : left + COLUMN] < 128).all(axis=2).sum())


def test_names_and_psnr_stand_under_each_and_the_input_has_the_score_of_identity(out: Path) -> None:
    results = read_results(out)
    figure = draw_figure(out, results)
    assert all(ink(figure, column, 0) for column in range(5))
    assert [bool(ink(figure, column, 1)) for column in range(5)] == [True, True, True, True, False]
    for scores in results["scores"]:
        if scores["method"] == "identity":
            scores["values"]["psnr"] = "inf"
    again = draw_figure(out, results)
    assert ink(again, 0, 1) != ink(figure, 0, 1)
    assert ink(again, 1, 1) == ink(figure, 1, 1)


def test_the_figure_is_written_as_png(out: Path) -> None:
    assert write_figure(out) == out / "figure.png"
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(out / "figure.png")), draw_figure(out, read_results(out)))


def test_a_box_outside_and_results_without_images_are_refused(out: Path) -> None:
    results = read_results(out)
    for box in (Box(41, 0, 40), Box(0, 35, 40)):
        with pytest.raises(UsageError, match=r"does not lie in all/\w of 80x64 px"):
            draw_figure(out, results, box)
    draw_figure(out, results, Box(40, 34, 40))
    with pytest.raises(UsageError, match="no images to draw"):
        draw_figure(out, results | {"examples": []})
