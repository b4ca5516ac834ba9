"""`restorekit models` and `restorekit models show`."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.errors import UnknownModel
from restorekit.models import registry
from restorekit.models.registry import Broken
from restorekit.weights import manifest
from restorekit.weights.manifest import Manifest, RemoteWeights, load_manifest

FIRST = RemoteWeights(
    model="gggan", tag="theirs", file="x.pth", licence="MIT", page="https://a", paper="p", url="https://a/x"
)


def run(*arguments: str, width: int | None = None) -> str:
    """What the command prints to a terminal of a width, or to a pipe."""
    shown = CliRunner().invoke(app, ["models", *arguments], env={"COLUMNS": str(width) if width else None})
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def rows(table: str) -> dict[str, list[str]]:
    """Cells of a table without wrapped cells, by the first of them."""
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]
    return {row[0]: row for row in cells if row}


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gggan has three remote weights: to be fetched, for a browser, and fetched."""
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path))
    manual = FIRST.model_copy(update={"tag": "manual", "file": "y.pth", "url": None})
    fetched = FIRST.model_copy(update={"tag": "mine", "file": "z.pth"})
    fetched.path.parent.mkdir(parents=True)
    fetched.path.touch()
    chosen = Manifest(bundled=load_manifest().bundled, remote=(FIRST, manual, fetched))
    monkeypatch.setattr(manifest, "load_manifest", lambda: chosen)


def names() -> list[str]:
    return [system.name for system in registry.survey()]


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("arguments", [(), ("--wide",)])
def test_a_pipe_gets_every_system_with_all_its_facts(arguments: tuple[str, ...]) -> None:
    table = rows(run(*arguments).split("Bundled weights")[0])
    assert table["name"] == [
        *("name", "task", "what it is", "paper", "parameters", "MACs/pixel", "tiling", "bundled", "remote")
    ]
    for name in names():
        spec = registry.spec_of(name)
        assert table[name][1:4] == [spec.task, spec.summary, spec.paper]
        assert table[name][4:6] == [f"{spec.parameters:,}", f"{spec.macs_per_pixel:,}"]
        radius = "not bounded" if spec.receptive_field is None else f"{spec.receptive_field} px"
        assert table[name][6] == f"{spec.tiling}, receptive field {radius}"
    assert table["gggan"][7:] == ["endoscopy (default)", "theirs (to be fetched), manual (browser), mine (fetched)"]
    assert table["bicubic"][7:] == ["none needed", "none"]
    assert table["gggan-lite"][7:] == ["photo (default), endoscopy", "none"]


def test_a_pipe_gets_the_scores_of_all_bundled_weights() -> None:
    shown = run().split("Bundled weights")[1]
    for entry in load_manifest().bundled:
        for protocol, scores in entry.scores.items():
            (line,) = (line for line in shown.splitlines() if line.startswith(entry.name) and f"{protocol}  " in line)
            assert all(f"{name} {value:g}" in line for name, value in scores.items())


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_terminal_gets_the_columns_that_fit_and_no_broken_word(width: int) -> None:
    shown = run(width=width)
    assert max(map(len, shown.splitlines())) <= width
    words = shown.split()
    assert {"name", "task", "what", "params", "bundled", "remote"} <= set(words)
    for name in names():
        spec = registry.spec_of(name)
        assert name in words
        assert set(spec.summary.split()) <= set(words)
    assert "3.26 M" in shown  # dgf's
    assert "24.8 k" in shown  # espcn's
    assert "666 k" in shown  # vdsr's


@pytest.mark.parametrize("width", [40, 50, 60])
def test_a_narrow_terminal_loses_columns_and_keeps_words_whole(width: int) -> None:
    shown = run(width=width)
    assert max(map(len, shown.splitlines())) <= width
    assert set(names()) <= set(shown.split())
    assert "remote" not in shown


@pytest.mark.usefixtures("listed")
def test_json_holds_everything() -> None:
    systems = {system["name"]: system for system in json.loads(run("--json", width=80))}
    assert list(systems) == names()
    lite, spec = systems["gggan-lite"], registry.spec_of("gggan-lite")
    assert {field.name: lite[field.name] for field in fields(spec)} == {
        field.name: getattr(spec, field.name) for field in fields(spec)
    }
    assert lite["options"][0] == {"name": "channels", "type": "integer", "default": 64}
    assert [entry["tag"] for entry in lite["bundled"]] == ["photo", "endoscopy"]
    assert lite["bundled"][0]["recipe"]["blur"]["length"] == [5, 25]
    remote = systems["gggan"]["remote"]
    assert [(entry["tag"], entry["url"], entry["fetched"]) for entry in remote] == [
        ("theirs", "https://a/x", False),
        ("manual", None, False),
        ("mine", "https://a/x", True),
    ]


