from pathlib import Path

import pytest

from restorekit.errors import UnknownModel
from restorekit.models import registry
from restorekit.models.registry import Broken


def test_a_broken_system_is_shown_as_broken_and_breaks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wreck.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(tmp_path)
    modules = {**registry._modules(), "wreck": "wreck"}
    monkeypatch.setattr(registry, "_modules", lambda: modules)
    found = {spec.name: spec for spec in registry.specs()}
    assert isinstance(found["wreck"], Broken)
    assert "nothing_of_that_name" in found["wreck"].reason
    assert found["gggan-lite"].name == "gggan-lite"


def test_every_file_is_called_what_its_spec_says() -> None:
    assert {"gggan", "gggan-lite"} <= set(registry.names())
    assert [registry.spec_of(name).name for name in registry.names()] == list(registry.names())


def test_an_unknown_name_gets_close_ones() -> None:
    with pytest.raises(UnknownModel, match="Did you mean gggan"):
        registry.find("ggan")
