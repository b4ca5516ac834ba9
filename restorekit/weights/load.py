"""From a name to a network with its weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from restorekit.errors import RestorekitError, WeightsError
from restorekit.models import registry
from restorekit.models.model import Model, Provenance
from restorekit.weights import formats, state_dict
from restorekit.weights.manifest import is_path, load_manifest


def load_model(
    name: str,
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
) -> Model:
    """Build a network and fill it with weights.

    Args:
        name: a system, e.g. "gggan-lite"; `restorekit models` lists them.
        weights: "auto" for the default weights that are bundled or else have been fetched, a tag such as "endoscopy", a
            file or, for networks that are published in parts, a folder, or None for an untrained network. A text with a
            slash or an ending is a path.
        scale: output pixels for one input pixel, for super-resolution; None for that of the weights or, where they serve
            every scale or do not tell, the system's default.
        config: options of the system that differ from those of the weights, e.g. {"variant": "lanczos"} for bicubic.

    Returns:
        The network in evaluation mode, on the CPU, in float32, with the facts of its configuration and where it comes from.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such scale or option.
        WeightsError: no such weights, or they are damaged, belong to another network or are for another scale.
    """
    name = registry.resolve(name)
    learns = registry.spec_of(name).parameters > 0
    if weights is None or not learns:
        if weights not in (None, "auto"):
            raise WeightsError(f"{name} has no weights.", "Leave out `weights`.")
        options = dict(config) if scale is None else {**config, "scale": scale}
        return _as_model(name, registry.build(name, **options), options, "none" if learns else "none needed")
    source = _locate(name, weights, scale)
    files = formats.read_files(source.path, source.hint)
    sha256 = hashlib.sha256(b"".join(files.values())).hexdigest()
    if source.sha256 not in (None, sha256):
        raise WeightsError(
            f"The file is not the one the manifest describes (sha256 {sha256[:12]}, expected {source.sha256:.12}).",
            source.hint,
            source.path,
        )
    state, header = state_dict.parse_files(files, source.path)
    module, options = _fill(name, state, header, source, scale, config)
    model = _as_model(name, module, options, source.label, sha256)
    trained_on, seconds = state_dict.read_training(header, source.path)
    without = header.get("without_features", "")
    return replace(
        model,
        provenance=replace(
            model.provenance,
            trained_on=trained_on,
            seconds_per_sample=seconds,
            without_features=without,
            recipe=header.get("recipe", ""),
        ),
    )


@dataclass(frozen=True)
class _Source:
    """A weights file, and what is known before it is read."""

    path: Path
    label: str
    """Tag or file name, for records."""
    sha256: str | None = None
    """Hash that the file must have; None if not known."""
    scale: int | None = None
    """What the manifest says of a file that does not tell its scale."""
    hint: str = formats.FETCH_AGAIN
    """What helps if the file is damaged."""


def _locate(name: str, weights: str | Path, scale: int | None) -> _Source:
    tag = None if weights == "auto" else str(weights)
    if tag and is_path(weights):
        return _Source(Path(weights), str(weights))
    entry = load_manifest().choose(name, tag, scale)
    return _Source(entry.path, entry.tag, entry.expected_sha256, entry.scale, entry.hint)


def _as_model(name: str, module: nn.Module, options: Mapping[str, object], weights: str, sha256: str = "") -> Model:
    chosen, spec = registry.configure(name, **options)
    return Model(module.eval(), spec, Provenance(weights, sha256, _changed(chosen)))


def _changed(config: Any) -> dict[str, object]:
    """The options of a system's `Config` that differ from their defaults."""
    default = type(config)()
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def _fill(
    name: str,
    state: state_dict.StateDict,
    header: Mapping[str, str],
    source: _Source,
    scale: int | None,
    options: Mapping[str, object],
) -> tuple[nn.Module, dict[str, object]]:
    """Build the network that a file was made for and fill it: our own files tell by their header, others by their tensors.

    Args:
        name: the system.
        state: the file's tensors.
        header: its texts; see `formats.header`.
        source: what else is known of the file.
        scale: what was asked for.
        options: of the system, that differ from those of the file.

    Returns:
        The network and all its options.
    """
    path, ours = source.path, "model" in header
    if ours and header["model"] != name:
        raise WeightsError(f"These are weights of '{header['model']}'.", f"Take the model '{header['model']}'.", path)
    upstream = None if ours else _from_upstream(name, state, path)
    config, state = upstream or (state_dict.trained_config(header, path), state)
    if source.scale is not None:
        config = {"scale": source.scale} | config
    try:
        registry.outline(name, **config)
    except RestorekitError as error:
        raise WeightsError(f"The file is of another form of {name} ({error.reason})", "", path) from None
    except Exception as error:  # values of any type and size; what they provoke depends on the system
        raise WeightsError(f"The recipe in the file's header is damaged ({type(error).__name__}).", "", path) from None
    config = _with_scale(name, {**config, **options}, scale, told=ours or "scale" in config, path=path)
    try:
        module = _build(name, config, state, path)
        state_dict.fit(module, state, path)
    except WeightsError:
        owners = [] if ours or upstream else _owners(name, state)
        if not owners:
            raise
        raise WeightsError(
            f"This looks like weights of '{owners[0]}', not of '{name}'.",
            f"Take the model {' or '.join(repr(owner) for owner in owners)}.",
            path,
        ) from None
    return module, config


