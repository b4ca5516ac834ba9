"""Tables in terminals of any width, and what they say."""

from pathlib import Path

import pytest

from restorekit.cli.summary import print_summary
from restorekit.cli.tables import Column, print_table
from restorekit.inference.engine import TilingInfo
from restorekit.media.discover import Job
from restorekit.pipeline.report import FileResult, Results, RunInfo, RunSummary


def test_a_table_that_fits_no_terminal_is_printed_as_wide_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", [Column("a"), Column("b", wraps=True)], [["x" * 20, "y" * 9]], width=20)
    assert capsys.readouterr().out.split()[-2:] == ["x" * 20, "y" * 9]


NAME = "\u5199\u771f" * 4 + ".png"
"""Twelve characters on twenty places: each of the first eight takes two."""


def test_words_stay_whole_beside_characters_of_double_width(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", [Column("file"), Column("is", wraps=True)], [[NAME, "damaged"]], width=26)
    assert capsys.readouterr().out.split()[-2:] == [NAME, "damaged"]


@pytest.mark.parametrize(("width", "headers"), [(25, ["file"]), (26, ["file", "size"])])
def test_the_room_for_a_column_counts_characters_of_double_width(
    capsys: pytest.CaptureFixture[str], width: int, headers: list[str]
) -> None:
    print_table("", [Column("file"), Column("size", optional=True)], [[NAME, "1 kB"]], width)
    assert capsys.readouterr().out.splitlines()[0].split() == headers


def test_a_cell_is_text_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", [Column("file")], [["[bold]a[/]:smile:\x1b[31m.png"]], width=None)
    assert capsys.readouterr().out.splitlines()[-1].rstrip() == "[bold]a[/]:smile:\\x1b[31m.png"


def test_a_heading_is_text_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        "Compared with a[/b]\n\x1b.mp4", [Column("file")], [["a file of forty characters and more, a"]], width=None
    )
    assert capsys.readouterr().out.splitlines()[0].rstrip() == r"Compared with a[/b]\x0a\x1b.mp4"


def test_speed_is_that_of_images_and_losses_name_results_of_any_kind(capsys: pytest.CaptureFixture[str]) -> None:
    image = FileResult(Path("a.png"), Path("o/a.png"), "done", megapixels=3, seconds=2)
    video = FileResult(
        Path("b.mp4"), Path("o/b.mp4"), "done", megapixels=100, seconds=1, frames=50, lost=("transparency dropped",)
    )
    results = Results(Path("o"))
    for result in (image, video):
        results.add(Job.of(result.source, result.source), result)
    print_summary(RunSummary(2, RunInfo("bicubic", "none", "cpu", "fp32"), results), None)
    shown = "".join(capsys.readouterr())
    assert "1.50" in shown
    assert "1 of 2 results could not keep all: transparency dropped." in shown


def test_what_is_said_of_results_names_flags(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(Path("o"))
    info = TilingInfo(approximation="gathered in one pass (`statistics` exact repeats it)")
    result = FileResult(Path("a.mp4"), Path("o/a.mp4"), "done", info=info, warnings=("both (`deinterlace` separates)",))
    results.add(Job.of(Path("a.mp4"), Path("a.mp4")), result)
    print_summary(RunSummary(1, RunInfo("bicubic", "none", "cpu", "fp32"), results), None)
    shown = capsys.readouterr().err
    assert "1 of 1 results are approximations: gathered in one pass (--statistics exact repeats it)." in shown
    assert "a.mp4: both (--deinterlace separates)." in shown


def test_one_video_is_counted_as_1(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(Path("o"))
    results.add(Job.of(Path("a.mp4"), Path("a.mp4")), FileResult(Path("a.mp4"), Path("o/a.mp4"), "done", frames=50))
    print_summary(RunSummary(1, RunInfo("bicubic", "none", "cpu", "fp32"), results), None)
    headers, _, cells = capsys.readouterr().out.splitlines()
    assert dict(zip(headers.split(), cells.split(), strict=False))["videos"] == "1"
