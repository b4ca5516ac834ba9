"""A network as an ONNX graph, with all that is known of it in the file's metadata: what runtimes beside PyTorch run."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import pydantic

from restorekit._version import __version__
from restorekit.errors import UsageError, WeightsError
from restorekit.models.model import Provenance
from restorekit.models.spec import Spec
from restorekit.runtime import fingerprints
from restorekit.weights.loss import Loss

Arithmetic = Literal["fp32", "int8"]
INPUT, OUTPUT = "input", "output"
"""Names of the graph's tensors."""


@dataclass(frozen=True)
class Graph:
    """A network that needs no PyTorch to run, and states its facts."""

    content: bytes
    """The file. `input` is RGB (N,3,H,W) float32 in 0..1, H and W being multiples of `spec.size_multiple`; `output` is
    (N,3,sH,sW), s being `spec.scale`."""
    spec: Spec
    provenance: Provenance
    precision: Arithmetic = "fp32"
    """What its convolutions compute in."""
    loss: Loss | None = None
    """What int8 costs."""


def metadata(graph: Graph) -> dict[str, str]:
    """What the file tells of a network: every fact of its spec under the spec's own name, and where it comes from."""
    source = graph.provenance
    facts = {name: str(value) for name, value in asdict(graph.spec).items() if value is not None}
    return facts | {
        "restorekit": __version__,
        "precision": graph.precision,
        "loss": json.dumps(graph.loss and asdict(graph.loss)),
        "config": json.dumps(source.config),
        "weights": source.weights,
        "weights_sha256": source.sha256,
        "without_features": source.without_features,
        "trained_on": fingerprints.pack(source.trained_on),
    }


def with_metadata(graph: Graph) -> Graph:
    """The same network in a file that tells its facts.

    Raises:
        UsageError: the package onnx is not installed.
    """
    onnx = import_onnx()
    proto = onnx.load_from_string(graph.content)
    onnx.helper.set_model_props(proto, metadata(graph))
    return replace(graph, content=proto.SerializeToString())


def parse_graph(content: bytes, path: Path) -> Graph:
    """The network in the bytes of a file that `restorekit export` has written.

    Args:
        content: an ONNX file.
        path: where it comes from: a name for messages.

    Raises:
        UsageError: the package onnx is not installed.
        WeightsError: the file is damaged, or does not tell what it is.
    """
    onnx = import_onnx()
    try:
        told = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    except Exception as error:  # protobuf's errors are of no common class
        raise WeightsError(f"The file is no ONNX graph ({error}).", "Export it again.", path) from None
    if "restorekit" not in told:
        raise WeightsError("The graph does not tell what it is.", "Make it with `restorekit export`.", path)
    try:
        spec = pydantic.TypeAdapter(Spec).validate_python({fact.name: told.get(fact.name) for fact in fields(Spec)})
        precision = pydantic.TypeAdapter[Arithmetic](Arithmetic).validate_python(told["precision"])
        config = pydantic.TypeAdapter(dict[str, object]).validate_json(told["config"])
        loss = pydantic.TypeAdapter[Loss | None](Loss | None).validate_json(told["loss"])
        trained_on = fingerprints.unpack(told["trained_on"])
    except (KeyError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"What the graph tells of itself is damaged ({reason}).", "Export it again.", path) from None
    sha256 = hashlib.sha256(content).hexdigest()
    source = Provenance(str(path), sha256, config, told["without_features"], trained_on)
    return Graph(content, spec, source, precision, loss)


def import_onnx() -> Any:
    """The package onnx.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError("Graphs need the package onnx.", "Run `pip install restorekit[onnx]`.") from None
    return onnx
