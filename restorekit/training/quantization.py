"""Compute in 8-bit integers after training: a network's graph is quantized, and what that costs is measured."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.degradation import Degradation, Rgb8
from restorekit.errors import RestorekitError, UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.inference.backends.choice import open_graph
from restorekit.inference.export import to_graph
from restorekit.metrics import psnr, ssim
from restorekit.models.model import Model
from restorekit.runtime.atomic import write_atomically
from restorekit.training.recipe import Recipe
from restorekit.training.samples import find_training_pairs, hold_out
from restorekit.training.validation import ValidationSet
from restorekit.weights.graph import INPUT, Graph, import_onnx, with_metadata
from restorekit.weights.load import load_model
from restorekit.weights.loss import Loss
from restorekit.weights.manifest import check_kept

IMAGES = 40  # that calibrate, and that measure the loss, at most
RANKING = 4  # images that layers are ranked by
OUTSIDE = r"/[A-Za-z]+(_[0-9]+)?$"  # names of operations in no layer: enlargement, luma, the sum with the input


def quantize(
    out: Path,
    *,
    data: Path,
    model: str,
    weights: str | Path = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
    budget_db: float = 0.1,
) -> Loss:
    """Write a network as an ONNX graph that computes in int8, by NNCF's quantization after training.

    Scales are fixed, found on some of the images; the others measure the loss. Convolutions that cost most stay in float32
    until it is within the budget.

    Args:
        out: the file to make or replace.
        data: folder of pairs, or of sharp images, which are degraded as in training.
        model: name of a system.
        weights: see `load_model`, as the next two.
        scale: of the network.
        config: options of the system.
        budget_db: largest loss of PSNR in dB.

    Raises:
        UsageError: there are fewer than two images, a package is not installed, `out` is the file of the weights, or see
            `to_graph`.
        RestorekitError: the budget cannot be kept.
        WeightsError: see `load_model`.
        UnwritableOutput: the file cannot be written.
    """
    check_kept(weights, [out], "graph")
    nncf, onnx = _import_nncf(), import_onnx()
    network = load_model(model, weights, scale, config)
    graph = to_graph(network)
    calibration, unseen = _images(data, network)

    def validate(quantized: Any, images: Iterable[tuple[Rgb8, Rgb8]]) -> tuple[float, list[float]]:
        scores = _scores(replace(graph, content=quantized.SerializeToString(), precision="int8"), images, psnr)
        return fmean(scores), scores

    proto = _without_constants(onnx.load_from_string(graph.content))
    scales_from = nncf.Dataset([{INPUT: _batch(degraded)} for degraded, _ in calibration])
    chosen = {
        "preset": nncf.QuantizationPreset.PERFORMANCE,  # around zero: with a zero point OpenVINO computes in float32
        "ignored_scope": nncf.IgnoredScope(patterns=[OUTSIDE], validate=False),
        "subset_size": len(calibration),
    }
    # A scale for each image's extremes on average is finer; one for all of them cuts off none, which some networks need.
    kinds = nncf.quantization.range_estimator.RangeEstimatorParametersSet
    ranges = [
        nncf.AdvancedQuantizationParameters(activations_range_estimator_params=kind)
        for kind in (kinds.MEAN_MINMAX, kinds.MINMAX)
    ]
    scores = [
        validate(nncf.quantize(proto, scales_from, advanced_parameters=kind, **chosen), unseen)[0] for kind in ranges
    ]
    quantized = nncf.quantize_with_accuracy_control(
        proto,
        scales_from,
        nncf.Dataset(unseen),
        validate,
        max_drop=budget_db,
        advanced_quantization_parameters=ranges[int(np.argmax(scores))],
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(ranking_subset_size=RANKING),
        **chosen,
    )
    result = replace(graph, content=quantized.SerializeToString(), precision="int8")
    in_db, in_ssim = (
        fmean(_scores(graph, unseen, metric)) - fmean(_scores(result, unseen, metric)) for metric in (psnr, ssim)
    )
    loss = Loss(in_db, in_ssim, len(unseen), *_count_float(quantized))
    if loss.psnr > budget_db:
        raise RestorekitError(
            f"In int8 {model} {loss}, more than {budget_db:g} dB.", "Allow more, or calibrate on images like your own."
        )
    write_atomically(out, with_metadata(replace(result, loss=loss)).content)
    return loss


def _import_nncf() -> Any:
    try:
        import nncf
    except ImportError:
        raise UsageError("Networks are quantized by NNCF.", "Run `pip install restorekit[int8]`.") from None
    return nncf


def _images(data: Path, network: Model) -> tuple[Sequence[tuple[Rgb8, Rgb8]], Sequence[tuple[Rgb8, Rgb8]]]:
    """(degraded, sharp) central pieces that calibrate, and those that measure."""
    pairs = find_training_pairs(data)
    if len(pairs) < 2:
        raise UsageError("One image cannot both calibrate and measure.", "Give more.", data)
    degradation, multiple = degradation_of(network), network.spec.size_multiple
    seen, unseen = (ValidationSet(tuple(part), degradation, 0, multiple, most=IMAGES) for part in hold_out(pairs))
    return [seen[number] for number in range(len(seen))], [unseen[number] for number in range(len(unseen))]


def degradation_of(network: Model) -> Degradation:
    """What these weights learned to undo, else what the system's paper says: another blur would hardly be touched."""
    source = network.provenance
    trained = json.loads(source.recipe or "{}")
    told = {name: trained[name] for name in ("blur", "downscale") if name in trained}
    return Recipe.of_paper(network.spec.name).replacing(config=dict(source.config), **told).degradation()


def _batch(degraded: Rgb8) -> NDArray[np.float32]:
    return np.ascontiguousarray(to_unit(degraded).transpose(2, 0, 1)[None])


def _scores(graph: Graph, images: Iterable[tuple[Rgb8, Rgb8]], metric: Callable[[Rgb8, Rgb8], float]) -> list[float]:
    backend = open_graph(graph)
    return [metric(from_unit(backend(degraded[None], None, ())[0]), sharp) for degraded, sharp in images]


def _without_constants(proto: Any) -> Any:
    """The graph with nodes that are constants made tensors of the file: NNCF 3.4 cannot return to float32 past them."""
    for node in [node for node in proto.graph.node if node.op_type == "Constant"]:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        proto.graph.initializer.append(tensor)
        proto.graph.node.remove(node)
    return proto


def _count_float(proto: Any) -> tuple[int, int]:
    """Layers of a graph that are fed float32 values, and all."""
    quantized = {name for node in proto.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    convolutions = [node for node in proto.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    layers = [node for node in convolutions if not re.match(OUTSIDE, node.name)]
    return sum(node.input[0] not in quantized for node in layers), len(layers)
