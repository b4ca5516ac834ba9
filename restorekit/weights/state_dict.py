"""Read and write state dicts. Nothing is ever unpickled into arbitrary objects."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.runtime import fingerprints
from restorekit.runtime.atomic import write_atomically
from restorekit.weights import formats, torch_file
from restorekit.weights.reading import reading
from restorekit.weights.safe_unpickler import Record

StateDict = dict[str, Tensor]
"""Tensors by name."""
WRAPPERS = ("params_ema", "params", "state_dict", "model", "generator", "G")
"""Names under which published files nest the state dict; the first that is there is opened."""


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes.

    Raises:
        WeightsError: there is no such file, or it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(state: StateDict, path: Path, header: Mapping[str, str], dtype: torch.dtype = torch.float32) -> None:
    """Write a state dict as safetensors, whole or not at all.

    Args:
        state: tensors by name.
        path: the file to make or replace.
        header: texts for the file's header.
        dtype: what floating-point tensors are stored as.

    Raises:
        UnwritableOutput: the file cannot be written.
    """
    stored = {name: (t.to(dtype) if t.is_floating_point() else t).cpu().contiguous() for name, t in state.items()}
    write_atomically(path, to_safetensors(stored, metadata=dict(header)))


def load(path: Path) -> StateDict:
    """Read a state dict from a weights file of any published kind without running the code a pickle may carry.

    Args:
        path: see `parse`.

    Raises:
        WeightsError: the file is absent, or see `parse`.
    """
    return parse(formats.read_bytes(path), path)


def parse(data: bytes, path: Path) -> StateDict:
    """Read a state dict from the bytes of a weights file.

    Args:
        data: safetensors, PyTorch (zip or legacy, also whole modules) or MATLAB. A dict or module nested under
            params_ema, params, state_dict, model, generator or G is opened; the prefix "module." is taken off the names.
        path: where the bytes come from: a name for messages.

    Raises:
        WeightsError: the file is damaged, of another kind, or holds something other than tensors of finite numbers.
    """
    content = formats.parse(data, path)
    try:
        content = _unwrap(content)
        tensors = {name: _as_tensor(value) for name, value in content.items()}
    except Exception as error:  # records of a crafted file can make this fail in any way
        raise WeightsError(f"The file is damaged or no weights ({error}).", "Fetch it again.", path) from None
    state = {}
    for name, tensor in tensors.items():
        if tensor is None or not isinstance(name, str):
            value = content[name]
            kind = value.name if isinstance(value, Record) else type(value).__name__
            raise WeightsError(
                f"The file is no state dict: '{name}' is no tensor but {kind}.",
                "restorekit reads tensors and runs no code of a file; save the state dict alone, best as safetensors.",
                path,
            )
        state[name.removeprefix("module.")] = tensor
    if not state:
        raise WeightsError("The file holds no tensors.", "Save `model.state_dict()`.", path)
    _check_numbers(state, len(data), path)
    return state


def parse_files(files: Mapping[str, bytes], path: Path) -> tuple[StateDict, dict[str, str]]:
    """Read the state dict of a network that lies in one file or in several.

    Args:
        files: see `formats.read_files`; tensors of a file with a name get it before theirs, with a dot.
        path: where they come from: a name for messages.

    Returns:
        Tensors by name, and the header of a single file.

    Raises:
        WeightsError: see `parse`.
    """
    if "" in files:
        return parse(files[""], path), formats.header(files[""])
    parsed = {part: parse(data, path / part) for part, data in files.items()}
    return {f"{part}.{name}": tensor for part, state in parsed.items() for name, tensor in state.items()}, {}


def _check_numbers(state: StateDict, file_size: int, path: Path) -> None:
    if sum(tensor.nbytes for tensor in state.values()) > formats.UNFOLDED * file_size:
        raise WeightsError("The file's tensors share so many numbers that they are no weights.", "", path)
    for name, tensor in state.items():
        if not np.isfinite(tensor.float().numpy()).all():  # PyTorch's threads take longer to begin than it takes
            raise WeightsError(
                f"'{name}' holds numbers that are not finite in float32.",
                "Did its training diverge? Take others.",
                path,
            )


def _unwrap(content: object) -> dict[Any, Any]:
    """Open wrappers and whole modules, a few deep: a crafted dict can contain itself."""
    for _ in range(len(WRAPPERS)):
        if torch_file.is_module(content):
            return torch_file.module_state(content)
        nested = [content.get(key) for key in WRAPPERS] if isinstance(content, dict) else []
        nested = [part for part in nested if isinstance(part, dict) or torch_file.is_module(part)]
        if not nested:
            break
        content = nested[0]
    if not isinstance(content, dict):
        raise ValueError("it holds no state dict")
    return content


def _as_tensor(value: object) -> Tensor | None:
    """The tensor that a value of a file is or stands for; None if it is anything else, or complex."""
    tensor = value if isinstance(value, Tensor) else torch_file.build_tensor(value)
    return None if tensor is None or tensor.is_complex() else tensor


def trained_config(header: Mapping[str, str], path: Path) -> dict[str, object]:
    """Options of the system that a file was trained for; empty for files that restorekit has not written.

    Args:
        header: see `formats.header`; the training recipe in it is spelt as in the version that wrote it.
        path: where it comes from: a name for messages.

    Raises:
        WeightsError: the recipe in the header is damaged.
    """
    try:
        config = json.loads(header.get("recipe", "{}")).get("config", {})
        return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    except (ValueError, AttributeError, RecursionError):
        raise WeightsError("The recipe in the file's header is damaged.", "Fetch it again.", path) from None


def read_training(header: Mapping[str, str], path: Path) -> tuple[frozenset[bytes], float | None]:
    """What a file tells of its training: fingerprints of the images, and seconds by crop; nothing for foreign files.

    Args:
        header: see `formats.header`.
        path: where it comes from: a name for messages.

    Raises:
        WeightsError: the header is damaged.
    """
    try:
        seconds = header.get("seconds_per_sample")
        return fingerprints.unpack(header.get("trained_on", "")), None if seconds is None else float(seconds)
    except ValueError:
        raise WeightsError(
            "What the file's header tells of its training is damaged.", "Fetch it again.", path
        ) from None


def fit(module: nn.Module, state: StateDict, path: Path) -> None:
    """Load a state dict into a network, or say exactly what does not fit.

    Args:
        module: changed in place; untouched on error.
        state: tensors of any floating-point type.
        path: where the state comes from: a name for messages.

    Raises:
        WeightsError: missing, unexpected or wrongly shaped tensors.
    """
    expected = module.state_dict()
    shapes = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & state.keys())
        if state[name].shape != expected[name].shape
    ]
    differences = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "wrong shape": shapes,
    }
    faults = [
        f"{kind}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for kind, names in differences.items()
        if names
    ]
    if faults:
        raise WeightsError(
            f"These weights do not fit the network ({'; '.join(faults)}).",
            "Were they made for another model or configuration?",
            path,
        )
    module.load_state_dict(state)
