"""Open weight files of every published kind; what a file is says its content, not its name.

| kind | read by |
|---|---|
| safetensors | safetensors |
| PyTorch, zip or legacy, tensors in plain containers | `torch.load(weights_only=True)` |
| PyTorch with anything else inside (whole modules, arguments, optimisers) | `safe_unpickler`, which runs nothing |
| MATLAB 5 to 7 | `matlab`; numeric arrays only |
"""

import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as from_safetensors
from torch import Tensor

from restorekit.errors import WeightsError
from restorekit.weights import matlab, safe_unpickler

HDF5 = b"\x89HDF\r\n\x1a\n"
FETCH_AGAIN = "Fetch it again."


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a failure to read a weights file into an error that names it.

    Raises:
        WeightsError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise WeightsError("There is no such weights file.", "Check its name.", path)
    try:
        yield
    except OSError as error:
        raise WeightsError(f"The file cannot be read ({error.strerror or error}).", "", path) from None


def read_bytes(path: Path) -> bytes:
    """All bytes of a weights file, to be hashed and parsed: what is used is what was checked.

    Raises:
        WeightsError: there is no such file, or it cannot be read.
    """
    with reading(path):
        return path.read_bytes()


def parse(data: bytes, path: Path) -> object:
    """What a weights file holds: tensors by name, or containers and records in which they are nested.

    Args:
        data: a file of any kind in the table above.
        path: its name, for messages; the ending does not matter (DeblurGAN-v2's `.h5` are PyTorch files).

    Raises:
        WeightsError: the file is damaged, or of a kind that is not read.
    """
    # The name counts here, so that a damaged file is called what it should be.
    if path.suffix == ".safetensors" or _is_safetensors(data):
        try:
            return from_safetensors(data)
        except Exception as error:  # its own error, and whatever numbers of strange types provoke
            raise WeightsError(f"The file is damaged or no safetensors file ({error}).", FETCH_AGAIN, path) from None
    if data.startswith(matlab.MAGIC):
        return _parse_matlab(data, path)
    if data.startswith(HDF5):
        raise WeightsError(
            "The file is HDF5 (Keras, or MATLAB 7.3).",
            "Convert it: restorekit reads safetensors, PyTorch and MATLAB files up to version 7 (save -v7).",
            path,
        )
    return _parse_torch(data, path)


def header(data: bytes) -> dict[str, str]:
    """The texts in a safetensors file's header; empty for other files.

    restorekit writes "model" and "recipe" there, and in "trained_on" the fingerprints of the images: a file that has a model
    is its own.

    Args:
        data: a file that `parse` accepts.
    """
    if not _is_safetensors(data):
        return {}
    length = int.from_bytes(data[:8], "little")
    texts: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return texts


def _is_safetensors(data: bytes) -> bool:
    # Eight bytes of length, of which the last three are zero below a terabyte; then JSON.
    return data[8:9] == b"{" and not any(data[5:8])


def _parse_torch(data: bytes, path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # PyTorch warns of pickle protocols that it reads all the same
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (
        Exception
    ):  # objects that PyTorch declines, and anything a crafted file can provoke: the safe unpickler decides
        pass
    try:
        return safe_unpickler.read(data)
    except Exception as error:  # a crafted file can make the unpickler fail in any way; none of them runs anything
        raise WeightsError(
            f"The file cannot be read as weights ({type(error).__name__}: {str(error)[:200]}).",
            "It is damaged or of another kind. Fetch it again, best as safetensors.",
            path,
        ) from None


def _parse_matlab(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        arrays = matlab.read_arrays(data)
    except Exception as error:  # a crafted file can make this fail in any way
        raise WeightsError(f"The MATLAB file is damaged ({error}).", FETCH_AGAIN, path) from None
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