def test_two_formats_at_once_are_refused() -> None:
    shown = CliRunner().invoke(app, ["models", "--json", "--wide"])
    assert shown.exit_code != 0


def test_a_broken_system_is_shown_as_broken_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wreck.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    modules = {"wreck": "wreck", **registry._modules()}
    monkeypatch.setattr(registry, "_modules", lambda: modules)
    assert sum(isinstance(spec, Broken) for spec in registry.survey()) == 1
    table = rows(run())
    assert table["wreck"][1:3] == ["broken", "ZeroDivisionError: division by zero"]
    assert table["gggan-lite"][1] == "deblur"
    assert set(registry.names()) <= set(table)
    assert "broken" in run(width=80)
    assert json.loads(run("--json"))[0] == {"name": "wreck", "broken": "ZeroDivisionError: division by zero"}
    assert "| `wreck` | broken | ZeroDivisionError: division by zero |" in run("--markdown")


def test_show_tells_facts_options_and_weights() -> None:
    shown = run("show", "GGGAN_lite")
    for text in (
        "gggan-lite: gradient-guided generator on 4x4 cells",
        "parameters      1,130,304",
        "tiling          exact, receptive field",
        "taps=3,6              any number of integers",
        "prenet_widths=64,96   2 integers",
        "photo (bundled, default, 2.3 MB)",
        "for photographs with motion of 5 to 25 px in any direction",
        "licence: non-commercial research (terms of BSDS500 and Kvasir-SEG",
        "psnr 25.04, psnr_blurred 23.2",
    ):
        assert text in shown
    assert "block=res2net            res2net or rrdb" in run("show", "gggan")
    assert "Weights" not in run("show", "bicubic")
    assert "objective       gggan" in run("show", "gggan")
    for name in ("bicubic", "epll", "whyte"):
        assert "objective       none: it is not trained" in run("show", name)


def test_show_tells_the_ablations_of_a_paper() -> None:
    shown = run("show", "srgan-em")
    assert "Ablations, for train --ablation\n  batch-norm  SRGAN's blocks with batch normalisation (Table 4)\n" in shown
    assert "Ablations" not in run("show", "espcn")
    facts = {entry["name"]: entry for entry in json.loads(run("--json"))}
    assert facts["srgan-em"]["ablations"]["mse"]["loss_weights"] == {"l1": 0.0, "mse": 1.0}


@pytest.mark.usefixtures("listed")
def test_show_tells_how_remote_weights_come_here() -> None:
    shown = run("show", "gggan")
    assert "theirs (remote, to be fetched, size not known)" in shown
    assert "manual (remote, browser, size not known)" in shown
    assert "mine (remote, fetched, size not known)" in shown
    assert "fetch: restorekit models fetch gggan:theirs" in shown
    assert "fetch gggan:mine" not in shown


@pytest.mark.parametrize("width", [50, 80])
def test_show_breaks_no_word(width: int) -> None:
    for name in ("gggan-lite", "compact", "bicubic"):
        assert run("show", name, width=width).split() == run("show", name).split()
        lines = run("show", name, width=width).splitlines()
        assert all(len(line) <= width for line in lines if len(line.split()) > 1)


@pytest.mark.usefixtures("listed")
def test_what_to_fetch_is_named_by_model_or_by_model_and_tag() -> None:
    for name, tag in (("gggan", "theirs"), ("GGGAN:manual", "manual"), ("gggan:mine", "mine")):
        assert run("fetch", name, "--dry-run").startswith(f"gggan:{tag}: ")


@pytest.mark.parametrize("command", ["show", "verify", "fetch"])
def test_what_is_no_system_is_refused(command: str) -> None:
    shown = CliRunner().invoke(app, ["models", command, "gggam"])
    assert isinstance(shown.exception, UnknownModel)


def test_verify_tells_every_file_of_a_system() -> None:
    shown = run("verify", "GGGAN_lite").splitlines()
    assert shown[-2].split() == ["gggan-lite:photo", "gggan-lite-photo.safetensors", "ok"]
    assert shown[-1].split() == ["gggan-lite:endoscopy", "gggan-lite-endoscopy.safetensors", "ok"]