def _from_upstream(
    name: str, state: state_dict.StateDict, path: Path
) -> tuple[dict[str, object], state_dict.StateDict] | None:
    try:
        return registry.from_upstream(name, state)
    except Exception as error:  # tensors of strange shape under known names; what they provoke depends on the system
        raise WeightsError(
            f"The tensors have names of {name}, but cannot be used ({type(error).__name__}: {error}).",
            "Is the file damaged, or of a variant that is not published?",
            path,
        ) from None


class _Bounded(TorchFunctionMode):
    """Ends the making of a network that has far more tensors or numbers than its file: their count is a text in the file.

    Args:
        calls: of PyTorch's functions that may be made; the systems need 2 to 11 for each tensor.
        numbers: in the results of all calls; the systems need 2 or 3 for each of theirs.
    """

    def __init__(self, calls: int, numbers: int) -> None:
        super().__init__()
        self.calls, self.numbers = calls, numbers

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls -= 1
        self.numbers -= result.numel() if isinstance(result, Tensor) else 0
        if self.calls < 0 or self.numbers < 0:
            raise ValueError("it would be much larger than the file")
        return result


def _build(name: str, config: Mapping[str, object], state: state_dict.StateDict, path: Path) -> nn.Module:
    numbers = max(sum(tensor.numel() for tensor in state.values()), registry.spec_of(name).parameters)
    try:
        with _Bounded(max(50 * len(state), 20_000), 6 * numbers):
            return registry.build(name, **config)
    except RestorekitError:
        raise
    except Exception as error:  # sizes in the header of a crafted file; what they provoke depends on the system
        raise WeightsError(
            f"No network can be built with the sizes that the file names ({type(error).__name__}: {error}).",
            "Is the file damaged?",
            path,
        ) from None


def _with_scale(name: str, config: dict[str, object], scale: int | None, told: bool, path: Path) -> dict[str, object]:
    """Add the scale that was asked for.

    Args:
        name: the system.
        config: what the weights say.
        scale: what was asked for, if anything was.
        told: whether `config`, or the system's default where it is silent, is the scale of the weights.
        path: the file, for the message.

    Raises:
        WeightsError: the weights are for another scale.
    """
    if scale is None:
        return config
    spec = registry.outline(name, **config)[1]
    if told and spec.scale != scale and not spec.every_scale:
        raise WeightsError(
            f"These weights enlarge by {spec.scale}, not by {scale}.",
            "Take other weights, or resize their results.",
            path,
        )
    # Deblurring systems have no such option.
    return config if spec.scale == scale else config | {"scale": scale}


def _owners(name: str, state: state_dict.StateDict) -> list[str]:
    """Other systems that recognise the tensors."""
    owners = []
    for other in registry.names():
        try:
            if other != name and registry.from_upstream(other, state):
                owners.append(other)
        except Exception:  # a broken or confused system must not take the place of the message about this one
            continue
    return owners
