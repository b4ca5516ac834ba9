import json
import re
from pathlib import Path

import pytest

import restorekit
from restorekit.errors import UsageError
from restorekit.evaluation import datasets
from restorekit.evaluation import protocol as protocol_module
from restorekit.evaluation.protocol import load_protocol, protocol_names, read_protocol

ALL = (
    *(
        "gggan-ead",
        "gggan-kid",
        "gggan-kid-transfer",
        "msdn-gopro-center256",
        "gopro",
        "kohler",
        "kohler-single",
        "lai",
    ),
    *("realblur", "hide", "pairs", "pairs-endoscopy-352", "sr-y", "sr-paper", "sr-rgb", "sr-y-noaa"),
)


def test_every_protocol_is_there_and_complete() -> None:
    assert protocol_names() == tuple(sorted(ALL))
    for name in ALL:
        protocol = load_protocol(name)
        assert protocol.layout in datasets.LAYOUTS
        assert protocol.text
        assert all(
            len(row) <= len(table.columns)
            for table in protocol.tables
            for rows in (table.rows, *table.images.values())
            for row in rows.values()
        )


def test_the_printed_averages_are_those_of_the_printed_pictures() -> None:
    """But for the cells that the SR paper itself got wrong (its notes say so)."""
    for table in load_protocol("sr-paper").tables[:2]:
        for method in table.rows:
            for column, allowed in (("psnr", 0.011), ("ssim", 0.0011)):
                values = [table.printed(method, image).get(column) for image in table.images]
                assert None not in values
                apart = abs(sum(values) / len(values) - table.printed(method)[column])
                wrong = (method, column, table.subset) == ("srgan-em", "ssim", "set5")
                assert (apart > allowed) == wrong


def test_an_unknown_protocol_names_close_ones() -> None:
    with pytest.raises(UsageError, match="kohler"):
        load_protocol("koehler")


def test_published_tables_live_in_data_files_alone() -> None:
    """A number of a published table in code would sooner or later contradict its file."""
    code = "\n".join(path.read_text() for path in (Path(restorekit.__file__).parent / "evaluation").glob("*.py"))
    assert "class Protocol" in code
    assert not [number for number in ("26.89", "28.64", "29.9762", "0.849", "30.12") if number in code]


PLAIN = {
    "title": "t",
    "source": "s",
    "text": "x",
    "layout": "pairs",
    "colour": "rgb",
    "ssim": "wang",
}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"colour": "foo"}, "colour"),
        ({"colr": "rgb"}, "colr"),
        ({"ssim": "best"}, "ssim"),
        ({"layout": "heap"}, "layout"),
        ({"downscale": "matlab"}, "downscale"),
        ({"tables": [{"title": "t", "columns": ["psnr"], "rows": {"srn": [1.0, 2.0]}}]}, "srn"),
    ],
)
def test_a_misspelt_key_or_wrong_value_fails_at_once_with_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], word: str
) -> None:
    def line(key: str, value: object) -> str:
        return f"{key} = {json.dumps(value)}" if key != "tables" else ""

    lines = [line(key, value) for key, value in (PLAIN | changes).items()]
    for table in changes.get("tables", []):
        lines += ["[[tables]]", f"title = {json.dumps(table['title'])}", f"columns = {json.dumps(table['columns'])}"]
        lines += ["[tables.rows]", *(f"{name} = {json.dumps(row)}" for name, row in table["rows"].items())]
    (tmp_path / "mine.toml").write_text("\n".join(lines))
    monkeypatch.setattr(protocol_module, "FOLDER", tmp_path)
    load_protocol.cache_clear()
    with pytest.raises(UsageError, match=word) as caught:
        load_protocol("mine")
    assert caught.value.path == tmp_path / "mine.toml"
    load_protocol.cache_clear()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("layout = 'frames'\n[blur]\nlenght = [5, 9]", "blur.lenght"),
        ("layout = 'frames'\n[blur]\nkind = 'wobbly'", "blur.kind"),
        ("layout = 'frames'\n[blur]\nlength = [9, 5]", "blur: `length` ends before it begins"),
        ("layout = 'frames'", "'blur' belongs to the layout 'frames'"),
        ("layout = 'pairs'\n[blur]\nlength = [5, 9]", "'blur' belongs to the layout 'frames'"),
    ],
)
def test_how_frames_are_blurred_is_checked_when_the_protocol_is_read(tmp_path: Path, lines: str, said: str) -> None:
    plain = "\n".join(f"{key} = {json.dumps(value)}" for key, value in PLAIN.items() if key != "layout")
    (tmp_path / "mine.toml").write_text(f"{plain}\n{lines}")
    with pytest.raises(UsageError, match=re.escape(said)):
        read_protocol(tmp_path / "mine.toml")


def test_a_protocol_without_own_blur_lists_none_in_its_definition() -> None:
    assert load_protocol("gopro").definition()["blur"] is None
    blur = load_protocol("pairs-endoscopy-352").definition()["blur"]
    assert (blur["length"], blur["angle"], blur["kind"], blur["seed"]) == ([13.0, 21.0], [-40.0, 40.0], "linear", 0)


@pytest.mark.parametrize(
    ("count", "split"),
    [(780, {"train": 480, "test": 300}), (9000, {"train": 480, "test": 300}), (779, {"test": 300}), (12, {"test": 12})],
)
def test_a_set_that_is_too_small_for_the_split_is_tested_alone(count: int, split: dict[str, int]) -> None:
    assert load_protocol("gggan-ead").split_of(count) == split
    assert load_protocol("pairs-endoscopy-352").split_of(count) is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("layout = 'pairs'\nexpected = 3\nsplit = { test = 3 }", "'split' belongs to the layout 'frames'"),
        ("layout = 'frames'\nexpected = 4\nsplit = { test = 3 }\n[blur]", "as many as 'expected'"),
        ("layout = 'frames'\nsplit = { train = 3 }\n[blur]", "as many as 'expected'"),
        ("layout = 'frames'\nexpected = 3\nsplit = { test = 3, train = 0 }\n[blur]", "split.train"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    plain = "\n".join(f"{key} = {json.dumps(value)}" for key, value in PLAIN.items() if key != "layout")
    (tmp_path / "mine.toml").write_text(f"{plain}\n{lines}")
    with pytest.raises(UsageError, match=re.escape(said)):
        read_protocol(tmp_path / "mine.toml")


def test_the_border_is_the_scale_or_what_the_protocol_says() -> None:
    assert [load_protocol("sr-y").border_pixels(scale) for scale in (2, 3, 4)] == [2, 3, 4]
    assert load_protocol("sr-paper").border_pixels(4) == 6
    assert load_protocol("gopro").border_pixels(1) == 0


def test_the_definition_leaves_out_what_decides_no_score() -> None:
    definition = load_protocol("sr-paper").definition()
    assert not definition.keys() & {
        "title",
        "source",
        "text",
        "notes",
        "tables",
        "other_data",
        "expected",
        "epoch_samples",
    }
    assert (
        definition | {"colour": "luma", "border": 6, "ssim": "skimage", "downscale": "pillow", "scale": 4} == definition
    )


def test_a_protocol_that_does_not_exist_names_those_near_it_or_all() -> None:
    with pytest.raises(UsageError, match=r"'gopr'\. Did you mean gopro( or [\w-]+)*\?$"):
        load_protocol("gopr")
    with pytest.raises(UsageError, match=r"'nope'\. Choose one of .*gopro.*\.$"):
        load_protocol("nope")
