"""What an engine runs: a model, which PyTorch computes, or a graph, for which it is not even imported."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from restorekit.errors import UsageError, WeightsError
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.weights.graph import Graph, parse_graph
from restorekit.weights.manifest import is_path, load_manifest
from restorekit.weights.reading import reading

Network = Model | Graph


def is_graph(weights: str | Path | None, int8: bool = False) -> bool:
    """Whether a graph is asked for: by a file's ending, or in int8 by a tag."""
    return weights is not None and (Path(weights).suffix == ".onnx" or (int8 and not is_path(weights)))


def load_network(
    name: str,
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
    *,
    int8: bool = False,
) -> Network:
    """As `load_model`; or a graph: of an .onnx file that `restorekit export` or `quantize` wrote, or one that ships in int8.

    Args:
        name, weights, scale, config: see `load_model`.
        int8: take the graph that ships, where `weights` is no file.

    Raises:
        UnknownModel, UsageError, WeightsError: see `load_model` and `parse_graph`; or no such graph ships.
    """
    if weights is None or not is_graph(weights, int8):
        from restorekit.weights.load import load_model  # with PyTorch

        return load_model(name, weights, scale, config)
    shipped = None
    if not is_path(weights):
        tag = None if weights == "auto" else str(weights)
        shipped = load_manifest().choose_int8(registry.resolve(name), tag, scale)
    path = shipped.path if shipped else Path(weights)
    with reading(path):
        graph = parse_graph(path.read_bytes(), path)
    if shipped:
        if graph.provenance.sha256 != shipped.sha256:
            raise WeightsError("The file is not the one the manifest describes.", "Install restorekit again.", path)
        graph = replace(graph, provenance=replace(graph.provenance, weights=shipped.file))
    if graph.spec.name != registry.resolve(name):
        raise WeightsError(f"This is a graph of '{graph.spec.name}'.", f"Take the model '{graph.spec.name}'.", path)
    if scale not in (None, graph.spec.scale):
        raise WeightsError(f"This graph enlarges by {graph.spec.scale}, not by {scale}.", "Export another.", path)
    if config:
        raise UsageError("A graph's options are fixed.", "Leave out `config`, or export another.")
    return graph
