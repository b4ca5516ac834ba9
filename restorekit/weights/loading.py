"""From a name to a network with weights."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.models.spec import Spec
from restorekit.weights import files, manifest


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
        weights: "auto" for the model's default weights that ship, a tag, a file, or None for an untrained network.

    Raises:
        UnknownModel: no such system.
        WeightsError: no such weights, or they are damaged or belong to another network.
    """
    spec = registry.spec_of(name)
    if weights is None:
        return Loaded(registry.build(name), spec, "none", "")
    if weights != "auto" and (Path(weights).suffix or Path(weights).exists()):
        path, label, wanted = Path(weights), str(weights), None
    else:
        entry = manifest.choose(name, None if weights == "auto" else str(weights))
        path, label, wanted = entry.path, entry.tag, entry.sha256
    state = files.load(path)
    digest = files.sha256(path)
    if wanted is not None and digest != wanted:
        raise WeightsError(
            f"The file is not the one the manifest describes (sha256 {digest[:12]}, wanted {wanted[:12]}).",
            "Install restorekit again.",
            path,
        )
    network = registry.build(name, **files.config(path))
    files.fit(network, {key: tensor.float() for key, tensor in state.items()}, path)
    return Loaded(network, spec, label, digest)


def load_model(name: str, weights: str | Path | None = "auto") -> nn.Module:
    """Load a network: RGB (N,3,H,W) in 0..1 in, the same out.

    Args:
        name: a system, e.g. "gggan-lite"; `restorekit models` lists them.
        weights: "auto" for the model's default weights that ship, a tag such as "endoscopy", a file, or None for an
            untrained network.

    Returns:
        The network in evaluation mode.

    Raises:
        UnknownModel: no such system.
        WeightsError: no such weights, or they are damaged or belong to another network.
    """
    return load(name, weights).model.eval()
