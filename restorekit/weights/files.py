"""Read and write weight files. Nothing is ever unpickled into arbitrary objects."""

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from restorekit.errors import WeightsError

State = dict[str, Tensor]


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
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
    """Read a state dict from safetensors, or from a PyTorch file without running the code a pickle may carry.

    Args:
        path: `.safetensors`, or any file that `torch.load(weights_only=True)` accepts. A dict with one entry called
            params_ema, params, state_dict, model or generator is opened.

    Raises:
        WeightsError: the file is absent, damaged, or wants to run code.
    """
    if not path.is_file():
        raise WeightsError("There is no such weights file.", "Check the path given with --weights.", path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(f"The file is damaged or no safetensors file ({error}).", "Fetch it again.", path) from None
    except pickle.UnpicklingError:
        raise WeightsError(
            "The file is damaged, or it is a pickle that wants to run code.",
            "restorekit loads tensors only; save the state dict alone, best as safetensors.",
            path,
        ) from None
    except (RuntimeError, EOFError, KeyError, OSError) as error:
        raise WeightsError(f"The file cannot be read as weights ({error}).", "Fetch it again.", path) from None
    for key in ("params_ema", "params", "state_dict", "model", "generator"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError("The file holds no state dict.", "Save `model.state_dict()`.", path)
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def config(path: Path) -> dict[str, Any]:
    """Sizes of the network that a file trained by restorekit was made for; empty for other files."""
    if path.suffix != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        about = file.metadata() or {}
    sizes = json.loads(about.get("recipe", "{}")).get("config", {})
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
