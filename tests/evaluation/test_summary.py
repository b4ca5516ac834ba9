"""Tables and files of results made by hand."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from restorekit.evaluation import summary
from restorekit.evaluation.datasets import Dataset, Item
from restorekit.evaluation.examples import choose_examples
from restorekit.evaluation.methods import MethodFacts
from restorekit.evaluation.opinions import MeanOpinion
from restorekit.evaluation.protocol import Protocol, PublishedTable, load_protocol
from restorekit.evaluation.result import BenchmarkRequest, BenchmarkResult
from restorekit.evaluation.scoring import ImageScores
from restorekit.evaluation.speed import SpeedMeasurement

PSNR = {
    "first": {"a": 20.0, "b": 24.0, "c": 31.0, "d": 22.0, "e": 28.0, "f": 26.0},
    "second": {"a": 21.0, "b": 26.5, "c": math.inf, "d": 22.5, "e": 27.0},  # f has failed
}
SSIM = {"first": 0.5, "second": 0.75}


def protocol(*tables: PublishedTable, **changes: object) -> Protocol:
    return load_protocol("pairs").model_copy(update={"tables": tables, **changes})


def table(title: str, rows: dict[str, tuple[float, ...]], *columns: str, **changes: object) -> PublishedTable:
    return PublishedTable(title=title, columns=columns or ("psnr", "ssim"), rows=rows, **changes)


def result(chosen: Protocol | None = None, shown: int = 8, **changes: object) -> BenchmarkResult:
    """Two methods on six images: a and b are of the set "one", the others of "two"."""
    items = tuple(Item(name, (Path(name),), Path(name), "one" if name in "ab" else "two") for name in "abcdef")
    scores = tuple(
        ImageScores(item.name, item.subset, method, reason="it is gone")
        if item.name not in values
        else ImageScores(item.name, item.subset, method, {"psnr": values[item.name], "ssim": SSIM[method], "mse": 9.0})
        for item in items
        for method, values in PSNR.items()
    )
    made = {
        "request": BenchmarkRequest(chosen or protocol(), Path("data"), shown=shown),
        "dataset": Dataset("pairs", items),
        "methods": (MethodFacts("first", "baseline", "first"), MethodFacts("second", "network", "srn", parameters=7)),
        "scores": scores,
        "skipped": 4,
        "speeds": {},
        "opinions": (),
        "report": Path("report.html"),
    }
    return BenchmarkResult(**(made | changes))


def test_rows_hold_the_means_of_their_subset() -> None:
    one, two = (summary.table_rows(result(), subset) for subset in ("one", "two"))
    assert [(row.method, row.kind) for row in one] == [("first", "baseline"), ("second", "network")]
    assert [row.scores["psnr"].mean for row in one] == [22.0, 23.75]
    assert [row.scores["psnr"].mean for row in two] == [(31 + 22 + 28 + 26) / 4, (22.5 + 27) / 2]
    assert [(row.scores["psnr"].n, row.scores["psnr"].infinite) for row in two] == [(4, 0), (2, 1)]
    assert [row.scores["ssim"].mean for row in two] == [0.5, 0.75]


def test_a_method_without_scores_has_no_row() -> None:
    failed = tuple(scores for scores in result().scores if scores.method == "first")
    assert [row.method for row in summary.table_rows(result(scores=failed), "one")] == ["first"]


def test_a_system_is_compared_with_the_first_table_that_prints_its_psnr() -> None:
    times = table("Times", {"srn": (3.0,)}, "seconds")
    main, later = table("Main", {"srn": (23.0, 0.7), "gong": (20.0,)}), table("Later", {"srn": (29.0, 0.9)})
    rows = summary.table_rows(result(protocol(times, main, later)), "one")
    ours = rows[1]
    assert (ours.table, ours.printed) == ("Main", {"psnr": 23.0, "ssim": 0.7})
    assert ours.minus_printed("psnr") == 0.75
    assert ours.minus_printed("ssim") == pytest.approx(0.05)
    assert (rows[0].printed, rows[0].minus_printed("psnr")) == ({}, None)
    published = [(row.method, row.table, dict(row.printed)) for row in rows if row.kind == "published"]
    assert published == [
        ("srn", "Times", {"seconds": 3.0}),
        ("srn", "Main", {"psnr": 23.0, "ssim": 0.7}),
        ("gong", "Main", {"psnr": 20.0}),
        ("srn", "Later", {"psnr": 29.0, "ssim": 0.9}),
    ]
    assert rows[2].minus_printed("seconds") is None


def test_tables_of_other_subsets_and_other_data_are_left_out() -> None:
    chosen = protocol(table("One", {"srn": (23.0, 0.7)}, subset="one"), table("Two", {"srn": (24.0,)}, subset="two"))
    assert [row.table for row in summary.table_rows(result(chosen), "two") if row.kind == "published"] == ["Two"]
    other = summary.table_rows(result(chosen.model_copy(update={"other_data": True})), "two")
    assert other[1].printed == {}
    assert [row.table for row in other if row.kind == "published"] == ["Two"]


def test_an_infinite_mean_has_no_difference_to_what_is_printed() -> None:
    identical = (ImageScores("c", "two", "second", {"psnr": math.inf, "ssim": 1.0}),)
    chosen = protocol(table("Main", {"srn": (23.0, 0.7)}))
    (row, _) = summary.table_rows(result(chosen, scores=identical), "two")
    assert row.minus_printed("psnr") is None
    assert row.minus_printed("ssim") == pytest.approx(0.3)


def test_tables_leave_out_mse_and_head_columns_with_the_unit() -> None:
    assert summary.table_metrics(result()) == ("psnr", "ssim")
    assert summary.metric_label("psnr") == "PSNR dB"
    assert summary.metric_label("ms-ssim") == "MS-SSIM"


def test_paired_differences_are_second_minus_first_on_the_images_of_both() -> None:
    (pair,) = summary.paired_differences(result(), "one", "psnr")
    assert (pair.first, pair.second, pair.metric) == ("first", "second", "psnr")
    assert (pair.difference.mean, pair.difference.n) == ((1.0 + 2.5) / 2, 2)
    (pair,) = summary.paired_differences(result(), "two", "psnr")
    assert (pair.difference.mean, pair.difference.n) == ((0.5 - 1.0) / 2, 2)  # c is inf, f is gone


def test_the_worst_images_come_from_below_and_the_best_from_above() -> None:
    assert summary.extremes(result(), "first", "two") == (["d", "f", "e"], ["c", "e", "f"])
    assert summary.extremes(result(), "second", "two", 1) == (["d"], ["c"])
    ties = tuple(ImageScores(name, "two", "first", {"psnr": 1.0}) for name in "dc")
    assert summary.extremes(result(scores=ties), "first", "two") == (["c", "d"], ["d", "c"])


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (8, ["a", "b", "d", "e", "c", "f"]),  # ends of both sets by the last method; then all others, in order
        (3, ["a", "b", "d"]),
        (0, []),
    ],
)
def test_examples_are_the_last_methods_worst_and_best_then_others(shown: int, expected: list[str]) -> None:
    assert [item.name for item in choose_examples(result(shown=shown))] == expected


def test_other_examples_are_evenly_spread() -> None:
    items = tuple(Item(f"{number:02}", (Path("x"),), Path("x")) for number in range(12))
    scores = tuple(ImageScores(item.name, "all", "first", {"psnr": float(item.name)}) for item in items[:11])
    made = result(
        dataset=Dataset("pairs", items), scores=scores, methods=(MethodFacts("first", "folder", "first"),), shown=6
    )
    assert [item.name for item in choose_examples(made)] == ["00", "01", "10", "09", "02", "05"]  # 11 was not measured


def test_counts_add_up() -> None:
    made = result()
    assert (len(made.scores), made.failed, made.skipped, made.done) == (12, 1, 4, 7)
    assert made.exit_code == 3
    assert made.subsets == ("one", "two")
    assert made.values("second", "two", "psnr") == {"c": math.inf, "d": 22.5, "e": 27.0}


def test_the_json_file_says_everything(tmp_path: Path) -> None:
    opinion = MeanOpinion("second", "one", "", 3, 4.0, 1.0, 1.5, 6.5)
    speed = SpeedMeasurement(2.0, 0.5, 100.0, "cpu", "fp32")
    chosen = protocol(
        table("Main", {"srn": (23.0, 0.7)}, images={"a": {"srn": (22.0,)}, "z": {"srn": (1.0,)}}), expected=9
    )
    made = result(chosen, opinions=(opinion,), speeds={"second": speed}, messages=("mind",))
    summary.write_results(made, tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["counts"] == {"planned": 12, "done": 7, "skipped": 4, "failed": 1}
    assert content["data"] == {"folder": "data", "layout": "pairs", "images": 6, "expected": 9, "other_data": False}
    assert content["protocol"]["name"] == "pairs"
    assert content["protocol"]["scale"] == 1
    assert not content["protocol"]["psf_known"]
    assert content["metrics"]["mse"] == {"label": "MSE", "decimals": 2, "higher_is_better": False, "in_tables": False}
    assert content["metrics"]["psnr"]["in_tables"]
    assert content["methods"][0]["speed"] is None
    assert content["methods"][1]["speed"]["megapixels_per_second"] == 0.25
    row = content["subsets"]["one"]["rows"][1]
    assert row["opinion"]["mean"] == 4.0
    assert row["minus_printed"] == {"psnr": 0.75, "ssim": pytest.approx(0.05)}
    assert [pair["metric"] for pair in content["subsets"]["two"]["paired_differences"]] == ["psnr", "ssim"]
    assert content["subsets"]["two"]["extremes"]["first"] == {"worst": ["d", "f", "e"], "best": ["c", "e", "f"]}
    assert content["printed_images"] == {"a": {"srn, Main": {"psnr": 22.0}}}
    assert content["messages"] == ["mind"]
    infinite = next(scores for scores in content["scores"] if (scores["item"], scores["method"]) == ("c", "second"))
    assert infinite["values"]["psnr"] == "inf"


def test_a_known_psf_is_told() -> None:
    item = Item("a", (Path("a"),), Path("a"), psf=np.ones((1, 1), np.float32))
    content = summary.as_json(result(dataset=Dataset("pairs", (item,))))
    assert content["protocol"]["psf_known"]


def test_the_csv_file_has_a_line_for_every_pair(tmp_path: Path) -> None:
    opinion = MeanOpinion("second", "one", "b", 2, 4.5, 1.0, 1.5, 6.5)
    summary.write_results(result(opinions=(opinion,)), tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 12
    line = next(line for line in lines if (line["image"], line["method"]) == ("b", "second"))
    assert line == {
        "protocol": "pairs",
        "subset": "one",
        "image": "b",
        "method": "second",
        "psnr": "26.5",
        "ssim": "0.75",
        "mse": "9.0",
        "seconds": "",
        "grey": "0",
        "mos": "4.5",
        "reason": "",
    }
    failed = next(line for line in lines if line["reason"])
    assert (failed["image"], failed["psnr"], failed["mos"], failed["reason"]) == ("f", "", "", "it is gone")


def test_no_cell_of_the_csv_file_is_a_formula(tmp_path: Path) -> None:
    named = result()
    scores = tuple(replace(one, item=f"=1+1{one.item}", reason="-2") for one in named.scores)
    summary.write_results(replace(named, scores=scores), tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["image"][:5] for line in lines} == {"'=1+1"}
    assert {line["reason"] for line in lines} == {"'-2"}
