import os
import pickle
import stat
import sys
from pathlib import Path

import pytest
import torch

from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.weights import state_dict


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
        state_dict.fit(model, state, Path("x"))
    for word in (first, "alien", second, "(7,)"):
        assert word in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_what_is_saved_comes_back_and_counters_stay_whole_numbers(tmp_path: Path) -> None:
    state = {
        "turned": torch.rand(2, 3).t(),
        "counter": torch.tensor(2**24 + 1),
    }  # no float16 or float32 holds the latter
    state_dict.save(state, tmp_path / "x.safetensors", {}, torch.float16)
    loaded = state_dict.load(tmp_path / "x.safetensors")
    assert torch.equal(loaded["turned"], state["turned"].half())
    assert loaded["counter"].item() == 2**24 + 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no umask")
def test_saved_weights_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        state_dict.save({"weight": torch.rand(3)}, tmp_path / "x.safetensors", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == 0o644


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.pth").touch()

    def denied(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", denied)
    monkeypatch.setattr(Path, "read_bytes", denied)
    for read in (state_dict.load, state_dict.sha256):
        with pytest.raises(WeightsError, match="Permission denied") as caught:
            read(tmp_path / "x.pth")
        assert caught.value.path == tmp_path / "x.pth"


@pytest.mark.parametrize("damaged", [{"trained_on": "AAAA"}, {"seconds_per_sample": "fast"}])
def test_a_damaged_account_of_training_is_an_error_of_the_file(tmp_path: Path, damaged: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match="tells of its training") as caught:
        state_dict.read_training(damaged, tmp_path / "x.safetensors")
    assert caught.value.path == tmp_path / "x.safetensors"


def test_tensors_that_share_their_numbers_take_a_few_times_the_file_at_most(tmp_path: Path) -> None:
    numbers = torch.rand(1000)
    torch.save({f"part {at}": numbers for at in range(3)}, tmp_path / "x.pth")
    assert len(state_dict.load(tmp_path / "x.pth")) == 3
    torch.save({str(at): numbers for at in range(1000)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="share so many numbers"):
        state_dict.load(tmp_path / "x.pth")
