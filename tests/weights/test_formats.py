"""Weight files of every published kind, and files that want to do harm."""

import io
import pickle
import random
import struct
import sys
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.weights import formats, state_dict, torch_file

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Touch:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.mark), "w"))


class Block(nn.Module):
    """A part with everything a module can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.slope = nn.Parameter(torch.rand(2, 3).t())  # not contiguous
        self.register_buffer("small", torch.rand(5).half())
        self.register_buffer("passing", torch.rand(5), persistent=False)
        self.register_parameter("nothing", None)
        self.shared = self.conv


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Block(), nn.ReLU(), nn.ModuleDict({"a": nn.Linear(2, 2)}))


def assert_equal(content: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(content) == list(wanted)
    for name, tensor in wanted.items():
        assert content[name].dtype == tensor.dtype
        assert torch.equal(content[name], tensor)


def zipped(pickled: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """The zip layout around any pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/byteorder", "little")
        archive.writestr("x/version", "3\n")
        for key, data in (storages or {}).items():
            archive.writestr(f"x/data/{key}", data)
    return file.getvalue()


def chained(pickled: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """The legacy layout around any pickle; storages of float32."""
    head = [torch_file.LEGACY_MAGIC, 1001, {"little_endian": True}]
    parts = [*(pickle.dumps(part, 2) for part in head), pickled, pickle.dumps(list(storages or {}), 2)]
    return b"".join(parts) + b"".join(struct.pack("<q", len(d) // 4) + d for d in (storages or {}).values())


LAYOUTS = {"zip": zipped, "legacy": chained}


def test_the_pickles_of_a_legacy_file_may_not_have_more_instructions_than_one() -> None:
    pickles = [b"N0" * 200 + pickle.dumps(part)[2:] for part in (torch_file.LEGACY_MAGIC, 1001, {}, {"a": 1}, [])]
    assert torch_file.read(b"".join(pickles), most=3000) == {"a": 1}
    with pytest.raises(ValueError, match="more instructions"):
        torch_file.read(b"".join(pickles), most=1500)


@pytest.mark.parametrize("zipped_layout", [True, False])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_whole_module_is_read_as_its_state_dict(tmp_path: Path, zipped_layout: bool, wrapped: bool) -> None:
    model, path = network(), tmp_path / "x.pth"
    whole = {"epoch": 50, "model": nn.DataParallel(model)} if wrapped else model
    torch.save(whole, path, _use_new_zipfile_serialization=zipped_layout)
    assert_equal(state_dict.load(path), model.state_dict())


@pytest.mark.parametrize("zipped_layout", [True, False])
def test_arguments_and_optimisers_beside_the_weights_do_not_matter(tmp_path: Path, zipped_layout: bool) -> None:
    model, path = network(), tmp_path / "weights.h5"  # DeblurGAN-v2's files have this ending
    optimiser = torch.optim.Adam(model.parameters())
    saved = {"args": Namespace(lr=1), "optimiser": optimiser, "state_dict": model.state_dict(), "best": np.float64(3)}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped_layout)
    assert_equal(state_dict.load(path), model.state_dict())


def test_both_readers_of_pytorch_files_agree(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    state = {"view": whole[1:, ::2], "all": whole, "whole numbers": torch.tensor(7), "none": torch.empty(0, 3)}
    state |= {str(kind): torch.rand(3).to(kind) for kind in torch_file.DTYPES.values()}
    for zipped_layout in (True, False):
        path = tmp_path / f"{zipped_layout}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=zipped_layout)
        content = torch_file.read(path.read_bytes())
        assert isinstance(content, dict)
        assert_equal(
            {name: torch_file.build_tensor(value) for name, value in content.items()},
            torch.load(path, weights_only=True),
        )


def test_matlab_arrays_come_by_name(tmp_path: Path) -> None:
    kernels = np.asfortranarray(np.random.default_rng(0).normal(size=(81, 64)))
    savemat(tmp_path / "srcnn.mat", {"weights_conv1": kernels, "biases_conv1": np.ones((64, 1), ">f4"), "note": "x3"})
    content = state_dict.load(tmp_path / "srcnn.mat")
    assert set(content) == {"weights_conv1", "biases_conv1"}
    assert torch.equal(content["weights_conv1"], torch.from_numpy(kernels.copy()))
    assert content["biases_conv1"].sum() == 64
    (tmp_path / "cut.mat").write_bytes((tmp_path / "srcnn.mat").read_bytes()[:5000])
    with pytest.raises(WeightsError, match="damaged"):
        state_dict.load(tmp_path / "cut.mat")


def test_the_content_tells_the_kind_and_not_the_name(tmp_path: Path) -> None:
    state = {"a": torch.rand(3)}
    state_dict.save(state, tmp_path / "x.safetensors", {"model": "m"})
    (tmp_path / "x.safetensors").rename(tmp_path / "x.bin")
    assert_equal(state_dict.load(tmp_path / "x.bin"), state)
    assert formats.header((tmp_path / "x.bin").read_bytes()) == {"model": "m"}
    (tmp_path / "keras.h5").write_bytes(formats.HDF5 + bytes(100))
    with pytest.raises(WeightsError, match="HDF5"):
        state_dict.load(tmp_path / "keras.h5")
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({}, tmp_path / "nothing.pth")
    torch.save([torch.rand(3)], tmp_path / "list.pth")
    torch.save({"a": torch.rand(3), "epoch": 3}, tmp_path / "mixed.pth")
    for name in ("empty", "nothing", "list", "mixed"):
        with pytest.raises(WeightsError) as caught:
            state_dict.load(tmp_path / f"{name}.pth")
        assert caught.value.path == tmp_path / f"{name}.pth"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", ["alone", "as a weight", "in a module", "as the state of a module"])
def test_code_in_a_pickle_never_runs(tmp_path: Path, layout: str, protocol: int, place: str) -> None:
    attack = Touch(tmp_path / "attacked")
    module = nn.Module()
    if place == "in a module":
        module._modules["part"] = attack  # type: ignore[assignment]
    elif place == "as the state of a module":
        module.__dict__.update(_parameters=attack, anything=attack)
    nested = {"alone": attack, "as a weight": {"weight": attack}}.get(place, {"epoch": 1, "model": module})
    pickled = pickle.dumps(nested, protocol)
    pickle.loads(pickled)
    assert (tmp_path / "attacked").exists()  # the attack works where it is let
    (tmp_path / "attacked").unlink()
    (tmp_path / "x.pth").write_bytes(LAYOUTS[layout](pickled))
    with pytest.raises(WeightsError):
        state_dict.load(tmp_path / "x.pth")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_good_weights_beside_an_attack_load_and_the_attack_does_not_run(tmp_path: Path, layout: str) -> None:
    saved = {"state_dict": {"a": torch.rand(3)}, "hook": Touch(tmp_path / "attacked")}
    torch.save(saved, tmp_path / "x.pth", _use_new_zipfile_serialization=layout == "zip")
    assert_equal(state_dict.load(tmp_path / "x.pth"), saved["state_dict"])
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "pickled",
    [
        b"ctrap\nboom\n.",  # imports
        b"\x80\x04\x8c\x04trap\x8c\x04boom\x93.",  # imports by names on the stack
        b"(S'x'\nitrap\nboom\n.",  # makes an instance in the oldest way
        b"(ctrap\nboom\nS'x'\no.",
        b"\x80\x02ctrap\nboom\n)\x81.",
        b"\x80\x04ctrap\nboom\n)}\x92.",
        b"cbuiltins\n__import__\n(S'trap'\ntR.",
        b"cos\nsystem\n(S'touch attacked'\ntR.",
        b"cbuiltins\nexec\n(S'import trap'\ntR.",
        b"cbuiltins\ngetattr\n(cos\npath\nS'os'\ntR(S'system'\ntR.",
        b"ccopy_reg\n_reconstructor\n(ctrap\nBoom\ncbuiltins\nobject\nNtR(dS'a'\nI1\nsb.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(N(dS'__code__'\nI1\nstb.",  # changes a function's attributes
        b"ccollections\nOrderedDict\n(dS'update'\nI1\nsb.",  # changes a class
        b"c__builtin__\nset\n(N(dS'add'\nI1\nstb.",
        b"\x80\x02\x82\x01.",  # a code of the extension registry
        b"(S'storage'\nctrap\nboom\nS'0'\nS'cpu'\nI1\ntQ.",  # a storage of a foreign type
        b"(S'module'\nctrap\nboom\nS'trap.py'\nS'import os'\ntQ)\x81.",
        b"(dS'state_dict'\nctrap\nboom\n(tRs.",
        b"p2147483647\n.",
        b"\x80\x02(" * 5000 + b".",
        b"]" + b"(" * 100 + b".",
    ],
)
def test_crafted_pickles_are_refused_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, pickled: bytes
) -> None:
    (tmp_path / "trap.py").write_text("open('attacked', 'w')\ndef boom(*a): pass\nclass Boom: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").write_bytes(LAYOUTS[layout](pickled))
    with pytest.raises(WeightsError):
        state_dict.load(tmp_path / "x.pth")
    assert not (tmp_path / "attacked").exists()
    assert "trap" not in sys.modules


def pickled_tensor(*, offset: int = 0, size: str = "I2\n", stride: str = "I1\n", count: int = 4) -> bytes:
    """{"a": tensor} of a float32 storage of `count` numbers, with numbers of our choice."""
    storage = f"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI{count}\ntQ"
    call = f"ctorch._utils\n_rebuild_tensor_v2\n({storage}I{offset}\n({size}t({stride}tI00\nccollections\nOrderedDict\n(tRtR"
    return f"\x80\x02}}S'a'\n{call}s.".encode("latin-1")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_stay_inside_their_storage(layout: str) -> None:
    def read(data: bytes = bytes(range(16)), **numbers: Any) -> Tensor:
        content = torch_file.read(LAYOUTS[layout](pickled_tensor(**numbers), {"0": data}))
        assert isinstance(content, dict)
        made = torch_file.build_tensor(content["a"])
        assert made is not None
        return made

    assert torch.equal(read(offset=2), torch.frombuffer(bytearray(range(8, 16)), dtype=torch.float32))
    for numbers in (
        {"offset": 3},
        {"offset": -1},
        {"size": "I-2\n"},
        {"size": "I2\nI2\n"},
        {"size": "I9\n", "stride": "I0\n"},
        {"size": "I1\n" * 9, "stride": "I1\n" * 9},
        {"size": "S'2'\n"},
        {"stride": "I4\n"},
        {"size": "I4611686018427387904\n", "stride": "I4611686018427387904\n"},
        {"count": 400},
        {"count": -1},
        {"data": bytes(12)},
    ):
        with pytest.raises(ValueError, match=r"a tensor|a storage"):
            read(**numbers)


def test_an_archive_that_inflates_beyond_its_own_size_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickled_tensor(count=10**6))
        archive.writestr("x/data/0", bytes(4 * 10**6))
    with pytest.raises(ValueError, match="compressed"):
        torch_file.read(packed.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_things_that_contain_themselves_end(tmp_path: Path, layout: str) -> None:
    ring: dict[str, Any] = {}
    ring["model"] = ring
    own, deep, wide = nn.Module(), nn.Module(), nn.Module()
    own._modules["again"] = own
    inner = deep
    for _ in range(3000):
        inner._modules["next"] = inner = nn.Module()
    for _ in range(30):  # 2^30 names
        outer = nn.Module()
        outer._modules.update(a=wide, b=wide)
        wide = outer
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)  # to write it
    try:
        pickles = [pickle.dumps(case) for case in (ring, own, wide, deep)]
    finally:
        sys.setrecursionlimit(limit)
    for pickled in pickles:
        (tmp_path / "x.pth").write_bytes(LAYOUTS[layout](pickled))
        with pytest.raises(WeightsError):
            state_dict.load(tmp_path / "x.pth")


