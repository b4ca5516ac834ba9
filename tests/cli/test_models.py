"""The tables of `restorekit models`."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.models import registry
from restorekit.models.registry import Broken
from restorekit.weights import manifest

FACTS = [
    "name",
    "task",
    "paper",
    "parameters",
    "MACs/pixel",
    "tiling",
    "weights that ship",
    "weights that can be fetched",
]


def rows() -> dict[str, list[str]]:
    """Cells of the first table by the name in the first."""
    shown = CliRunner().invoke(app, ["models"], env={"COLUMNS": "700"})
    assert shown.exit_code == 0
    cells = [
        [cell.strip() for cell in line[1:-1].split(line[0])] for line in shown.output.splitlines() if line[0] in "┃│"
    ]
    return {row[0]: row for row in reversed(cells)}  # the first table wins


def test_every_system_is_listed_with_its_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path))
    first = manifest.RemoteWeights(
        "gggan", "theirs", "x.pth", licence="MIT", page="https://a", paper="p", url="https://a/x"
    )
    others = (first, replace(first, tag="manual", file="y.pth", url=""), replace(first, tag="mine", file="z.pth"))
    others[2].path.parent.mkdir(parents=True)
    others[2].path.touch()
    ships = manifest.bundled()
    monkeypatch.setattr(manifest, "_manifest", lambda: (ships, others))
    found = rows()
    assert found["name"] == FACTS
    for name in registry.names():
        spec = registry.spec_of(name)
        assert found[name][1:5] == [spec.task, spec.paper, f"{spec.parameters:,}", f"{spec.macs_per_pixel:,}"]
        assert found[name][5].startswith(spec.tiling)
        assert ("not bounded" if spec.receptive_field is None else f" {spec.receptive_field} px") in found[name][5]
    assert found["gggan"][6:] == ["none", "theirs, manual (browser), mine (here)"]
    assert found["bicubic"][6:] == ["none needed", "none"]
    assert found["gggan-lite"][6:] == ["photo (default), endoscopy", "none"]


def test_a_broken_system_is_shown_as_broken_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wreck.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    modules = {"wreck": "wreck", **registry._modules()}
    monkeypatch.setattr(registry, "_modules", lambda: modules)
    assert sum(isinstance(spec, Broken) for spec in registry.survey()) == 1
    found = rows()
    assert found["wreck"][1:3] == ["broken", "ZeroDivisionError: division by zero"]
    assert found["gggan-lite"][1] == "deblur"
    assert set(registry.names()) <= set(found)
