"""Files that others publish, with a small system that knows two layouts of its weights."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.weights import state_dict
from restorekit.weights.load import load_model

SYSTEM = '''
"""A system of one convolution, published as `net.k` with any number of channels."""

from dataclasses import dataclass, replace

from torch import nn

from restorekit.models.spec import Spec

spec = Spec(
    "{name}", "deblur", "t", "p", 1, 1,
    size_multiple=1, receptive_field=1, tiling="exact", objective="pixel", bytes_per_pixel=1,
)


@dataclass(frozen=True)
class Config:
    channels: int = 3


class Network(nn.Conv2d):
    def forward(self, rgb):
        return super().forward(rgb[:, :1].expand(-1, self.in_channels, -1, -1))


def build(config):
    return Network(config.channels, 3, 3)


def describe(config):
    return replace(spec, receptive_field=config.channels)


def from_upstream(state):
    if set(state) != {{"net.{key}", "net.b"}}:
        return None
    return {{"channels": state["net.{key}"].shape[1]}}, {{"weight": state["net.{key}"], "bias": state["net.b"]}}
'''


@pytest.fixture(autouse=True)
def _systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small systems and a broken one, in the place of all others."""
    folder = tmp_path / "systems"
    folder.mkdir()
    for name, key in (("upstream_first", "k"), ("upstream_second", "kernel")):
        (folder / f"{name}.py").write_text(SYSTEM.format(name=name.replace("_", "-"), key=key))
    (folder / "upstream_wreck.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(folder)
    systems = {path.stem.replace("_", "-"): path.stem for path in sorted(folder.glob("*.py"), reverse=True)}
    monkeypatch.setattr(registry, "_modules", lambda: systems)


def publish(path: Path, key: str = "k", channels: int = 5) -> dict[str, Tensor]:
    state = {f"net.{key}": torch.rand(3, channels, 3, 3).half(), "net.b": torch.rand(3)}
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    return state


def test_a_published_file_brings_its_sizes_and_is_renamed(tmp_path: Path) -> None:
    state = publish(tmp_path / "x.pth")
    model = load_model("upstream-first", tmp_path / "x.pth")
    assert torch.equal(model.module.weight, state["net.k"].float())
    assert model.spec.receptive_field == 5
    assert model.provenance.sha256 == hashlib.sha256((tmp_path / "x.pth").read_bytes()).hexdigest()
    assert model.provenance.config == {"channels": 5}


def test_weights_under_our_own_names_need_no_conversion(tmp_path: Path) -> None:
    state = registry.build("upstream-first").state_dict()
    torch.save(state, tmp_path / "plain.pth")
    state_dict.save(
        state, tmp_path / "ours.safetensors", {"model": "upstream-first", "recipe": '{"config": {"channels": 3}}'}
    )
    for name in ("plain.pth", "ours.safetensors"):
        assert torch.equal(load_model("upstream-first", tmp_path / name).module.weight, state["weight"])


def test_weights_of_another_system_name_it(tmp_path: Path) -> None:
    publish(tmp_path / "x.pth", "kernel")
    with pytest.raises(
        WeightsError, match=r"looks like weights of 'upstream-second'.*Take the model 'upstream-second'"
    ):
        load_model("upstream-first", tmp_path / "x.pth")
    state_dict.save({"a": torch.rand(1)}, tmp_path / "x.safetensors", {"model": "upstream-second"})
    with pytest.raises(WeightsError, match="These are weights of 'upstream-second'"):
        load_model("upstream-first", tmp_path / "x.safetensors")


def test_what_nobody_knows_is_refused_with_the_differences(tmp_path: Path) -> None:
    torch.save({"weight": torch.rand(3, 3, 5, 5), "other": torch.rand(3)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"missing: bias; unexpected: other; wrong shape: weight is \(3, 3, 5, 5\)"):
        load_model("upstream-first", tmp_path / "x.pth")


def test_known_names_with_impossible_tensors_are_an_error_and_no_traceback(tmp_path: Path) -> None:
    torch.save({"net.k": torch.tensor(1.0), "net.b": torch.rand(3)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="names of upstream-first"):
        load_model("upstream-first", tmp_path / "x.pth")
    torch.save({"net.k": torch.rand(7, 5, 3, 3), "net.b": torch.rand(3)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="wrong shape"):
        load_model("upstream-first", tmp_path / "x.pth")
