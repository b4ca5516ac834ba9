"""Published numbers against a second source, typed independently: published.txt."""

import re
from pathlib import Path

import pytest

from restorekit.evaluation.protocol import FOLDER, PublishedTable, load_protocol, protocol_names, read_protocol

Key = tuple[str, str, str]
"""Protocol, title, subset."""
Cells = dict[tuple[str, str], tuple[float, ...]]
"""By image ("" for the set) and method."""

COLUMNS = {
    "sr-paper": ("psnr", "ssim", "mos"),
    "Table 4: residual blocks": ("psnr", "ssim", "mos", "epoch_seconds"),
    "Survey, Table III": ("seconds",),
}
"""By protocol or title, where they are not PSNR and SSIM."""


IMAGES = {
    "gggan-ead": 300,
    "gggan-kid": 1000,
    "gggan-kid-transfer": 1000,
    "gopro": 1111,
    "msdn-gopro-center256": 1111,
    "hide": 2025,
    "realblur": 980,
    "kohler": 48,  # 4 images by 12 trajectories
    "kohler-single": 48,
    "lai": 200,  # 100 uniform and 100 other ones
}
"""How many images the test sets have, where papers say so."""


def typed() -> dict[Key, Cells]:
    tables: dict[Key, Cells] = {}
    cells: Cells = {}
    methods: list[str] = []
    for line in Path(__file__).with_name("published.txt").read_text().splitlines():
        if line.startswith("== "):
            protocol, title = (part.strip() for part in line[3:].split(";", 1))
            has_part = protocol.startswith("sr-")
            title, part = (piece.strip() for piece in title.rsplit(";", 1)) if has_part else (title, "")
            cells = tables.setdefault((protocol, title, part), {})
            methods = []
        elif line.startswith("methods: "):
            methods = line.split()[1:]
        elif line and not line.startswith("#"):
            match = re.fullmatch(r"(.+?)((?:\s+[\d.]+)+)", line)
            assert match is not None, line
            name, values = match[1], tuple(map(float, match[2].split()))
            if methods:
                width = len(values) // len(methods)
                groups = {(name, method): values[at * width : (at + 1) * width] for at, method in enumerate(methods)}
                assert len(groups) * width == len(values)
                cells |= groups
            else:
                cells["", name] = values
    return tables


def cells_of(table: PublishedTable) -> Cells:
    images = {(image, method): row for image, rows in table.images.items() for method, row in rows.items()}
    return {("", method): row for method, row in table.rows.items()} | images


def stored() -> dict[Key, Cells]:
    return {
        (name, table.title, table.subset): cells_of(table)
        for name in protocol_names()
        for table in load_protocol(name).tables
    }


def test_every_published_table_was_typed_twice() -> None:
    assert typed().keys() == stored().keys()
    assert sum(len(cells) for cells in stored().values()) > 190


@pytest.mark.parametrize("key", stored(), ids="; ".join)
def test_every_cell_is_that_of_the_second_source(key: Key) -> None:
    assert stored()[key] == typed()[key]


def test_the_columns_are_those_of_the_papers() -> None:
    for name in protocol_names():
        for table in load_protocol(name).tables:
            usual = COLUMNS.get(name, ("psnr", "ssim"))
            assert table.columns == COLUMNS.get(table.title, usual), (name, table.title)


def test_the_test_sets_are_as_large_as_the_papers_say() -> None:
    expected = {name: load_protocol(name).expected for name in protocol_names()}
    assert {name: count for name, count in expected.items() if count} == IMAGES


def test_an_epoch_of_the_sr_paper_has_all_images_of_div2k() -> None:
    samples = {name: load_protocol(name).epoch_samples for name in protocol_names()}
    assert {name: count for name, count in samples.items() if count} == {"sr-paper": 800}


@pytest.mark.parametrize("name", ["gggan-ead", "gggan-kid", "gggan-kid-transfer"])
def test_the_gggan_protocols_blur_as_the_paper_prints(name: str) -> None:
    blur = load_protocol(name).blur
    assert blur is not None
    assert (blur.kind, blur.length, blur.angle) == ("linear", (50, 80), (-40, 40))


def test_tables_of_one_enlargement_say_which() -> None:
    """Where the protocol serves several, its border tells it in the title."""
    for table in load_protocol("sr-y").tables:
        assert f"border {table.scale}" in table.title


def test_one_cell_that_is_altered_is_noticed(tmp_path: Path) -> None:
    text = (FOLDER / "kohler.toml").read_text(encoding="utf-8")
    assert text.count("26.12") == 1
    (tmp_path / "kohler.toml").write_text(text.replace("26.12", "26.21"), encoding="utf-8")
    (table, _) = read_protocol(tmp_path / "kohler.toml").tables
    assert cells_of(table) != typed()["kohler", "MSDN, Table 2", ""]
