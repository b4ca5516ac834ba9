"""Networks as ONNX graphs. PyTorch is the reference: a graph must give what it gives."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SMALL, noise, randomise

from restorekit.errors import RestorekitError, UsageError, WeightsError
from restorekit.inference import export
from restorekit.inference.backends.torch import TorchBackend, prepared
from restorekit.models import registry
from restorekit.models.model import Model, Provenance
from restorekit.weights.graph import parse_graph

PLACE = Path("net.onnx")
LEARNING = [name for name in registry.names() if registry.spec_of(name).blur == "none"]
REFUSED = {"deblurgan": "statistics", "deblurgan-v2": "statistics", "svrnn": "size", "tv": "told the blur"}


def small(name: str, **options: object) -> Model:
    torch.manual_seed(0)
    options = {**SMALL.get(name, {}), **options}
    spec = registry.configure(name, **options)[1]
    provenance = Provenance("photo", "abc", {"channels": 8}, trained_on=frozenset([b"8 bytes."]))
    return Model(randomise(registry.build(name, **options)), spec, provenance)


def reference(model: Model) -> TorchBackend:
    device = torch.device("cpu")
    return TorchBackend(prepared(model.module, device), device, torch.float32)


@pytest.mark.slow
def test_plain_onnxruntime_reads_the_facts_and_restores_any_number_of_images_of_any_size() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = small("compact")
    session = onnxruntime.InferenceSession(export.to_graph(model).content, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    expected = {"name": "compact", "scale": "4", "receptive_field": "18", "size_multiple": "1", "weights": "photo"}
    assert told.items() >= expected.items()
    assert told["config"] == '{"channels": 8}'
    for shape in ((1, 3, 30, 41), (3, 3, 7, 5)):
        (restored,) = session.run(["output"], {"input": noise(*shape).numpy()})
        assert restored.shape == (shape[0], 3, shape[2] * 4, shape[3] * 4)
        assert np.abs(restored - model(noise(*shape)).detach().numpy()).max() < 1e-5


def test_a_graph_does_not_replace_the_weights_that_it_is_made_of(tmp_path: Path, weights_file: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(weights_file.read_bytes())
    with pytest.raises(UsageError, match="graph would replace the weights"):
        export.export(weights, model="gggan-lite", weights=str(weights))
    assert weights.read_bytes() == weights_file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LEARNING if name not in REFUSED and "inception" not in name])
def test_every_other_system_becomes_a_graph(name: str) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from restorekit.inference.backends.onnx import OnnxBackend

    model = small(name)
    assert export.check(OnnxBackend(export.to_graph(model)), model) < 1e-5


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_systems_that_cannot_become_a_graph_say_why(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        export.check_exportable(registry.spec_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LEARNING if registry.spec_of(name).tiling != "whole"])
@pytest.mark.filterwarnings("ignore")
def test_the_spec_tells_whether_the_same_operations_serve_every_size(name: str) -> None:
    model = small(name)

    def operations(side: int) -> Counter[str]:
        traced = torch.jit.trace(model.module, torch.zeros(1, 3, side, side), check_trace=False)
        return Counter(node.kind() for node in traced.inlined_graph.nodes() if "Constant" not in node.kind())

    with torch.no_grad():
        assert (operations(64) == operations(160)) is model.spec.one_graph


@pytest.mark.slow
def test_what_a_graph_tells_is_read_back() -> None:
    pytest.importorskip("onnx")
    model = small("espcn", scale=3)
    graph = export.to_graph(model)
    read = parse_graph(graph.content, PLACE)
    assert read.spec == model.spec
    assert read.spec.scale == 3
    assert (read.precision, read.provenance.weights, read.provenance.config) == ("fp32", "net.onnx", {"channels": 8})
    assert read.provenance.trained_on == {b"8 bytes."}
    assert read.provenance.sha256 != parse_graph(export.to_graph(small("espcn")).content, PLACE).provenance.sha256


@pytest.mark.slow
def test_a_file_that_does_not_tell_what_it_is_is_refused() -> None:
    onnx = pytest.importorskip("onnx")
    with pytest.raises(WeightsError, match="no ONNX graph"):
        parse_graph(b"\x89PNG\r\n\x1a\nsomething", PLACE)
    proto = onnx.load_from_string(export.to_graph(small("espcn")).content)
    told = {entry.key: entry.value for entry in proto.metadata_props}

    def with_facts(facts: dict[str, str]) -> bytes:
        del proto.metadata_props[:]
        onnx.helper.set_model_props(proto, facts)
        content: bytes = proto.SerializeToString()
        return content

    with pytest.raises(WeightsError, match="does not tell what it is"):
        parse_graph(with_facts({}), PLACE)
    for key, value in (("scale", "two"), ("tiling", "none"), ("precision", "fp8"), ("config", "[")):
        with pytest.raises(WeightsError, match="damaged"):
            parse_graph(with_facts(told | {key: value}), PLACE)


@pytest.mark.slow
def test_a_graph_that_gives_something_else_is_not_written(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    out = tmp_path / "net.onnx"
    assert export.export(out, model="gggan-lite", weights=weights_file) < 1e-5
    out.unlink()

    def wrong(network: torch.nn.Module) -> torch.nn.Module:
        changed = small("gggan-lite").module
        changed.load_state_dict(network.state_dict())
        next(changed.parameters()).data[0] *= 1.1
        return changed

    monkeypatch.setattr(export, "folded", wrong)
    with pytest.raises(RestorekitError, match="differs from PyTorch"):
        export.export(out, model="gggan-lite", weights=weights_file)
    assert list(tmp_path.iterdir()) == []


class Wrong(TorchBackend):
    """PyTorch with one error."""

    def __init__(self, model: Model, error: str) -> None:
        super().__init__(reference(model).network, torch.device("cpu"), torch.float32)
        self.error = error

    def __call__(self, tiles: np.ndarray, context: object, at: object) -> np.ndarray:
        if self.error == "swapped channels":
            return super().__call__(tiles[..., ::-1].copy(), None, ())[..., ::-1]
        if self.error == "swapped sides":
            return super().__call__(tiles.transpose(0, 2, 1, 3).copy(), None, ()).transpose(0, 2, 1, 3)
        if self.error == "padding":
            padded = np.pad(tiles, ((0, 0), (16, 16), (16, 16), (0, 0)))
            return super().__call__(padded, None, ())[:, 16:-16, 16:-16]
        restored = super().__call__(tiles, None, ())
        if self.error == "other image":
            return restored[::-1] if len(restored) > 1 else restored
        return restored * np.float32(np.nan) if self.error == "not finite" else restored[:, :-1]


@pytest.mark.parametrize(
    "error", ["swapped channels", "swapped sides", "padding", "other image", "not finite", "one row less"]
)
def test_a_back_end_with_an_error_does_not_pass_the_check(error: str) -> None:
    model = small("gggan-lite", channels=4, prenet_widths=(4, 4))
    assert export.check(reference(model), model) == 0
    with pytest.raises(RestorekitError, match="differs from PyTorch by"):
        export.check(Wrong(model, error), model)


def test_without_the_package_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UsageError, match=r"restorekit\[onnx\]"):
        export.to_graph(replace(small("compact")))
