"""Open weight files of every published kind; what a file is says its content, not its name.

| kind | read by |
|---|---|
| safetensors | safetensors |
| PyTorch, zip or legacy, whatever else is inside (whole modules, arguments, optimisers) | `torch_file`, which runs nothing |
| MATLAB 5 to 7 | `matlab`; numeric arrays only |
"""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load as from_safetensors

from restorekit.errors import WeightsError
from restorekit.weights import matlab, torch_file
from restorekit.weights.reading import reading

HDF5 = b"\x89HDF\r\n\x1a\n"
START = 128
"""Bytes that tell the kind."""
LARGEST = 1 << 32
"""Bytes; the largest known file has 250 MB."""
UNFOLDED = 16
"""How many times the size of its file the tensors may take: modules share parts."""
ENDINGS = (".pkl", ".pt", ".pth", ".safetensors")
"""Of the files that count in a folder of weights."""
MOST_FILES = 64
"""In a folder of weights; the largest published network has 24."""
FETCH_AGAIN = "Fetch it again."

Kind = Literal["safetensors", "torch", "matlab"]


def read_bytes(path: Path, hint: str = FETCH_AGAIN) -> bytes:
    """All bytes of a weights file, to be hashed and parsed: what is used is what was checked.

    Args:
        path: the file.
        hint: what helps if it is no weights file.

    Raises:
        WeightsError: there is no such file, it cannot be read, or is of no kind that is read.
    """
    with reading(path), path.open("rb") as file:
        start = file.read(START)
        _identify(start, path, hint)  # before a large file of another kind fills the memory
        if path.stat().st_size > LARGEST:
            raise WeightsError(f"The file is larger than {LARGEST >> 30} GiB, as no weights are.", hint, path)
        return start + file.read()


def read_files(path: Path, hint: str = FETCH_AGAIN) -> dict[str, bytes]:
    """All bytes of a weights file or, for networks that are published in parts, of those in a folder.

    Args:
        path: the file, or the folder; files of other endings in it are passed over.
        hint: what helps if one is no weights file.

    Returns:
        By name without ending, in order of these; a single file has no name.

    Raises:
        WeightsError: the folder holds none or too many, or see `read_bytes`.
    """
    if not path.is_dir():
        return {"": read_bytes(path, hint)}
    files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS and not file.name.startswith("."))
    if not 0 < len(files) <= MOST_FILES:
        raise WeightsError(f"The folder holds {len(files)} weight files ({', '.join(ENDINGS)}).", hint, path)
    return {file.stem: read_bytes(file, hint) for file in files}


def parse(data: bytes, path: Path) -> object:
    """What a weights file holds: tensors by name, or containers and records in which they are nested.

    Args:
        data: a file of any kind in the table above.
        path: its name, for messages; the ending does not matter (DeblurGAN-v2's `.h5` are PyTorch files).

    Raises:
        WeightsError: the file is damaged, or of a kind that is not read.
    """
    kind = _identify(data[:START], path)
    try:
        if kind == "safetensors":
            return from_safetensors(data)
        if kind == "torch":
            return torch_file.read(data)
        arrays = matlab.read_arrays(data)
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    except Exception as error:  # a crafted file can make the machinery fail in any way; none of them runs anything
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"The file is damaged, or holds no weights ({reason}).", FETCH_AGAIN, path) from None


def _identify(start: bytes, path: Path, hint: str = FETCH_AGAIN) -> Kind:
    """Tell the kind of a file from its beginning.

    Raises:
        WeightsError: it is none that is read.
    """
    if start[8:9] == b"{" and not any(start[5:8]):  # after the header's length, which is below a terabyte: JSON
        return "safetensors"
    if start.startswith((torch_file.ZIP_MAGIC, b"\x80")):  # a zip archive, or a pickle
        return "torch"
    if start.startswith(matlab.MAGIC):
        return "matlab"
    if start.startswith(HDF5):
        raise WeightsError(
            "The file is HDF5 (Keras, or MATLAB 7.3).",
            "Convert it: restorekit reads safetensors, PyTorch and MATLAB files up to version 7 (save -v7).",
            path,
        )
    raise WeightsError("The file is no weights file, or its beginning is damaged.", hint, path)


def header(data: bytes) -> dict[str, str]:
    """The texts in a safetensors file's header; empty for other files.

    restorekit writes "model" and "recipe" there, and in "trained_on" and "seconds_per_sample" what it was trained on and
    how fast: a file that has a model is its own.

    Args:
        data: a file that `parse` accepts.
    """
    if data[8:9] != b"{":
        return {}
    length = int.from_bytes(data[:8], "little")
    texts: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return texts
