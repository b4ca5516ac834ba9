"""Read PyTorch files of any content; nothing that the pickle inside names is imported or called (see `safe_unpickler`).

Layouts: the zip archive of PyTorch 1.6 and later (`data.pkl` and one entry per storage), and the chain of pickles of older
versions (magic number, protocol, machine, object, list of storages, then the storages' bytes).

Tensors are built afterwards, from numbers that were checked, and nothing in a file may be larger than the file.
"""

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import torch
from torch import Tensor

from restorekit.weights.safe_unpickler import MAX_INSTRUCTIONS, Budget, Record, load

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First object of a legacy file."""
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
TENSOR = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
"""Functions that make a tensor of a storage, an offset, a size, a stride."""
PARAMETER = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
)
"""Functions whose first argument is the tensor."""
MAX_AXES = 8
MAX_NAMES = 100_000
"""Modules that share parts can unfold to more names than memory holds; the largest known network has about 10,000."""
MAX_NAME = 1000
"""Characters in a tensor's name: those of nested modules are joined."""
MAX_PLAIN_INSTRUCTIONS = 5_000_000
"""Of a checkpoint: about 150,000 for the largest network, and 120 for every step that is not in the log yet."""
MAX_VALUES = 1_000_000
"""Of containers: lists that share parts unfold without end; a checkpoint has about 20,000."""
MAX_DEPTH = 100
"""A crafted module can contain itself; known networks nest about ten deep."""


@dataclass
class Storage:
    """A block of numbers; they are filled in after the pickle has been read."""

    dtype: torch.dtype
    count: int
    numbers: Tensor | None = None

    def fill(self, data: bytes) -> None:
        """Take the bytes.

        Raises:
            ValueError: there are more or fewer than the pickle announced.
        """
        if len(data) != self.count * self.dtype.itemsize:
            raise ValueError("a storage of another length than announced")
        self.numbers = torch.frombuffer(bytearray(data), dtype=self.dtype) if data else torch.empty(0, dtype=self.dtype)


class _Storages(dict[str, Storage]):
    """The storages that a pickle refers to, by key."""

    def refer(self, reference: Any) -> object:
        """What a reference means.

        Raises:
            ValueError, TypeError: it is none that PyTorch writes.
        """
        kind, *about = reference
        if kind == "module":  # legacy files of whole modules: class, source file, source
            return about[0]
        stored, key, _, count, *view = about
        module, _, name = stored.name.rpartition(".")
        if kind != "storage" or module not in ("torch", "torch.cuda") or (view and view[0] is not None):
            raise ValueError("a reference of unknown kind")
        if not isinstance(key, str) or type(count) is not int or count < 0:
            raise ValueError("a storage of impossible length")
        return self.setdefault(key, Storage(DTYPES[name], count))


def read(data: bytes, most: int = MAX_INSTRUCTIONS) -> object:
    """What a PyTorch file holds: plain containers and numbers, and records; tensors among them are for `build_tensor`.

    Args:
        data: a zip archive or a legacy file written by `torch.save`.
        most: instructions that its pickles may have, all together.

    Raises:
        Exception: of any kind; a crafted file can make the machinery fail anywhere. Callers turn it into a WeightsError.
    """
    return (_read_zip if data.startswith(ZIP_MAGIC) else _read_legacy)(data, Budget(most))


def _read_zip(data: bytes, budget: Budget) -> object:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("a compressed archive")
        if sum(info.file_size for info in infos) > len(data):
            raise ValueError("entries larger than the file")
        entries = {info.filename.partition("/")[2]: info for info in infos}
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise ValueError("written by a big-endian machine")
        storages = _Storages()
        content = load(io.BytesIO(archive.read(entries["data.pkl"])), storages.refer, budget)
        for key, storage in storages.items():
            storage.fill(archive.read(entries[f"data/{key}"]))
    return content


