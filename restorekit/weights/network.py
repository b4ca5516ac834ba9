"""What an engine runs: a model, which PyTorch computes, or a graph, for which it is not even imported."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from restorekit.errors import UsageError, WeightsError
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.weights.graph import Graph, parse_graph
from restorekit.weights.reading import reading

Network = Model | Graph


def is_graph(weights: str | Path | None) -> bool:
    """Whether `weights` name an exported graph, by the file's ending."""
    return weights is not None and Path(weights).suffix == ".onnx"


def load_network(
    name: str,
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
) -> Network:
    """As `load_model`; or a graph that `restorekit export` has written, where `weights` is an .onnx file.

    Raises:
        UnknownModel, UsageError, WeightsError: see `load_model` and `parse_graph`.
    """
    if weights is None or not is_graph(weights):
        from restorekit.weights.load import load_model  # with PyTorch

        return load_model(name, weights, scale, config)
    path = Path(weights)
    with reading(path):
        graph = parse_graph(path.read_bytes(), path)
    if graph.spec.name != registry.resolve(name):
        raise WeightsError(f"This is a graph of '{graph.spec.name}'.", f"Take the model '{graph.spec.name}'.", path)
    if scale not in (None, graph.spec.scale):
        raise WeightsError(f"This graph enlarges by {graph.spec.scale}, not by {scale}.", "Export another.", path)
    if config:
        raise UsageError("A graph's options are fixed.", "Leave out `config`, or export another.")
    return graph
