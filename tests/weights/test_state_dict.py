import pickle
from pathlib import Path

import pytest
import torch

from restorekit.errors import UnknownModel, UsageError, WeightsError
from restorekit.models import registry
from restorekit.weights import manifest, state_dict
from restorekit.weights.load import load_model


class Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("attacked"),))


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Attack()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Attack()))
    for name in ("evil.pth", "plain.pkl"):
        with pytest.raises(WeightsError):
            state_dict.load(tmp_path / name)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth", "text.safetensors", "text.pth", "absent.pth"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = {"weight": torch.rand(100, 100)}
    if name == "cut.safetensors":
        state_dict.save(state, path, {})
        path.write_bytes(path.read_bytes()[:-50])
    elif name == "cut.pth":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-500])
    elif name.startswith("text"):
        path.write_text("no weights")
    with pytest.raises(WeightsError) as caught:
        state_dict.load(path)
    assert caught.value.path == path
    assert caught.value.hint


@pytest.mark.parametrize("wrapper", [None, "params_ema", "state_dict", "model", "G"])
def test_plain_and_wrapped_state_dicts_load(tmp_path: Path, wrapper: str | None) -> None:
    state = {"module.layer.weight": torch.rand(3, 4)}
    torch.save({wrapper: state} if wrapper else state, tmp_path / "x.pth")
    loaded = state_dict.load(tmp_path / "x.pth")
    assert torch.equal(loaded["layer.weight"], state["module.layer.weight"])


def test_weights_of_another_network_are_refused_with_the_differences() -> None:
    model = registry.build("gggan-lite")
    state = model.state_dict()
    first, second, *_ = state
    state["alien"] = state.pop(first)
    state[second] = torch.zeros(7)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        state_dict.fit(model, state, "x")
    for word in (first, "alien", second, "(7,)"):
        assert word in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_every_shipped_file_is_what_the_manifest_says() -> None:
    assert manifest.bundled()
    for entry in manifest.bundled():
        assert entry.path.stat().st_size == entry.size
        assert state_dict.sha256(entry.path) == entry.sha256
        assert load_model(entry.model, entry.tag).module.training is False
    assert sum(entry.size for entry in manifest.bundled()) < 24e6
    for model, scale in {(entry.model, entry.scale) for entry in manifest.bundled()}:
        own = [entry for entry in manifest.bundled() if (entry.model, entry.scale) == (model, scale)]
        assert sum(entry.default for entry in own) == 1
    best = [scale for entry in manifest.bundled() for scale in entry.best_for]
    assert sorted(best) == [2, 3, 4]


def test_wrong_names_are_usage_errors_that_help() -> None:
    with pytest.raises(UnknownModel, match="gggan-lite"):
        load_model("gggan-light")
    with pytest.raises(WeightsError, match="tags are"):
        load_model("gggan-lite", "moon")
    with pytest.raises(WeightsError, match="No trained weights of 'gggan' ship"):
        load_model("gggan")
    with pytest.raises(UsageError, match="wings"):
        registry.build("gggan-lite", wings=2)
