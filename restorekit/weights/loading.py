"""From a name to a network with weights."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.models.spec import Spec
from restorekit.weights import containers, files, manifest


@dataclass(frozen=True)
class Loaded:
    """A network with what identifies it in records and reports."""

    model: nn.Module
    spec: Spec
    weights: str
    """Tag or file name; "none" for an untrained network."""
    sha256: str
    """Of the weights file; empty for an untrained network."""


def load(name: str, weights: str | Path | None = "auto") -> Loaded:
    """Build a network and fill it.

    Args:
        name: a system, e.g. "gggan-lite".
        weights: "auto" for the default weights that ship or else have been fetched, a tag, a file, or None for an
            untrained network.

    Raises:
        UnknownModel: no such system.
        WeightsError: no such weights, or they are damaged or belong to another network.
    """
    if weights is None:
        return Loaded(registry.build(name), registry.spec_of(name), "none", "")
    registry.find(name)  # a wrong name is to be called so before anything is said of weights
    if weights != "auto" and (Path(weights).suffix or Path(weights).exists()):
        path, label, wanted, cure = Path(weights), str(weights), "", ""
    else:
        entry = manifest.choose(name, None if weights == "auto" else str(weights))
        path, label, wanted, cure = entry.path, entry.tag, entry.expected, entry.cure
    digest = files.sha256(path)
    if wanted and digest != wanted:
        raise WeightsError(
            f"The file is not the one the manifest describes (sha256 {digest[:12]}, wanted {wanted[:12]}).", cure, path
        )
    network, spec = _filled(name, path)
    return Loaded(network, spec, label, digest)


def _filled(name: str, path: Path) -> tuple[nn.Module, Spec]:
    """The network that a file was made for, with its weights: our own files by their header, others by their names."""
    state, about = files.load(path), containers.header(path)
    config, ours = files.config(path), "model" in about
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
    _, spec = registry.configure(name, **config)
    network = registry.build(name, **config)
    try:
        files.fit(
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


def _owners(name: str, state: files.State) -> list[str]:
    """Other systems that recognise the tensors."""
    found = []
    for other in registry.names():
        try:
            if other != name and registry.from_upstream(other, state):
                found.append(other)
        except Exception:  # a broken or confused system must not take the place of the message about this one
            continue
    return found


def load_model(name: str, weights: str | Path | None = "auto") -> nn.Module:
    """Load a network: RGB (N,3,H,W) in 0..1 in, the same out.

    Args:
        name: a system, e.g. "gggan-lite"; `restorekit models` lists them.
        weights: "auto" for the default weights that ship or else have been fetched, a tag such as "endoscopy", a file, or
            None for an untrained network.

    Returns:
        The network in evaluation mode.

    Raises:
        UnknownModel: no such system.
        WeightsError: no such weights, or they are damaged or belong to another network.
    """
    return load(name, weights).model.eval()
