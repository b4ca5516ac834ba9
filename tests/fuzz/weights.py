"""Hostile weight files: each one loads, or is refused with its name, in an instant, and nothing inside it ever runs."""

import functools
import io
import json
import math
import pickle
import pickletools
import struct
import tempfile
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from helpers import SMALL
from safetensors.torch import save
from scipy.io import savemat
from torch import Tensor, nn

from fuzz.harness import Limits
from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.weights import torch_file
from restorekit.weights.load import load_model

LIMITS = Limits()
MATLAB_START = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
LARGE = 3_000_000
"""Bytes of a file that is all attack."""


def prepare(_: Path) -> None:
    """Import and make what every case needs, so that no case pays for it."""
    for name in SMALL:
        small_state(name)
    for model, name, data in good_files():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(data)
            load_model(model, Path(folder) / name)


def check(folder: Path) -> bool:
    """Load the file of a case as a user does.

    Returns:
        Whether it was refused.

    Raises:
        Exception: a promise was broken.
    """
    path = next(folder.glob("x.*"))
    canary = folder / "canary"
    try:
        model = load_model((folder / "model").read_text(), path)
    except WeightsError as error:
        refused = error
    else:
        refused = None
        assert all(tensor.isfinite().all() for tensor in model.module.state_dict().values()), "not finite"
    if refused is not None:
        assert refused.path == path, "the error does not name the file"
        assert len(refused.reason) < 1000, "the error is as long as the file"
    assert not canary.exists(), "code ran"
    return refused is not None


def make(chance: Random, folder: Path) -> str:
    """Write the file of a case, x.*, and the name of the system to load it for.

    Returns:
        What kind of attack it is.
    """
    kind = chance.choice(KINDS)
    model, name, data = kind(chance, folder)
    (folder / "model").write_text(model)
    (folder / name).write_bytes(data)
    return kind.__name__.strip("_")


# What attacks are wrapped in


