import math
from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.evaluation import summary
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.opinions import MeanOpinion, average_opinions, blind_name, read_opinions
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.result import BenchmarkRequest
from restorekit.media.encode import write_image
from restorekit.media.image import Image

ITEMS = (
    Item("set5/baby", (), subset="set5"),
    Item("set14/baby", (), subset="set14"),
    Item("set14/comic", (), subset="set14"),
)


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("image,method,rater,score", *lines)))
    return path


def averaged(path: Path, methods: tuple[str, ...] = ()) -> dict[tuple[str, str, str], MeanOpinion]:
    means, _ = average_opinions(read_opinions(path), ITEMS, methods)
    return {(each.method, each.subset, each.item): each for each in means}


def test_opinions_are_averaged_by_image_and_by_set(tmp_path: Path) -> None:
    lines = ("set5/baby,ours,1,5", "set14/comic,ours,1,1", "set14/baby,ours,1,2", "set14/baby,ours,2,5")
    means = averaged(csv(tmp_path / "mos.csv", *lines))
    assert {key: (each.n, each.mean) for key, each in means.items()} == {
        ("ours", "set5", ""): (1, 5.0),
        ("ours", "set5", "set5/baby"): (1, 5.0),
        ("ours", "set14", ""): (3, pytest.approx(8 / 3)),
        ("ours", "set14", "set14/comic"): (1, 1.0),
        ("ours", "set14", "set14/baby"): (2, 3.5),
    }


def test_the_interval_is_that_of_students_t(tmp_path: Path) -> None:
    lines = [f"comic.png,ours,{rater},{score}" for rater, score in enumerate((3, 4, 4, 5))]
    ours = averaged(csv(tmp_path / "mos.csv", *lines, "comic,theirs,0,2"))
    mean = ours["ours", "set14", "set14/comic"]
    assert (mean.n, mean.mean) == (4, 4.0)
    assert mean.std == pytest.approx(math.sqrt(2 / 3))
    half = 3.18245 * math.sqrt(2 / 3) / 2  # t of 3 degrees of freedom at 97.5 %
    assert (mean.low, mean.high) == pytest.approx((4 - half, 4 + half), abs=1e-5)
    assert math.isnan(ours["theirs", "set14", ""].low)
    assert math.isnan(ours["theirs", "set14", ""].std)


def test_an_image_is_found_by_its_name_or_by_the_end_of_it_where_that_is_unique(tmp_path: Path) -> None:
    opinions = read_opinions(
        csv(tmp_path / "mos.csv", "comic.PNG,a,1,2", "baby,a,1,3", "no.such,a,1,3", "set5/baby,a,1,4")
    )
    means, messages = average_opinions(opinions, ITEMS, ())
    assert [each.item for each in means if each.item] == ["set14/comic", "set5/baby"]
    assert messages == ["2 opinions are of images that are not here, e.g. baby."]


def test_what_a_rating_sheet_calls_a_method_is_that_method_on_its_image_alone(tmp_path: Path) -> None:
    code = blind_name("set5/baby", "ours")
    assert code == "d2daad711fff"  # sha256("set5/baby|ours"): sheets that were filled in stay readable
    file = csv(tmp_path / "mos.csv", f"set5/baby,{code},1,4", f"set14/comic,{code},1,2")
    means = averaged(file, ("theirs", "ours"))
    assert means["ours", "set5", ""].mean == 4.0
    assert means[code, "set14", ""].mean == 2.0


def test_every_rater_may_hand_in_a_file(tmp_path: Path) -> None:
    for rater, score in (("anna", 2), ("ben", 5)):
        csv(tmp_path / f"{rater}.csv", f"comic,ours,{rater},{score}")
    assert averaged(tmp_path)["ours", "set14", ""].mean == 3.5
    csv(tmp_path / "again.csv", "comic,ours,ben,5")
    with pytest.raises(UsageError, match="comic, ours, ben is there twice"):
        read_opinions(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="No CSV file"):
        read_opinions(tmp_path / "empty")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("a,ours,1,6",), "Line 2: a score is 1 to 5"),
        (("a,ours,1,0.5",), "1 to 5"),
        (("a,ours,1,good",), "not 'good'"),
        (("a,ours,1,3", "a,ours,1,4"), "Line 3: a, ours, 1 is there twice"),
        ((), "no table of opinion scores"),
    ],
)
def test_wrong_opinions_are_refused(tmp_path: Path, lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read_opinions(csv(tmp_path / "mos.csv", *lines))


def test_our_opinions_stand_in_the_rows_beside_the_printed_ones(tmp_path: Path, photo: np.ndarray) -> None:
    for name in ("Set5/baby", "Set14/comic"):
        write_image(Image(photo[:64, :80]), tmp_path / f"sr/{name}.png")
    lines = ("baby,bicubic,1,5", "comic,bicubic,1,1", "comic,bicubic,2,2")
    request = BenchmarkRequest(load_protocol("sr-paper"), tmp_path / "sr", opinions=csv(tmp_path / "mos.csv", *lines))
    result = run_benchmark(request, tmp_path / "out")
    for subset, ours, theirs in (("set5", 5.0, 3.68), ("set14", 1.5, 3.49)):
        rows = {
            row.method: row for row in summary.table_rows(result, subset) if row.table in ("", "Table 6", "Table 7")
        }
        assert rows["bicubic"].opinion is not None
        assert rows["bicubic"].opinion.mean == ours
        assert rows["srgan-em"].printed["mos"] == theirs
    content = summary.as_json(result)
    assert content["printed_images"]["set14/comic"]["dsrn, Table 7"] == {"psnr": 21.93, "ssim": 0.635, "mos": 3.01}
    table = [line.split(",") for line in (tmp_path / "out/results.csv").read_text().splitlines()]
    opinions = {(row[2], row[3]): row[table[0].index("mos")] for row in table[1:]}
    assert opinions["set14/comic", "bicubic"] == "1.5"
    assert opinions["set14/comic", "bicubic-as-published"] == ""


def test_opinions_that_are_no_utf8_or_no_csv_are_refused_with_their_name(tmp_path: Path) -> None:
    for content in (
        b"image,method,rater,score\na\xff,ours,1,3\n",
        b"image,method,rater,score\n" + b"x" * 200_000 + b",ours,1,3\n",
    ):
        (tmp_path / "mos.csv").write_bytes(content)
        with pytest.raises(UsageError, match="cannot be read") as caught:
            read_opinions(tmp_path / "mos.csv")
        assert caught.value.path == tmp_path / "mos.csv"


@pytest.mark.parametrize("header", ["image,method,rater,score", "score,image,method,rater"])
def test_a_line_that_ends_early_is_named(tmp_path: Path, header: str) -> None:
    (tmp_path / "mos.csv").write_text(f"{header}\n4,4,4,4\n4\n")
    with pytest.raises(UsageError, match="Line 3 ends early"):
        average_opinions(read_opinions(tmp_path / "mos.csv"), ITEMS, ())
