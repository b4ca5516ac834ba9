"""Write a network as an ONNX graph."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from restorekit.errors import RestorekitError, UsageError
from restorekit.inference.backends import Backend
from restorekit.inference.backends.onnx import OnnxBackend
from restorekit.inference.backends.torch import TorchBackend, prepared
from restorekit.inference.folding import folded
from restorekit.models.model import Model
from restorekit.models.spec import Spec
from restorekit.runtime.atomic import write_atomically
from restorekit.weights.graph import INPUT, OUTPUT, Graph, import_onnx, with_metadata
from restorekit.weights.load import load_model
from restorekit.weights.manifest import check_kept

LARGEST_DIFFERENCE = 1e-4
"""Of a pixel in 0..1, between PyTorch in float32 and any other runtime of the same network."""
LARGEST_IN_BF16 = 0.05
"""The same where the other computes in bfloat16: what is more than roundings."""
OPSET = 18  # ONNX Runtime 1.14, OpenVINO 2023.0
SIDE = 64  # pixels of the smallest image that the check sees, if the network's grid is finer


def export(
    out: Path,
    *,
    model: str,
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
) -> float:
    """Write a network as an ONNX graph with all that is known of it in its metadata, checked against PyTorch.

    Args:
        out: the file to make or replace; it appears once it is checked.
        model: name of a system.
        weights: see `load_model`, as the next two.
        scale: of the network.
        config: options of the system.

    Returns:
        The largest difference of a pixel in 0..1 between ONNX Runtime and PyTorch.

    Raises:
        UsageError: see `to_graph`, ONNX Runtime is not installed, or `out` is the file of the weights.
        RestorekitError: the difference is too large.
        WeightsError: see `load_model`.
        UnwritableOutput: the file cannot be written.
    """
    check_kept(weights, [out], "graph")
    network = load_model(model, weights, scale, config)
    graph = to_graph(network)
    difference = check(OnnxBackend(graph), network)
    write_atomically(out, graph.content)
    return difference


def check_exportable(spec: Spec) -> None:
    """Check that one graph can serve every image.

    Raises:
        UsageError: it cannot.
    """
    why = ""
    if spec.blur != "none":
        why = "it finds and undoes a blur" if spec.estimates else "it must be told the blur"
    elif spec.tiling == "whole":
        why = "it normalises by statistics of the whole image"
    elif not spec.one_graph:
        why = "its operations depend on the image's size"
    if why:
        raise UsageError(f"{spec.name} cannot become a graph: {why}.", "It runs with the backend torch.")


def to_graph(model: Model) -> Graph:
    """Trace a network.

    Sizes and the number of images are free; what pads an image to the network's grid stays outside.

    Raises:
        UsageError: the system cannot be exported, or the package onnx is not installed.
    """
    spec = model.spec
    import_onnx()
    check_exportable(spec)
    network, (height, width) = folded(model.module).cpu().requires_grad_(False), _sides(spec)[0]
    traced = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # That Python's decisions are traced as they fall: `one_graph` says they do not matter.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, height, width),),
            traced,  # type: ignore[arg-type]
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={
                INPUT: {0: "batch", 2: "height", 3: "width"},
                OUTPUT: {0: "batch", 2: "scaled_height", 3: "scaled_width"},
            },
            opset_version=OPSET,
            dynamo=False,  # the other exporter needs onnxscript, and fixes more than the sizes
        )
    return with_metadata(Graph(traced.getvalue(), spec, model.provenance))


def check(backend: Backend, model: Model, allowed: float = LARGEST_DIFFERENCE) -> float:
    """Compare a back end with PyTorch in float32 on noise, at three sizes, one and two images at once.

    Returns:
        The largest difference of a pixel in 0..1.

    Raises:
        RestorekitError: it is above what is allowed, or the results differ in size.
    """
    device, random = torch.device("cpu"), np.random.default_rng(0)
    reference = TorchBackend(prepared(model.module, device), device, torch.float32)
    differences = []
    for count, (height, width) in zip((1, 2, 1), _sides(model.spec), strict=True):
        tiles = random.random((count, height, width, 3), np.float32)
        restored, expected = backend(tiles, None, ()), reference(tiles, None, ())
        differences.append(np.abs(restored - expected).max() if restored.shape == expected.shape else np.inf)
    largest = float(np.max(differences))
    if not largest <= allowed:  # nor is NaN
        raise RestorekitError(
            f"The graph of {model.spec.name} differs from PyTorch by {largest:.1e}, more than {allowed:.0e}.",
            "This is a defect: please report it.",
        )
    return largest


def _sides(spec: Spec) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Heights and widths for tracing, on the network's grid, and for checking: also off the grid, and a single cell."""
    cell = spec.size_multiple
    side = -(-SIDE // cell) * cell
    return (side, side + cell), (side + 3 * cell - 1, side + 2 * cell), (cell, cell // 2 + 1)
