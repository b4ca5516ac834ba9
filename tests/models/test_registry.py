"""Systems are found by forgiving names, listed with their facts, and cannot break each other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import restorekit
from restorekit.errors import RestorekitError, UnknownModel
from restorekit.models import registry
from restorekit.models.registry import Broken
from restorekit.models.spec import Spec

SPOIL_EACH_SYSTEM = """
import importlib, sys
from pathlib import Path
from restorekit.models import registry

folder = Path(registry.__file__).parent
for spoiled in registry.names():
    path = folder.parent.parent / (registry._modules()[spoiled].replace(".", "/") + ".py")
    text = path.read_text()
    path.write_text("def build(:")
    for module in [name for name in sys.modules if name.startswith(("restorekit.models.deblur.", "restorekit.models.sr."))]:
        del sys.modules[module]
    importlib.invalidate_caches()
    broken = [entry.name for entry in registry.survey() if isinstance(entry, registry.Broken)]
    print(spoiled, *broken)
    path.write_text(text)
"""


@pytest.fixture
def wreck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more system, whose file cannot be imported."""
    (tmp_path / "wreck.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(tmp_path)
    modules = {**registry._modules(), "wreck": "wreck"}
    monkeypatch.setattr(registry, "_modules", lambda: modules)


@pytest.mark.usefixtures("wreck")
def test_a_broken_system_is_surveyed_with_the_reason() -> None:
    entries = {entry.name: entry for entry in registry.survey()}
    broken = entries.pop("wreck")
    assert isinstance(broken, Broken)
    assert "nothing_of_that_name" in broken.reason
    assert all(isinstance(entry, Spec) for entry in entries.values())


@pytest.mark.usefixtures("wreck")
def test_listing_models_leaves_out_a_broken_one_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="'wreck' cannot be used: .*nothing_of_that_name"):
        specs = registry.list_models()
    assert [spec.name for spec in specs] == [name for name in registry.names() if name != "wreck"]


def test_models_are_listed_by_task() -> None:
    deblurring, enlarging = registry.list_models("deblur"), registry.list_models("sr")
    assert {spec.task for spec in deblurring} == {"deblur"}
    assert {spec.task for spec in enlarging} == {"sr"}
    assert registry.list_models() == deblurring + enlarging


@pytest.mark.slow
def test_a_syntax_error_in_any_system_breaks_no_other(tmp_path: Path) -> None:
    source = Path(restorekit.__file__).parent
    shutil.copytree(source, tmp_path / "restorekit", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", SPOIL_EACH_SYSTEM]
    output = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == [f"{name} {name}" for name in registry.names()]


def test_every_python_file_in_a_tasks_folder_is_a_system_of_its_name() -> None:
    folder = Path(registry.__file__).parent
    files = [path for task in ("deblur", "sr") for path in (folder / task).glob("*.py") if path.stem != "__init__"]
    assert sorted(registry.names()) == sorted(path.stem.replace("_", "-") for path in files)
    for name in registry.names():
        assert registry.spec_of(name).name == name
        assert callable(registry.find(name).build)


def test_a_system_that_contradicts_its_files_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_modules", lambda: {"other": "restorekit.models.deblur.sang"})
    with pytest.raises(RestorekitError, match="'other' calls itself 'sang'"):
        registry.spec_of("other")


@pytest.mark.parametrize("name", ["gggan-lite", "gggan_lite", "GGGAN-Lite", " GGGAN Lite "])
def test_case_dashes_and_spaces_of_a_name_do_not_matter(name: str) -> None:
    assert registry.resolve(name) == "gggan-lite"
    assert registry.spec_of(name).name == "gggan-lite"
    assert registry.find(name) is registry.find("gggan-lite")


def test_an_unknown_name_gets_close_ones_and_the_command_that_lists_all() -> None:
    with pytest.raises(
        UnknownModel, match=r"'ggan'\. Did you mean gggan or \S+\? `restorekit models` lists all"
    ) as error:
        registry.find("ggan")
    assert sum(name in str(error.value).split() for name in registry.names()) <= 3


def test_a_name_like_no_other_is_not_answered_by_all_names() -> None:
    with pytest.raises(UnknownModel) as error:
        registry.build("zzzzzz")
    assert str(error.value) == "There is no model called 'zzzzzz'. `restorekit models` lists all."


def test_a_key_error_inside_a_systems_file_is_no_unknown_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "careless.py").write_text("{}['gone']")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_modules", lambda: {"careless": "careless"})
    with pytest.raises(KeyError, match="gone"):
        registry.find("careless")
