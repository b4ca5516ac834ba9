"""From names and files to networks."""

import functools
import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from scipy.io import savemat
from torch import Tensor, nn

from restorekit.errors import UnknownModel, UsageError, WeightsError
from restorekit.models import cost, registry
from restorekit.weights import formats, state_dict
from restorekit.weights.load import load_model
from restorekit.weights.manifest import load_manifest


def test_a_model_states_its_configuration_and_where_it_comes_from() -> None:
    default = load_model("espcn")
    other = load_model("ESPCN", scale=2)
    entries = {entry.tag: entry.sha256 for entry in load_manifest().bundled_for("espcn")}
    assert (default.provenance.weights, default.provenance.sha256) == ("x4", entries["x4"])
    assert (other.provenance.weights, other.provenance.sha256) == ("x2", entries["x2"])
    assert (default.spec.scale, other.spec.scale) == (4, 2)
    assert (default.provenance.config, other.provenance.config) == ({}, {"scale": 2})
    assert load_model("espcn", scale=4).provenance == default.provenance
    assert load_model("gggan-lite", None).provenance.weights == "none"


def test_options_are_those_of_the_file_and_then_those_that_are_given(tmp_path: Path) -> None:
    small = randomise(registry.build("gggan-lite", channels=8, taps=(1, 2)))
    header = {"model": "gggan-lite", "recipe": json.dumps({"config": {"channels": 8, "taps": [1, 2]}})}
    state_dict.save(small.state_dict(), tmp_path / "x.safetensors", header)
    model = load_model("gggan-lite", tmp_path / "x.safetensors")
    assert model.provenance.config == {"channels": 8, "taps": (1, 2)}
    assert all(torch.equal(tensor, small.state_dict()[name]) for name, tensor in model.module.state_dict().items())
    with pytest.raises(WeightsError, match="do not fit"):
        load_model("gggan-lite", tmp_path / "x.safetensors", config={"channels": 16})
    with pytest.raises(UsageError, match="wings"):
        load_model("gggan-lite", tmp_path / "x.safetensors", config={"wings": 2})


def test_weights_serve_other_scales_only_where_the_system_serves_every_scale(tmp_path: Path) -> None:
    for name in ("vdsr", "espcn"):
        header = {"model": name, "recipe": '{"config": {"scale": 4}}'}
        state_dict.save(registry.build(name, scale=4).state_dict(), tmp_path / f"{name}.safetensors", header)
    assert load_model("vdsr", tmp_path / "vdsr.safetensors").spec.scale == 4
    assert load_model("vdsr", tmp_path / "vdsr.safetensors", scale=2).spec.scale == 2
    with pytest.raises(WeightsError, match="enlarge by 4, not by 2"):
        load_model("espcn", tmp_path / "espcn.safetensors", scale=2)


def test_wrong_names_help() -> None:
    with pytest.raises(UnknownModel, match="gggan-lite"):
        load_model("gggan-light")
    with pytest.raises(WeightsError, match="tags are photo, endoscopy"):
        load_model("gggan-lite", "moon")
    with pytest.raises(WeightsError, match="No trained weights of 'sang'"):
        load_model("sang")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_model("gggan-lite", Path("photo"))  # a path is never a tag
    with pytest.raises(WeightsError, match="neither a file nor a tag"):
        load_model("gggan-lite", "x" * 300)  # longer than any name of a file


def test_a_folder_of_the_name_of_a_tag_does_not_hide_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_model("gggan-lite", "photo").provenance.weights == "photo"