def _read_legacy(data: bytes, budget: Budget) -> object:
    file, storages = io.BytesIO(data), _Storages()
    if load(file, storages.refer, budget) != LEGACY_MAGIC:
        raise ValueError("not a file of PyTorch")
    load(file, storages.refer, budget)  # protocol version
    machine = load(file, storages.refer, budget)
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise ValueError("written by a big-endian machine")
    content = load(file, storages.refer, budget)
    for key in cast(list[str], load(file, storages.refer, budget)):
        storage = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        storage.fill(file.read(count * storage.dtype.itemsize) if count == storage.count else b"")
    return content


def build_tensor(record: object) -> Tensor | None:
    """The tensor that a value read from a file stands for; None if it stands for none.

    Tensors of one storage share its memory.

    Raises:
        ValueError: it describes none, or one outside its storage.
    """
    if isinstance(record, Record) and record.name in PARAMETER and record.args:
        record = record.args[0]
    if not isinstance(record, Record) or record.name not in TENSOR:
        return None
    storage, offset, size, stride, *_ = cast(tuple[Any, ...], record.args)
    if not isinstance(storage, Storage) or storage.numbers is None or not len(size) == len(stride) <= MAX_AXES:
        raise ValueError("a tensor without a storage or a shape")
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in (offset, *size, *stride)):
        raise ValueError("a tensor with an impossible shape")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if math.prod(size) > storage.count or (math.prod(size) and last >= storage.count):
        raise ValueError("a tensor that reaches beyond its storage")
    return storage.numbers.as_strided(size, stride, offset if math.prod(size) else 0)


def read_plain(data: bytes) -> object:
    """What a PyTorch file holds, where it is containers, numbers, texts and tensors alone.

    Args:
        data: see `read`.

    Raises:
        Exception: of any kind, as of `read`; a ValueError if there is anything else.
    """
    return _with_tensors(read(data, MAX_PLAIN_INSTRUCTIONS), iter(range(MAX_VALUES)))


def _with_tensors(value: object, left: Iterator[int]) -> object:
    """The same with tensors in the place of their records. `left` has a number for each value that may still come."""
    if next(left, None) is None:
        raise ValueError("containers that unfold without end")
    if isinstance(value, dict):
        return {key: _with_tensors(inner, left) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with_tensors(inner, left) for inner in value)
    if not isinstance(value, Record):
        return value
    tensor = build_tensor(value)
    if tensor is None:
        raise ValueError(f"it holds an object of {value.name}")
    return tensor


def is_module(record: object) -> TypeGuard[Record]:
    """Whether a value read from a file is an `nn.Module` of whatever class."""
    return (
        isinstance(record, Record)
        and isinstance(record.state, dict)
        and {"_modules", "_parameters"} <= record.state.keys()
    )


def module_state(module: Record) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a whole module, under the names that the module itself would give them.

    Args:
        module: for which `is_module` holds.

    Raises:
        ValueError: the modules unfold without end, or hold impossible tensors.
    """
    state: dict[str, Tensor] = {}
    unfolded = 0
    for prefix, attributes in _walk_modules(module):
        parameters, buffers = attributes["_parameters"], attributes.get("_buffers", {})
        listed = _items_of_set(attributes.get("_non_persistent_buffers_set"))
        unfolded += 1 + sum(map(len, (attributes["_modules"], parameters, buffers, listed)))
        if unfolded > MAX_NAMES or len(prefix) > MAX_NAME:
            raise ValueError("modules that unfold without end")
        transient = {name for name in listed if isinstance(name, str)}
        persistent = {name: value for name, value in buffers.items() if name not in transient}
        for name, value in {**parameters, **persistent}.items():
            tensor = build_tensor(value)
            if tensor is not None:
                state[f"{prefix}{name}"] = tensor
    return state


def _walk_modules(module: Record, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Prefix and attributes of a module and of all within it, in the order of `nn.Module.state_dict`."""
    if depth > MAX_DEPTH:
        raise ValueError("modules nested without end")
    attributes = cast(dict[str, Any], module.state)
    yield prefix, attributes
    for name, part in attributes["_modules"].items():
        if is_module(part):
            yield from _walk_modules(part, f"{prefix}{name}.", depth + 1)


def _items_of_set(value: object) -> list[object]:
    """Old protocols make a set by a call with a list of its items."""
    if isinstance(value, Record) and value.args:
        value = value.args[0]
    return value if isinstance(value, list) else []
