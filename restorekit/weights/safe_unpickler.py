"""Read PyTorch files of any content without importing or calling anything that the pickle inside names.

A pickle is a program: it names functions and has them called. Here every name stands for a class that records what it is
given and does nothing else. Tensors are built afterwards, from numbers that were checked. So a file that holds a whole
module, optimiser states or an attack can be read, and what is no tensor stays a record.

Layouts: the zip archive of PyTorch 1.6 and later (`data.pkl` and one entry per storage), and the chain of pickles of older
versions (magic number, protocol, machine, object, list of storages, then the storages' bytes).
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeGuard, cast

import torch
from torch import Tensor

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
MAX_MODULES = 100_000
"""Modules that share parts can unfold to more names than memory holds; the largest known network has about 3000."""
MAX_DEPTH = 100
"""A crafted module can contain itself; known networks nest about ten deep."""


class Record:
    """Stands for an object of whatever class the pickle names; keeps the arguments and the state it was given.

    Everything a pickle can do to an object ends here: calling its class, setting its state, adding items.
    """

    name = ""
    """Module and name of the class as the pickle spells them."""

    def __new__(cls, *args: object, **options: object) -> "Record":
        """Record the arguments of a call."""
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    args: tuple[object, ...]
    """Of the call that made the object."""
    state: object
    """Its attributes, usually a dict; None if none were set."""

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Take an item and forget it."""

    def extend(self, items: object) -> None:
        """Take items and forget them."""

    add = append


class PlainDict(dict[Any, Any]):
    """Stands for OrderedDict; its attributes (PyTorch's `_metadata`) are left out."""

    def __setstate__(self, state: object) -> None:
        pass


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


class _Tensor(Record):
    """Stands for `torch._utils._rebuild_tensor` and its second version: storage, offset, size, stride."""

    def build(self) -> Tensor:
        """Make the tensor; tensors of one storage share its memory.

        Raises:
            ValueError: the arguments describe none, or one outside its storage.
        """
        storage, offset, size, stride, *_ = cast(tuple[Any, ...], self.args)
        if not isinstance(storage, Storage) or storage.numbers is None or len(size) != len(stride):
            raise ValueError("a tensor without a storage or a shape")
        if not all(type(number) is int and number >= 0 for number in (offset, *size, *stride)):
            raise ValueError("a tensor with an impossible shape")
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if math.prod(size) > storage.count or (math.prod(size) and last >= storage.count):
            raise ValueError("a tensor that reaches beyond its storage")
        return storage.numbers.as_strided(size, stride, offset if math.prod(size) else 0)


class _Parameter(Record):
    """Stands for `torch.nn.Parameter`: its first argument is the tensor."""


STAND_INS = {
    ("torch._utils", "_rebuild_tensor"): _Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _Parameter,
    ("torch.nn.parameter", "Parameter"): _Parameter,
}


class _Reader(pickle.Unpickler):
    """Unpickler for which every name stands for a record."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")  # Python 2 wrote names as bytes
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return PlainDict
        if (module, name) in (("builtins", "set"), ("__builtin__", "set")):
            return set
        base = STAND_INS.get((module, name), Record)
        return type(base.__name__, (base,), {"name": f"{module}.{name}"})  # a fresh class: nothing outlives the file

    def persistent_load(self, pid: Any) -> Any:
        kind, *about = pid
        if kind == "module":  # legacy files of whole modules: class, source file, source
            return about[0]
        if kind != "storage":
            raise pickle.UnpicklingError("an unknown kind of outside reference")
        kept, key, _, count, *view = about
        module, _, name = kept.name.rpartition(".")
        if module not in ("torch", "torch.cuda") or name not in DTYPES or (view and view[0] is not None):
            raise pickle.UnpicklingError("a storage of unknown type")
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage of impossible length")
        return self.storages.setdefault(str(key), Storage(DTYPES[name], count))


def read(data: bytes) -> object:
    """What a PyTorch file holds: plain containers and numbers, `Record` records, tensors for `build_tensor`.

    Args:
        data: a zip archive or a legacy file written by `torch.save`.

    Raises:
        Exception: of any kind; a crafted file can make the machinery fail anywhere. Callers turn it into a WeightsError.
    """
    return _read_zip(data) if data.startswith(b"PK\x03\x04") else _read_legacy(data)


def _read_zip(data: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(info.file_size > len(data) for info in entries.values()):
            raise ValueError("an entry larger than the file")
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise ValueError("written by a big-endian machine")
        with archive.open(entries["data.pkl"]) as pickled:
            reader = _Reader(pickled)
            content = reader.load()
        for key, storage in reader.storages.items():
            storage.fill(archive.read(entries[f"data/{key}"]))
    return content


def _read_legacy(data: bytes) -> object:
    file = io.BytesIO(data)
    if _Reader(file).load() != LEGACY_MAGIC:
        raise ValueError("not a file of PyTorch")
    _Reader(file).load()  # protocol version
    machine = _Reader(file).load()
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise ValueError("written by a big-endian machine")
    reader = _Reader(file)
    content = reader.load()
    for key in _Reader(file).load():
        storage = reader.storages[str(key)]
        (count,) = struct.unpack("<q", file.read(8))
        storage.fill(file.read(count * storage.dtype.itemsize) if count == storage.count else b"")
    return content


def build_tensor(record: object) -> Tensor | None:
    """The tensor that a value read from a file stands for; None if it stands for none.

    Raises:
        ValueError: its numbers make no sense.
    """
    if isinstance(record, _Parameter):
        record = record.args[0] if record.args else None
    return record.build() if isinstance(record, _Tensor) else None


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
    for number, (prefix, attributes) in enumerate(_walk_modules(module)):
        if number == MAX_MODULES:
            raise ValueError("modules that unfold without end")
        transient = attributes.get("_non_persistent_buffers_set") or ()
        buffers = {name: value for name, value in attributes.get("_buffers", {}).items() if name not in transient}
        for name, value in {**attributes["_parameters"], **buffers}.items():
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
