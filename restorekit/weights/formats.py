"""Open weight files of every published kind; what a file is says its content, not its name.

| kind | read by |
|---|---|
| safetensors | safetensors |
| PyTorch, zip or legacy, tensors in plain containers | `torch.load(weights_only=True)` |
| PyTorch with anything else inside (whole modules, arguments, optimisers) | `inert`, which runs nothing |
| MATLAB 5 to 7 | SciPy; numeric arrays only |
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from restorekit.errors import WeightsError
from restorekit.weights import safe_unpickler

HDF5 = b"\x89HDF\r\n\x1a\n"
MATLAB = b"MATLAB 5.0 MAT-file"
AGAIN = "Fetch it again."


def contents(path: Path) -> object:
    """What a weights file holds: tensors by name, or containers and records in which they are nested.

    Args:
        path: a file of any kind in the table above, under any name (DeblurGAN-v2's `.h5` are PyTorch files).

    Raises:
        WeightsError: the file is absent, damaged, or of a kind that is not read.
    """
    if not path.is_file():
        raise WeightsError("There is no such weights file.", "Check the path given with --weights.", path)
    head = _head(path)
    if _is_safetensors(path, head):
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"The file is damaged or no safetensors file ({error}).", AGAIN, path) from None
    if head.startswith(MATLAB):
        return _matlab(path)
    if head.startswith(HDF5):
        raise WeightsError(
            "The file is HDF5 (Keras, or MATLAB 7.3).",
            "Convert it: restorekit reads safetensors, PyTorch and MATLAB files up to version 7 (save -v7).",
            path,
        )
    return _torch(path)


def header(path: Path) -> dict[str, str]:
    """The texts in a safetensors file's header; empty for other files.

    restorekit writes "model" and "recipe" there: a file that has them is its own.
    """
    if not _is_safetensors(path, _head(path)):
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)


def _is_safetensors(path: Path, head: bytes) -> bool:
    # Eight bytes of length, then JSON. The name counts too, so that a damaged file is called by its name.
    return path.suffix == ".safetensors" or (head[8:9] == b"{" and not any(head[5:8]))


def _torch(path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # PyTorch warns of pickle protocols that it reads all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ):  # objects that PyTorch declines, and anything a crafted file can provoke: the inert reader decides
        pass
    try:
        return safe_unpickler.read(path)
    except Exception as error:  # a crafted file can make the unpickler fail in any way; none of them runs anything
        raise WeightsError(
            f"The file cannot be read as weights ({type(error).__name__}: {str(error)[:200]}).",
            "It is damaged or of another kind. Fetch it again, best as safetensors.",
            path,
        ) from None


def _matlab(path: Path) -> dict[str, Tensor]:
    from scipy.io import loadmat  # 0.1 s to import, for one published system

    try:
        found = loadmat(path)
    except Exception as error:  # SciPy raises whatever it stumbles over
        raise WeightsError(f"The MATLAB file is damaged ({error}).", AGAIN, path) from None
    arrays = {
        name: value for name, value in found.items() if isinstance(value, np.ndarray) and value.dtype.kind in "fiu"
    }
    return {
        name: torch.from_numpy(np.ascontiguousarray(value, value.dtype.newbyteorder("=")))
        for name, value in arrays.items()
    }
