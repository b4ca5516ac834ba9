"""From a name to a network with weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from torch import nn

from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.models.model import Model, Provenance
from restorekit.models.spec import Spec
from restorekit.weights import formats, manifest, state_dict


@dataclass(frozen=True)
class Loaded:
    """A network with what identifies it in records and reports."""

    model: nn.Module
    spec: Spec
    weights: str
    """Tag or file name; "none" for an untrained network, "none needed" for a system that has nothing to learn."""
    sha256: str
    """Of the weights file; empty where there is none."""


def load(
    name: str,
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
) -> Loaded:
    """Build a network and fill it.

    Args:
        name: a system, e.g. "gggan-lite".
        weights: "auto" for the default weights that ship or else have been fetched, a tag, a file, or None for an
            untrained network.
        scale: output pixels for one input pixel, for super-resolution; None for that of the weights, or where they serve
            every scale or do not tell, the system's default.
        config: options of the system that differ from those of the weights, e.g. {"variant": "lanczos"} for bicubic.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such scale or option.
        WeightsError: no such weights, or they are damaged, belong to another network or are for another scale.
    """
    asked = dict(config) if scale is None else {**config, "scale": scale}
    if weights is None or not registry.spec_of(name).parameters:
        if weights not in (None, "auto"):
            raise WeightsError(f"{name} has no weights.", "Leave out --weights.")
        label = "none" if registry.spec_of(name).parameters else "none needed"
        return Loaded(registry.build(name, **asked), registry.configure(name, **asked)[1], label, "")
    published = 0
    if weights != "auto" and (Path(weights).suffix or Path(weights).exists()):
        path, label, wanted, hint = Path(weights), str(weights), "", ""
    else:
        entry = manifest.choose(name, None if weights == "auto" else str(weights), scale)
        path, label, wanted, hint = entry.path, entry.tag, entry.expected, entry.hint
        published = entry.scale
    digest = state_dict.sha256(path)
    if wanted and digest != wanted:
        raise WeightsError(
            f"The file is not the one the manifest describes (sha256 {digest[:12]}, wanted {wanted[:12]}).", hint, path
        )
    network, spec = _filled(name, path, scale, published, config)
    return Loaded(network, spec, label, digest)


def _filled(
    name: str, path: Path, scale: int | None, published: int, options: Mapping[str, object]
) -> tuple[nn.Module, Spec]:
    """The network that a file was made for, with its weights: our own files by their header, others by their names.

    Args:
        name: the system.
        path: the file.
        scale: what was asked for.
        published: what the manifest says of a file that does not tell its scale; 0 if nothing.
        options: of the system, that differ from those of the file.
    """
    state, about = state_dict.load(path), formats.header(path)
    config, ours = state_dict.config(path), "model" in about
    if ours and about["model"] != name:
        raise WeightsError(f"These are weights of '{about['model']}'.", f"Use --model {about['model']}.", path)
    known = None
    if not ours:
        try:
            known = registry.from_upstream(name, state)
        except (
            Exception
        ) as error:  # tensors of strange shape under known names; what they provoke depends on the system
            raise WeightsError(
                f"The tensors have names of {name}, but cannot be used ({type(error).__name__}: {error}).",
                "Is the file damaged, or of a variant that is not published?",
                path,
            ) from None
        config, state = known or (config, state)
    if published:
        config = {"scale": published} | config
    config |= options
    config = _scaled(name, config, scale, told=ours or "scale" in config, path=path)
    _, spec = registry.configure(name, **config)
    network = registry.build(name, **config)
    try:
        state_dict.fit(
            network, {key: value.float() if value.is_floating_point() else value for key, value in state.items()}, path
        )
    except WeightsError:
        owners = [] if ours or known else _owners(name, state)
        if not owners:
            raise
        raise WeightsError(
            f"This looks like weights of '{owners[0]}', not of '{name}'.", f"Use --model {' or '.join(owners)}.", path
        ) from None
    return network, spec


def _scaled(name: str, config: dict[str, object], scale: int | None, told: bool, path: Path) -> dict[str, object]:
    """The options with the scale that was asked for.

    Args:
        name: the system.
        config: what the weights say.
        scale: what was asked for, if anything was.
        told: whether `config`, or the system's default where it is silent, is the scale of the weights.
        path: the file, for the message.

    Raises:
        WeightsError: they are for another scale.
    """
    if scale is None:
        return config
    made = registry.configure(name, **config)[1]
    if told and made.scale != scale and not made.every_scale:
        raise WeightsError(
            f"These weights enlarge by {made.scale}, not by {scale}.",
            "Take other weights, or resize their results: restorekit sr --outscale.",
            path,
        )
    # Deblurring systems have no such option.
    return config if made.scale == scale else config | {"scale": scale}


def _owners(name: str, state: state_dict.State) -> list[str]:
    """Other systems that recognise the tensors."""
    found = []
    for other in registry.names():
        try:
            if other != name and registry.from_upstream(other, state):
                found.append(other)
        except Exception:  # a broken or confused system must not take the place of the message about this one
            continue
    return found


def load_model(
    name: str,
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
) -> Model:
    """Load a network: RGB (N,3,H,W) in 0..1 in, (N,3,sH,sW) out; see `load`."""
    loaded = load(name, weights, scale, config)
    return Model(loaded.model.eval(), loaded.spec, Provenance(loaded.weights, loaded.sha256, dict(config)))