def zipped(pickled: bytes, storages: dict[str, bytes] | None = None, deflated: tuple[str, ...] = ()) -> bytes:
    """The zip layout around any pickle."""
    file = io.BytesIO()
    entries: dict[str, bytes] = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}
    entries |= {f"data/{key}": numbers for key, numbers in (storages or {}).items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            method = zipfile.ZIP_DEFLATED if name in deflated else zipfile.ZIP_STORED
            archive.writestr(f"x/{name}", content, method)
    return file.getvalue()


def chained(pickled: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """The legacy layout around any pickle; storages of float32."""
    head = [torch_file.LEGACY_MAGIC, 1001, {"little_endian": True}]
    parts = [*(pickle.dumps(part, 2) for part in head), pickled, pickle.dumps(list(storages or {}), 2)]
    return b"".join(parts) + b"".join(struct.pack("<q", len(d) // 4) + d for d in (storages or {}).values())


def wrapped(chance: Random, pickled: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    return chance.choice((zipped, chained))(pickled, storages)


def saved(chance: Random, content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=chance.random() < 0.5)
    return file.getvalue()


def text(value: str) -> bytes:
    """The instruction that pushes a text."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def tensor(size: bytes, stride: bytes, offset: int, count: int, key: bytes = b"S'0'\n") -> bytes:
    """The instructions that make a tensor of float32."""
    storage = b"(S'storage'\nctorch\nFloatStorage\n" + key + b"S'cpu'\nI%d\ntQ" % count
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"I%d\n" % offset + size + stride + b"I00\nNtR"


# Attacks: each gives the system, the file's name and its bytes

Case = tuple[str, str, bytes]


class Touch:
    """Leaves a canary behind where it is unpickled."""

    def __init__(self, call: tuple[Any, ...]) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def code(chance: Random, folder: Path) -> Case:
    import os
    import subprocess

    canary = str(folder / "canary")
    calls = [
        (open, (canary, "w")),
        (os.system, (f"touch {canary}",)),
        (exec, (f"open({canary!r}, 'w')",)),
        (eval, (f"open({canary!r}, 'w')",)),
        (subprocess.check_call, (["touch", canary],)),
        (Path.touch, (Path(canary),)),
        (pickle.loads, (pickle.dumps(Touch((open, (canary, "w")))),)),
        (functools.partial(open, canary, "w"), ()),
        (torch.hub.load, (str(folder), "entry", "local")),
    ]
    attack: Any = Touch(chance.choice(calls))
    module = nn.Module()
    module._modules["part"] = attack
    places = [attack, {"w": attack}, {"state_dict": registry.build("espcn").state_dict(), "x": attack}, module]
    places += [OrderedDict(a=attack), [attack] * 3, {"model": module, "state_dict": attack}]
    pickled = pickle.dumps(chance.choice(places), chance.randrange(6))
    return "espcn", "x.pth", wrapped(chance, pickled)


def instructions(chance: Random, _: Path) -> Case:
    """Any instructions in any order, most of them after values that they can work on."""
    argument = {
        pickletools.uint1: lambda: bytes([chance.randrange(256)]),
        pickletools.uint2: lambda: chance.randbytes(2),
        pickletools.int4: lambda: chance.randbytes(4),
        pickletools.uint4: lambda: chance.choice((chance.randbytes(4), b"\0\0\0\0", b"\xff\xff\xff\x7f")),
        pickletools.uint8: lambda: chance.randbytes(8),
        pickletools.stringnl: lambda: b"'state_dict'\n",
        pickletools.stringnl_noescape: lambda: b"x\n",
        pickletools.stringnl_noescape_pair: lambda: chance.choice(
            (
                b"torch\nFloatStorage\n",
                b"torch._utils\n_rebuild_tensor_v2\n",
                b"collections\nOrderedDict\n",
                b"os\nsystem\n",
            )
        ),
        pickletools.decimalnl_short: lambda: b"%d\n" % chance.choice((0, 1, 2**31, -1)),
        pickletools.decimalnl_long: lambda: b"%dL\n" % chance.getrandbits(200),
        pickletools.floatnl: lambda: b"1e400\n",
        pickletools.float8: lambda: chance.randbytes(8),
    }
    values = [
        b"N",
        b"(",
        b"]",
        b"}",
        b")",
        b"K\x01",
        b"U\x01a",
        b"ctorch\nFloatStorage\n",
        tensor(b"(I1\nt", b"(I1\nt", 0, 1),
    ]
    pickled = b"\x80\x02"
    for _number in range(chance.choice((5, 50, 500))):
        if chance.random() < 0.6:
            pickled += chance.choice(values)
            continue
        opcode = chance.choice([opcode for opcode in pickletools.opcodes if opcode.name != "STOP"])
        made = argument.get(opcode.arg, lambda: struct.pack("<I", 3) + b"abc")() if opcode.arg else b""
        pickled += opcode.code.encode("latin-1") + made
    return "espcn", "x.pth", wrapped(chance, pickled + b".", {"0": bytes(4)})


def nested_keys(chance: Random, _: Path) -> Case:
    """A nest of pairs with 2^60 leaves where something wants its hash or its text."""
    nest = b")" + b"2\x86" * chance.choice((20, 60, 500))
    key = chance.choice(
        (
            b"}" + nest + b"K\x01s",
            b"(" + nest + b"K\x01d",
            b"(" + nest + b"\x91",
            b"c__builtin__\nset\n(" + nest + b"ltR",
            b"ccollections\nOrderedDict\n(((" + nest + b"K\x01tltR",
            tensor(b"(I1\nt", b"(I1\nt", 0, 1, nest),
            b"cbuiltins\nrepr\n" + nest + b"\x85R",
        )
    )
    return "espcn", "x.pth", wrapped(chance, b"}" + text("a") + key + b"s.", {"0": bytes(4)})


def memo(chance: Random, _: Path) -> Case:
    """A value kept under a number so high that a table up to it would fill the memory."""
    index = chance.choice((2**20, 2**28, 2**30, 2**31 - 1, 2**32 - 1))
    put = chance.choice((b"r" + struct.pack("<I", index), b"p%d\n" % index))
    return "espcn", "x.pth", wrapped(chance, b"}" + text("a") + b"ctrap\nTrap\n" + put + b"s.")


def long_lengths(chance: Random, _: Path) -> Case:
    """Texts, bytes and numbers that are announced to be longer than the file."""
    code, form = chance.choice(
        ((b"\x8e", "<Q"), (b"\x96", "<Q"), (b"\x8d", "<Q"), (b"B", "<I"), (b"X", "<I"), (b"\x8b", "<i"))
    )
    length = chance.choice((2**31 - 1, 2**27)) if form != "<Q" else chance.choice((2**31, 2**40, 2**62, 2**64 - 1))
    return "espcn", "x.pth", wrapped(chance, b"}" + text("a") + code + struct.pack(form, length) + b"xs.")


def many(chance: Random, _: Path) -> Case:
    """Millions of instructions, marks, records, keys, or entries of an archive."""
    body = chance.choice(
        (
            b"N0" * (LARGE // 2),
            b"(" * LARGE,
            b"]" * LARGE,
            b"}" + b"(K\x01K\x02u" * (LARGE // 6),
            b"c" + b"a" * LARGE + b"\nb\n",
            text("n" * LARGE) + b"q\x000" + b"h\x00h\x00\x93" * 1000,
            b"L" + b"9" * LARGE + b"L\n",
            b"\x8b" + struct.pack("<i", LARGE) + b"\x7f" * LARGE + b"q\x000" + b"}" + b"h\x00K\x01s" * 1000,
            b"]q\x000" + b"h\x00h\x00a" * 1000,
            b"N" + b"2" * LARGE + b"t",
        )
    )
    if chance.random() < 0.2:
        return "espcn", "x.pth", zipped(b"}.", {f"{at}": b"" for at in range(20_000)})
    return "espcn", "x.pth", wrapped(chance, body + b".")


def archives(chance: Random, _: Path) -> Case:
    """Zip archives that inflate, lie about sizes, lack entries or have them twice."""
    pickled = b"}" + text("a") + tensor(b"(I4\nt", b"(I1\nt", 0, 4) + b"s."
    which = chance.randrange(6)
    if which == 0:
        return "espcn", "x.pth", zipped(b"N0" * 10**8 + b"N.", None, ("data.pkl",))
    if which == 1:
        bomb = pickled.replace(b"I4\n", b"I100000000\n")
        return "espcn", "x.pth", zipped(bomb, {"0": bytes(4 * 10**8)}, ("data/0",))
    data = bytearray(zipped(pickled, {"0": bytes(16)}))
    directory = data.find(b"PK\x01\x02")
    if which == 2:  # sizes of an entry
        at = chance.choice((18, 22, directory + 20, directory + 24))
        data[at : at + 4] = struct.pack("<I", chance.choice((2**31, 2**32 - 1, 10**9, 0)))
    elif which == 3:  # method of compression
        at = chance.choice((8, directory + 10))
        data[at : at + 2] = struct.pack("<H", chance.choice((8, 12, 14, 93, 99)))
    elif which == 4:  # number and place of the entries
        end = data.find(b"PK\x05\x06")
        at = end + chance.choice((8, 10, 12, 16))
        data[at : at + 2] = chance.randbytes(2)
    else:
        data = data.replace(b"x/data/0", chance.choice((b"x/data/1", b"x/data.pk", b"../../ab")))
    return "espcn", "x.pth", bytes(data)


def strides(chance: Random, _: Path) -> Case:
    """Tensors that are larger than their storage, outside it, or no tensors."""
    odd = (0, 1, 2, 3, 4, -1, 30_000, 10**12, 2**62, 2**63, 2**200)

    def numbers() -> bytes:
        return (
            b"(" + b"".join(b"L%dL\n" % chance.choice(odd) for _ in range(chance.choice((0, 1, 2, 4, 9, 1000)))) + b"t"
        )

    made = tensor(numbers(), numbers(), chance.choice(odd), chance.choice((0, 4, 4, 4, 10**9)))
    names = chance.choice((1, 1, 20_000))
    pickled = b"}" + text("w") + made + b"q\x00s" + b"".join(text(str(at)) + b"h\x00s" for at in range(names - 1))
    return "espcn", "x.pth", wrapped(chance, pickled + b".", {"0": bytes(16)})


def expanded(chance: Random, _: Path) -> Case:
    """A state dict whose tensors repeat a few numbers, or one storage under many names."""
    state = dict(registry.build("espcn").state_dict())
    if chance.random() < 0.5:
        shape = chance.choice(((30_000, 30_000), (80_000, 80_000), (10**12,)))
        state[chance.choice(list(state))] = torch.zeros(1, dtype=chance.choice((torch.half, torch.float))).expand(shape)
    else:
        numbers = torch.rand(LARGE // 4)
        state |= {f"part {at}": numbers for at in range(20_000)}
    return "espcn", "x.pth", saved(chance, chance.choice((state, {"params": state})))


def modules(chance: Random, _: Path) -> Case:
    """Modules that contain themselves, share parts without end, or nest without end."""
    own, inner, outer = nn.Module(), nn.Module(), nn.Module()
    own._modules["again"] = own
    deep = inner
    for _number in range(150):
        inner._modules["x" * chance.choice((1, 10_000))] = inner = nn.Module()
    for _number in range(30):
        wider = nn.Module()
        wider._modules.update(a=outer, b=outer)
        outer = wider
    ring: dict[str, Any] = {}
    ring["model"] = ring
    crowd = nn.Module()
    crowd._buffers = {str(at): torch.zeros(1) for at in range(2000)}
    crowd._non_persistent_buffers_set = set(crowd._buffers)
    crowded = nn.Module()
    crowded._modules.update({str(at): crowd for at in range(2000)})
    return "espcn", "x.pth", saved(chance, chance.choice((own, deep, outer, ring, crowded)))


def safetensors_lies(chance: Random, _: Path) -> Case:
    """Headers that lie about themselves, their tensors, or both."""
    data = save(registry.build("espcn").state_dict(), {"model": "espcn"})
    length = int.from_bytes(data[:8], "little")
    header, numbers = json.loads(data[8 : 8 + length]), data[8 + length :]
    name = chance.choice([key for key in header if key != "__metadata__"])
    which = chance.randrange(8)
    if which == 0:
        header[name]["data_offsets"] = [
            chance.choice((0, -1, 8, 2**63, len(numbers))),
            chance.choice((0, 4, 2**63, -5)),
        ]
    elif which == 1:
        header[name]["shape"] = chance.choice(([2**62, 4], [], [0], [1] * 10_000, [-1], "x", [2**64], [1.5]))
    elif which == 2:
        header[name]["dtype"] = chance.choice(("F4", "F8_E8M0", "C64", "U16", "BOOL", "I64", "x", 3, None))
    elif which == 3:
        header["__metadata__"] = chance.choice(
            ([], {"model": 3}, {"model": {"a": 1}}, None, {"model": "\ud800"}, {"recipe": ""})
        )
    elif which == 4:
        header |= {f"{name}{at}": header[name] for at in range(chance.choice((1, 50_000)))}
    elif which == 5:
        header[name] = chance.choice((None, [], {}, 3, {"dtype": "F32"}))
    made = json.dumps(header).encode()
    if which == 6:
        made = chance.choice((b"{" + b'"a":{' * 100_000, b"{}", b"{" * LARGE, made[:-3], b'{"a":1,"a":2}', b"{\xff}"))
    said = chance.choice((0, 7, 2**20, 2**39, len(made) + 1)) if which == 7 else len(made)
    return "espcn", "x.safetensors", struct.pack("<Q", said) + made + numbers


def odd_value(chance: Random, depth: int = 0) -> object:
    """What JSON can hold where a number, a list or a word is wanted."""
    number = chance.choice(
        (0, 1, -1, 2, 7, 64, 4096, 4097, 20_000, 10**9, 2**63, 2**200, 1.5, 1e308, float("nan"), math.inf)
    )
    word = chance.choice(("", "yes", "32", "rrdb", "x" * 100_000, "\0", "\x1b[31m", "a\nb"))
    if depth > 2:
        return number
    inner = [odd_value(chance, depth + 1) for _ in range(chance.choice((0, 1, 3, 4, 8)))]
    return chance.choice((number, number, word, None, True, inner, [number] * 2000, {"a": inner}))


def recipes(chance: Random, _: Path) -> Case:
    """Our own header around a system's sizes that make no sense, or far too much of it."""
    name = chance.choice([name for name in registry.names() if registry.spec_of(name).parameters])
    options = list(registry.find(name).Config.__dataclass_fields__)
    config: object = {key: odd_value(chance) for key in chance.sample(options, chance.randint(1, len(options)))}
    config = chance.choice((config, config, config, config, odd_value(chance), {"wings": 3, "self": 1}))
    recipe = chance.choice((json.dumps({"config": config}),) * 6 + ("", "[]", "[" * 100_000, "nan", '{"config"'))
    header = {"model": chance.choice((name, name, name, name, "espcn", "\x1b[31m", "m" * 100_000)), "recipe": recipe}
    state = {"a": torch.rand(3)} if chance.random() < 0.5 else dict(registry.build("espcn").state_dict())
    return name, "x.safetensors", save(state, header)


def matlab(chance: Random, _: Path) -> Case:
    """MATLAB files with lengths, shapes, types and nests that no MATLAB writes."""

    def element(kind: int, content: bytes) -> bytes:
        lie = chance.choice((0,) * 12 + (1, -8, 2**20, 2**31))
        return struct.pack("<Ii", kind, min(max(len(content) + lie, 0), 2**31 - 1)) + content + bytes(-len(content) % 8)

    def array(depth: int) -> bytes:
        shape = chance.choice(((2, 2), (0,), (-1, 4), (2**31 - 1,) * 8, (1,) * 1000, (4,), ()))
        flags = chance.choice((6, 7, 1, 2, 4, 5, 6 | 0x800, 0xFF))
        parts = element(6, struct.pack("<II", flags, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
        parts += element(1, chance.choice((b"weights_conv1", b"", b"\xff\xfe", b"n" * 100_000)))
        inside = (
            array(depth + 1)
            if depth < 50 and chance.random() < 0.5
            else element(chance.choice((9, 9, 7, 14, 200)), bytes(32))
        )
        return element(14, parts + inside)

    which = chance.randrange(6)
    if which == 0:
        return "srcnn", "x.mat", MATLAB_START + struct.pack("<II", 15, 2_000_000) + zlib.compress(bytes(10**9), 1)
    if which == 1:
        cells = b""
        for _number in range(20_000):
            cells = struct.pack("<II", 14, len(cells) & 0xFFFFFFFF) + cells
        return "srcnn", "x.mat", MATLAB_START + cells
    body = b"".join(array(0) for _ in range(chance.randint(1, 4)))
    packed = zlib.compress(body)
    if which == 2:
        body = struct.pack("<II", 15, len(packed)) + packed[: chance.choice((None, -3, 5))]
    return "srcnn", "x.mat", MATLAB_START[: chance.choice((128, 128, 128, 127, 20))] + body


def numbers_that_are_none(chance: Random, _: Path) -> Case:
    """One number of a good file that is not finite in float32."""
    name = chance.choice(("espcn", "gggan-lite", "compact"))
    state = {key: value.clone() for key, value in registry.build(name).state_dict().items()}
    key = chance.choice([key for key, value in state.items() if value.is_floating_point()])
    bad, dtype = chance.choice(
        ((math.nan, torch.float), (math.inf, torch.half), (-math.inf, torch.bfloat16), (1e300, torch.double))
    )
    state[key] = state[key].to(dtype)
    state[key].view(-1)[chance.randrange(state[key].numel())] = bad
    return name, "x.pth", save(state) if chance.random() < 0.5 else saved(chance, state)


def upstream(chance: Random, _: Path) -> Case:
    """Names that others publish, with shapes and numbers that nobody publishes."""
    layouts = {
        "compact": ("body.{}.weight", "body.{}.bias"),
        "vdsr": ("residual_layer.{}.conv.weight", "input.weight", "output.weight"),
        "deblurgan": ("model.{}.conv_block.1.weight", "model.{}.weight", "model.1.weight"),
        "deepdeblur": (
            "body_models.{}.body.0.weight",
            "body_models.0.body.{}.weight",
            "conv_end_models.{}.uppath.0.weight",
        ),
        "esrgan": ("RRDB_trunk.{}.RDB1.conv1.weight", "conv_first.weight", "upconv{}.weight", "conv_last.weight"),
        "srresnet": ("block{}.0.weight", "block{}.conv1.weight", "block1.0.weight", "block8.1.weight"),
        "spsr-deblur": ("model.1.sub.{}.RDB1.conv1.0.weight", "b_concat_1.0.weight", "b_module.{}.weight"),
        "srcnn": ("weights_conv{}", "biases_conv{}"),
    }
    name = chance.choice(list(layouts))
    state = {}
    for pattern in layouts[name] * chance.choice((1, 5)):
        at = chance.choice((0, 1, 2, 3, 10, 99_999, 10**30, -1, "x", "٣"))
        shape = [chance.choice((0, 1, 3, 4, 64)) for _ in range(chance.choice((0, 1, 2, 4, 4, 4, 5)))]
        if math.prod(shape) > LARGE:
            shape = shape[:2]
        state[pattern.format(at)] = torch.zeros(
            shape, dtype=chance.choice((torch.float, torch.half, torch.long, torch.bool))
        )
    return name, "x.pth", saved(chance, {"params": state} if chance.random() < 0.3 else state)


def shuffled(chance: Random, _: Path) -> Case:
    """A good state dict of any system with names lost, exchanged or added."""
    name = chance.choice([name for name in SMALL if registry.spec_of(name).parameters])
    state = dict(small_state(name))
    keys = list(state)
    for _number in range(chance.randint(0, 3)):
        first, second = chance.choice(keys), chance.choice(keys)
        change = chance.randrange(5)
        if change == 0:
            state.pop(first, None)
        elif change == 1:
            state[first], state[second] = state.get(second, torch.rand(1)), state.get(first, torch.rand(2))
        elif change == 2:
            state[chance.choice(("x" * 100_000, "", "\x1b[31m", "module." + first))] = torch.rand(2)
        elif change == 3:
            state[first] = torch.zeros([0, *state[second].shape] if second in state else [3])
        else:
            state[first] = torch.tensor(1.0)
    config = {key: list(value) if isinstance(value, tuple) else value for key, value in SMALL[name].items()}
    if chance.random() < 0.5:
        return name, "x.safetensors", save(state, {"model": name, "recipe": json.dumps({"config": config})})
    return name, "x.pth", saved(chance, state)


@functools.cache
def small_state(name: str) -> dict[str, Tensor]:
    return {key: value.contiguous() for key, value in registry.build(name, **SMALL[name]).state_dict().items()}


@functools.cache
def good_files() -> tuple[tuple[str, str, bytes], ...]:
    """Files of every kind, as their makers write them."""
    module = registry.build("espcn")
    state = module.state_dict()
    layered, chained_file = io.BytesIO(), io.BytesIO()
    torch.save({"model": module}, layered)
    torch.save(state, chained_file, _use_new_zipfile_serialization=False)
    shapes = {"weights_conv1": (81, 64), "weights_conv2": (64, 1, 32), "weights_conv3": (32, 25)}
    shapes |= {"biases_conv1": (64, 1), "biases_conv2": (32, 1), "biases_conv3": (1, 1)}
    kernels = io.BytesIO()
    savemat(kernels, {key: np.zeros(shape) for key, shape in shapes.items()})
    return (
        ("espcn", "x.safetensors", save(state, {"model": "espcn", "recipe": '{"config": {"scale": 4}}'})),
        ("espcn", "x.pth", layered.getvalue()),
        ("espcn", "x.pth", chained_file.getvalue()),
        ("srcnn", "x.mat", kernels.getvalue()),
    )


def damaged(chance: Random, _: Path) -> Case:
    """A good file with bytes changed, lost, repeated or cut off, most often at its structured beginning or end."""
    model, name, good = chance.choice(good_files())
    data = bytearray(good)
    for _number in range(chance.choice((1, 1, 2, 5, 30))):
        place = chance.choice(
            (chance.randrange(2500), chance.randrange(len(data)), len(data) - 1 - chance.randrange(1500))
        )
        place = min(max(place, 0), len(data) - 1)
        change = chance.randrange(5)
        if change < 2:
            data[place] = chance.randrange(256)
        elif change == 2:
            data[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
            )
        elif change == 3:
            data[place:place] = data[place : place + chance.randrange(64)]
        else:
            del data[place : place + chance.choice((1, 8, 100, len(data)))]
            data = data or bytearray(b"\x80")
    return model, name, bytes(data)


def no_weights(chance: Random, _: Path) -> Case:
    """Files of other kinds under the names of weights."""
    starts = (
        b"",
        b"\x80",
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
        b"\x89HDF\r\n\x1a\n",
        b"\x1f\x8b",
        b"GIF89a",
        b"{}",
        b"\xff" * 9 + b"{",
    )
    start = chance.choice((*starts, bytes(8) + b"{", b"MATLAB 5.0 MAT-file", b"\x80\x02.", pickle.dumps({"a": 1})))
    return (
        "espcn",
        chance.choice(("x.pth", "x.safetensors", "x.mat", "x.h5", "x.bin")),
        start + chance.randbytes(chance.choice((0, 3, 5000))),
    )


KINDS: tuple[Callable[[Random, Path], Case], ...] = (
    *(
        archives,
        code,
        damaged,
        damaged,
        damaged,
        expanded,
        instructions,
        instructions,
        long_lengths,
        many,
        matlab,
        memo,
    ),
    *(modules, nested_keys, no_weights, numbers_that_are_none, recipes, recipes, safetensors_lies, safetensors_lies),
    *(shuffled, strides, upstream, upstream),
)
