"""Read and write weight files. Nothing is ever unpickled into arbitrary objects."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from restorekit.errors import WeightsError
from restorekit.weights import formats, safe_unpickler

State = dict[str, Tensor]
WRAPPERS = ("params_ema", "params", "state_dict", "model", "generator", "G")
"""Names under which published files keep the tensors; the first that is there is opened."""


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes.

    Raises:
        WeightsError: there is no such file.
    """
    if not path.is_file():
        raise WeightsError("There is no such weights file.", "Check the path given with --weights.", path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(state: State, path: Path, about: dict[str, str], dtype: torch.dtype = torch.float32) -> None:
    """Write a state dict as safetensors, whole or not at all.

    Args:
        state: tensors by name.
        path: the file to write; its folder exists.
        about: texts stored in the file's header.
        dtype: what floating-point tensors are stored as.
    """
    stored = {name: (t.to(dtype) if t.is_floating_point() else t).cpu().contiguous() for name, t in state.items()}
    beside = path.with_name(path.name + ".part")
    save_file(stored, beside, metadata=about)
    os.replace(beside, path)


def load(path: Path) -> State:
    """Read a state dict from a weights file of any published kind without running the code a pickle may carry.

    Args:
        path: safetensors, PyTorch (zip or legacy, also whole modules) or MATLAB. A dict or module nested under
            params_ema, params, state_dict, model, generator or G is opened; the prefix "module." is taken off the names.

    Raises:
        WeightsError: the file is absent, damaged, of another kind, or holds something other than tensors.
    """
    try:
        found = _opened(formats.contents(path))
        tensors = {
            name: value if isinstance(value, Tensor) else safe_unpickler.tensor(value) for name, value in found.items()
        }
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:  # records of a crafted file
        raise WeightsError(f"The file is damaged or no weights ({error}).", "Fetch it again.", path) from None
    for name, tensor in tensors.items():
        if tensor is None or not isinstance(name, str):
            kind = found[name].name if isinstance(found[name], safe_unpickler.Inert) else type(found[name]).__name__
            raise WeightsError(
                f"The file is no state dict: '{name}' is no tensor but {kind}.",
                "restorekit reads tensors and runs no code of a file; save the state dict alone, best as safetensors.",
                path,
            )
    if not tensors:
        raise WeightsError("The file holds no tensors.", "Save `model.state_dict()`.", path)
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items() if tensor is not None}


def _opened(found: object) -> dict[Any, Any]:
    """Unpack wrappers and whole modules, a few deep: a crafted dict can contain itself."""
    for _ in range(len(WRAPPERS)):
        if safe_unpickler.is_module(found):
            return safe_unpickler.state_dict(found)
        inner = [found.get(key) for key in WRAPPERS] if isinstance(found, dict) else []
        inner = [part for part in inner if isinstance(part, dict) or safe_unpickler.is_module(part)]
        if not inner:
            break
        found = inner[0]
    if not isinstance(found, dict):
        raise ValueError("it holds no state dict")
    return found


def config(path: Path) -> dict[str, Any]:
    """Sizes of the network that a file trained by restorekit was made for; empty for other files."""
    sizes = json.loads(formats.header(path).get("recipe", "{}")).get("config", {})
    return {name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()}


def fit(model: torch.nn.Module, state: State, path: Path | str) -> None:
    """Load a state dict into a network, or say exactly what does not fit.

    Args:
        model: changed in place; untouched on error.
        state: tensors of any floating-point type.
        path: where the state came from, for the message.

    Raises:
        WeightsError: missing, unexpected or wrongly shaped tensors.
    """
    wanted = model.state_dict()
    missing = sorted(wanted.keys() - state.keys())
    unexpected = sorted(state.keys() - wanted.keys())
    shapes = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & state.keys())
        if state[name].shape != wanted[name].shape
    ]
    faults = [
        f"{label}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for label, names in (("missing", missing), ("unexpected", unexpected), ("wrong shape", shapes))
        if names
    ]
    if faults:
        raise WeightsError(
            f"These weights do not fit the network ({'; '.join(faults)}).",
            "Were they made for another --model or configuration?",
            Path(path),
        )
    model.load_state_dict(state)