def test_what_is_loaded_is_what_was_hashed(weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(weights_file.read_bytes())
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    read_bytes = formats.read_bytes

    def read_and_replace(path: Path, hint: str = "") -> bytes:
        data = read_bytes(path, hint)
        path.write_bytes(b"another file")
        return data

    monkeypatch.setattr(formats, "read_bytes", read_and_replace)
    model = load_model("gggan-lite", path)
    assert model.provenance.sha256 == expected
    wanted = state_dict.parse(weights_file.read_bytes(), weights_file)
    assert all(torch.equal(tensor, wanted[name].float()) for name, tensor in model.module.state_dict().items())


# Crafted files


def ours(recipe: str, model: str = "gggan-lite", state: dict[str, Tensor] | None = None) -> bytes:
    return save(state or registry.build("gggan-lite").state_dict(), {"model": model, "recipe": recipe})


@pytest.mark.parametrize(
    "recipe",
    [
        "no JSON",
        "[]",
        "3",
        '{"config": []}',
        '{"config": 3}',
        '{"config": {"wings": 2}}',
        '{"config": {"channels": "many"}}',
        '{"config": {"channels": -1}}',
        '{"config": {"channels": 1e9}}',
        '{"config": {"channels": [[[]]]}}',
        '{"config": {"self": 1, "name": 2}}',
        "[" * 100_000,
    ],
)
def test_a_header_with_an_impossible_recipe_is_an_error_that_names_the_file(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(ours(recipe))
    with pytest.raises(WeightsError) as caught:
        load_model("gggan-lite", tmp_path / "x.safetensors")
    assert caught.value.path == tmp_path / "x.safetensors"


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("esrgan", {"blocks": 4096}),
        ("esrgan", {"channels": 4096, "growth": 4096}),
        ("compact", {"convolutions": 4096}),
        ("gggan", {"modules": 4096, "channels": 4096}),
    ],
)
def test_a_header_cannot_ask_for_a_network_far_larger_than_its_file(
    tmp_path: Path, name: str, config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(ours(json.dumps({"config": config}), name, {"a": torch.rand(3)}))
    monkeypatch.delattr(cost, "measure_cost")  # which would build it
    with pytest.raises(WeightsError, match="much larger than the file"):
        load_model(name, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_numbers_that_are_not_finite_in_float32_are_refused(tmp_path: Path, value: float) -> None:
    path, state = (
        tmp_path / "x.safetensors",
        {name: t.double() for name, t in registry.build("espcn").state_dict().items()},
    )
    name = list(state)[2]
    state[name].view(-1)[-1] = value
    path.write_bytes(save(state))
    with pytest.raises(WeightsError, match=f"'{name}' holds numbers that are not finite"):
        load_model("espcn", path)


STRANGE: dict[str, Callable[[], Tensor]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "on no device": lambda: torch.empty(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]),
    "quantized": lambda: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8),
    "complex": lambda: torch.rand(3, dtype=torch.complex64),
    "of a huge shape": lambda: torch.zeros(1, dtype=torch.half).expand(10**12),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, of types that are new or old
@pytest.mark.parametrize("kind", STRANGE)
def test_tensors_that_are_no_weights_are_an_error_that_names_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pth"
    state = dict(registry.build("gggan-lite").state_dict())
    state[next(iter(state))] = STRANGE[kind]()
    torch.save(state, path)
    with pytest.raises(WeightsError) as caught:
        load_model("gggan-lite", path)
    assert caught.value.path == path


def test_weights_of_every_type_fill_a_network_of_float32(tmp_path: Path) -> None:
    module: nn.Module = registry.build("espcn")
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        torch.save({name: tensor.to(dtype) for name, tensor in module.state_dict().items()}, tmp_path / "x.pth")
        state = load_model("espcn", tmp_path / "x.pth").module.state_dict()
        for name, tensor in module.state_dict().items():
            assert state[name].dtype == torch.float32
            assert torch.equal(state[name], tensor.to(dtype).float())


def torch_file(content: object, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


@functools.cache
def whole_files() -> dict[str, bytes]:
    """Files of every kind that espcn or srcnn can be filled from."""
    module = registry.build("espcn")
    shapes = {"weights_conv1": (81, 64), "weights_conv2": (64, 1, 32), "weights_conv3": (32, 25)}
    shapes |= {"biases_conv1": (64, 1), "biases_conv2": (32, 1), "biases_conv3": (1, 1)}
    matlab = io.BytesIO()
    savemat(matlab, {name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    return {
        "x.safetensors": save(module.state_dict(), {"model": "espcn", "recipe": '{"config": {"scale": 4}}'}),
        "zip.pth": torch_file(module.state_dict(), zipped=True),
        "legacy.pth": torch_file(module.state_dict(), zipped=False),
        "module.pth": torch_file({"model": module}, zipped=True),
        "legacy-module.pth": torch_file({"model": module}, zipped=False),
        "x.mat": matlab.getvalue(),
    }


BYTE = st.integers(0, 255)
PLACE = st.integers(0, 2500) | st.integers(0, 10**6)
"""The beginning, where the structure is, or anywhere."""


@pytest.mark.slow
@given(st.sampled_from(list(whole_files())), st.lists(st.tuples(PLACE, BYTE), max_size=4), st.none() | PLACE)
@settings(max_examples=300)
def test_a_damaged_file_of_any_kind_loads_or_is_an_error_that_names_it(
    name: str, changes: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(whole_files()[name])
    for place, byte in changes:
        data[place % len(data)] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data[:cut])
        assert blamed("srcnn" if name == "x.mat" else "espcn", path) in (None, path)


def blamed(model: str, path: Path) -> Path | None:
    """The file that an error names, if loading ends in one."""
    try:
        load_model(model, path)
    except WeightsError as error:
        return error.path or Path("none")
    return None
