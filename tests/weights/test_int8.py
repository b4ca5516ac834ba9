"""Graphs in int8 that ship beside weights: they are of these weights, and lose what weights.toml says."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.errors import ExitCode, UsageError, WeightsError
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import psnr
from restorekit.weights import network, state_dict
from restorekit.weights.graph import Graph
from restorekit.weights.load import load_model
from restorekit.weights.manifest import BundledWeights, Manifest, Quantized, load_manifest
from restorekit.weights.network import load_network

SHIPPED = [entry for entry in load_manifest().bundled if entry.int8]


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_a_graph_is_of_the_weights_beside_it_and_tells_the_loss_of_the_manifest(entry: BundledWeights) -> None:
    onnx = pytest.importorskip("onnx")
    shipped = entry.int8
    assert shipped is not None
    assert shipped.path.stat().st_size == shipped.size
    assert state_dict.sha256(shipped.path) == shipped.sha256
    told = {fact.key: fact.value for fact in onnx.load(shipped.path).metadata_props}
    assert told["weights_sha256"] == entry.sha256, "python tools/quantize_weights.py"
    assert told["precision"] == "int8"
    loss = json.loads(told["loss"])
    assert loss == pytest.approx(vars(shipped.loss), abs=1e-4)
    assert loss["psnr"] <= 0.1
    assert loss["float_layers"] < loss["layers"] / 4


def test_a_graph_is_taken_by_tag_and_by_default() -> None:
    pytest.importorskip("onnx")
    for weights in ("auto", "x4"):
        graph = load_network("compact", weights, int8=True)
        assert isinstance(graph, Graph)
        assert (graph.precision, graph.spec.name, graph.spec.scale) == ("int8", "compact", 4)
        assert graph.provenance.weights == "compact-x4-int8.onnx"
    with pytest.raises(WeightsError, match=r"espcn:x2 does not ship in int8.*"):
        load_network("espcn", "x2", int8=True)
    with pytest.raises(UsageError, match="options are fixed"):
        load_network("compact", config={"channels": 8}, int8=True)
    with pytest.raises(WeightsError, match="enlarge by 3"):
        load_network("compact", scale=3, int8=True)


def test_weights_in_a_file_are_no_graph(weights_file: Path) -> None:
    model = load_network("gggan-lite", weights_file, int8=True)
    with pytest.raises(UsageError, match="do not compute in int8"):
        Engine(model, Settings("cpu", "int8", backend="openvino"))


def test_a_file_that_is_not_the_manifests_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    (entry,) = (entry for entry in SHIPPED if entry.name == "compact:x4")
    assert isinstance(entry.int8, Quantized)
    other = entry.model_copy(update={"int8": entry.int8.model_copy(update={"sha256": "0" * 64})})
    monkeypatch.setattr(network, "load_manifest", lambda: Manifest(bundled=(other,)))
    with pytest.raises(WeightsError, match="not the one the manifest describes"):
        load_network("compact", int8=True)


def test_verify_and_show_tell_of_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = (entry for entry in SHIPPED if entry.name == "compact:x4")
    assert entry.int8
    shown = CliRunner().invoke(app, ["models", "show", "compact"]).stdout
    assert f"in int8 {entry.int8.loss}" in shown
    other = entry.model_copy(update={"int8": entry.int8.model_copy(update={"sha256": "0" * 64})})
    for known, code in ((entry, 0), (other, ExitCode.WEIGHTS)):
        monkeypatch.setattr(load_manifest.__module__ + ".load_manifest", lambda known=known: Manifest(bundled=(known,)))
        assert CliRunner().invoke(app, ["models", "verify"]).exit_code == code


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_sr_in_int8_needs_no_weights_named(backend: str, photo: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("openvino" if backend == "openvino" else "onnxruntime")
    write_image(Image(photo[:64, :64].copy()), tmp_path / "a.png")
    asked = ["sr", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--precision", "int8", "--backend", backend]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    float32 = Engine(load_model("compact"), Settings("cpu"))(photo[:64, :64].copy()).pixels
    assert 34 < psnr(read_rgb8(tmp_path / "out/a.png"), float32) < 60