@pytest.mark.parametrize("zipped_layout", [True, False])
def test_a_damaged_module_file_never_ends_in_a_traceback(tmp_path: Path, zipped_layout: bool) -> None:
    torch.save({"model": network()}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped_layout)
    whole = (tmp_path / "x.pth").read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        for _ in range(chance.randrange(1, 4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / "x.pth").write_bytes(damaged)
        try:
            state_dict.load(tmp_path / "x.pth")
        except WeightsError:
            refused += 1
    assert refused > 40


def test_a_file_larger_than_any_weights_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.rand(3)}, tmp_path / "x.pth")
    monkeypatch.setattr(formats, "LARGEST", 500)
    with pytest.raises(WeightsError, match="larger than"):
        formats.read_bytes(tmp_path / "x.pth")


def test_a_header_whose_texts_are_null_has_none() -> None:
    header = b'{"__metadata__": null}'
    assert formats.header(struct.pack("<Q", len(header)) + header) == {}


def test_a_checkpoint_may_hold_more_values_than_weights() -> None:
    content = io.BytesIO()
    torch.save({"losses": [0] * 400_000}, content)
    assert torch_file.read_plain(content.getvalue()) == {"losses": [0] * 400_000}
    with pytest.raises(ValueError, match="more instructions"):
        torch_file.read(content.getvalue())
