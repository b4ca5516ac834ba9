"""Runtimes beside PyTorch, which is the reference: they must give what it gives."""

import json
import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from helpers import SMALL, noise, randomise
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.errors import RestorekitError, UsageError, WeightsError
from restorekit.imaging.dtypes import to_unit
from restorekit.inference import export
from restorekit.inference.backends import NotFinite, choice, finished
from restorekit.inference.backends import torch as by_torch
from restorekit.inference.backends.graph import GraphBackend
from restorekit.inference.backends.openvino import the_core
from restorekit.inference.backends.torch import TorchBackend, prepared
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Provider, Runtime, Settings
from restorekit.models import registry
from restorekit.models.model import Model, Provenance
from restorekit.pipeline.files import restore_folder
from restorekit.weights.graph import Graph
from restorekit.weights.load import load_model
from restorekit.weights.network import load_network

RUNTIMES: dict[Runtime, str] = {"onnx": "onnxruntime", "openvino": "openvino"}
GRAPH = Graph(b"", registry.spec_of("gggan-lite"), Provenance("net.onnx", "abc"))


def small(name: str) -> Model:
    torch.manual_seed(0)
    options = SMALL.get(name, {"channels": 4, "prenet_widths": (4, 4)})
    return Model(randomise(registry.build(name, **options)), registry.configure(name, **options)[1])


class ByTorch(GraphBackend):
    """A graph that PyTorch runs; it refuses what does not lie on the grid."""

    def __init__(self, model: Model) -> None:
        super().__init__(Graph(b"", model.spec, model.provenance))
        self.model = model

    def run(self, batch: np.ndarray, dtype: np.dtype) -> np.ndarray:
        assert all(side % self.graph.spec.size_multiple == 0 for side in batch.shape[1:3])
        with torch.inference_mode():
            restored = self.model(torch.from_numpy(to_unit(batch)).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return finished(restored.numpy(), dtype)


def of_numbers(factor: float) -> Graph:
    """A graph that multiplies and clips."""
    onnx = pytest.importorskip("onnx")
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["n", 3, "h", "w"]) for name in ("input", "output")]
    numbers = {"factor": factor, "low": 0.0, "high": 1.0}
    nodes = [
        onnx.helper.make_node("Mul", ["input", "factor"], ["product"]),
        onnx.helper.make_node("Clip", ["product", "low", "high"], ["output"]),
    ]
    constants = [onnx.helper.make_tensor(name, 1, [], [value]) for name, value in numbers.items()]
    graph = onnx.helper.make_graph(nodes, "numbers", ends[:1], ends[1:], constants)
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", export.OPSET)], ir_version=8)
    return Graph(proto.SerializeToString(), replace(GRAPH.spec, size_multiple=1), Provenance("net.onnx", "abc"))


def of_torch(model: Model) -> TorchBackend:
    device = torch.device("cpu")
    return TorchBackend(prepared(model.module, device), device, torch.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(32, 48), (33, 41), (5, 3), (1, 1)])
def test_tiles_off_the_grid_are_continued_as_the_network_continues_them(size: tuple[int, int], dtype: type) -> None:
    model = small("gggan-lite")
    tiles = noise(2, *size, 3).numpy()
    tiles = tiles if dtype is np.float32 else (tiles * np.iinfo(dtype).max).astype(dtype)
    restored = ByTorch(model)(tiles, None, ())
    np.testing.assert_allclose(restored, of_torch(model)(tiles, None, ()), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("provider", "openvino", "runtime"),
    [("cpu", "2026.4", "openvino"), ("cpu", "", "onnx"), ("cuda", "2026.4", "onnx")],
)
@pytest.mark.parametrize("backend", [None, "auto"])
def test_a_graph_runs_by_openvino_if_it_is_here_and_need_not_use_a_provider(
    backend: Literal["auto"] | None,
    provider: Provider,
    openvino: str,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "_version", {"openvino": openvino, "onnx": "1.30"}.__getitem__)
    monkeypatch.setattr(choice, "_open", lambda graph, runtime, settings: ByTorch(small("gggan-lite")))
    assert choice.open_backend(GRAPH, Settings(backend=backend, provider=provider)).runtime == runtime


@pytest.mark.parametrize(
    ("network", "settings", "word"),
    [
        (GRAPH, Settings(backend="torch"), "`backend` torch does not run a graph"),
        (GRAPH, Settings(backend="torch", precision="int8"), "`precision` int8 does not go with `backend` torch"),
        (GRAPH, Settings(backend="onnx", precision="int8"), "computes in fp32, not in int8"),
        (GRAPH, Settings(backend="onnx", precision="bf16"), "ONNX Runtime does not compute in bf16"),
        (GRAPH, Settings(backend="openvino", precision="fp16"), "computes in fp32, not in fp16"),
        (
            replace(GRAPH, precision="int8"),
            Settings(backend="openvino", precision="bf16"),
            "computes in int8, not in bf16",
        ),
        (replace(GRAPH, precision="int8"), Settings(backend="openvino"), "computes in int8, not in auto"),
        (small("gggan-lite"), Settings(precision="int8"), "do not compute in int8"),
        (small("gggan-lite"), Settings(backend="onnx", precision="fp16"), "Only PyTorch computes in fp16"),
        (small("gggan-lite"), Settings(backend="onnx", device="cuda"), "Only PyTorch uses the device cuda"),
        (small("gggan-lite"), Settings(provider="cuda"), "belongs to ONNX Runtime"),
    ],
)
def test_settings_that_do_not_suit_the_back_end_are_refused(
    network: Model | Graph, settings: Settings, word: str
) -> None:
    with pytest.raises(UsageError, match=word):
        Engine(network, settings)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_that_is_not_installed_is_named_with_its_extra(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, RUNTIMES[runtime], None)
    with pytest.raises(UsageError, match=rf"restorekit\[{runtime}\]"):
        Engine(GRAPH, Settings(backend=runtime))


@pytest.mark.parametrize("backend", ["onnx", "openvino", "auto"])
def test_a_system_that_cannot_become_a_graph_stays_with_torch_and_says_so(backend: Any, photo: np.ndarray) -> None:
    engine = Engine(small("deblurgan"), Settings(backend=backend))
    assert engine.runtime == "torch"
    assert "statistics of the whole image" in engine.note
    assert np.array_equal(engine(photo).pixels, Engine(small("deblurgan"))(photo).pixels)


class Clock:
    """Seconds that pass where a back end says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Runtimes that take 3, 2 and 1 s, the last of which gives something else; what is counted and may be changed."""
    clock, told = Clock(), {"seconds": {"torch": 3.0, "onnx": 2.0, "openvino": 1.0}, "wrong": "openvino", "count": 0}

    def after(seconds: float) -> Any:
        def run(*_: object) -> None:
            clock.now += seconds

        return run

    def opened(graph: Graph, runtime: str, settings: Settings) -> Any:
        run = after(told["seconds"][runtime])
        run.runtime = runtime
        return run

    def check(backend: Any, model: Model, allowed: float) -> float:
        told["allowed"] = allowed
        if backend.runtime == told["wrong"]:
            raise RestorekitError("It differs.")
        return 0.0

    def to_graph(model: Model) -> Graph:
        told["count"] += 1
        return GRAPH

    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(choice, "time", clock)
    monkeypatch.setattr(by_torch, "TorchBackend", lambda *_: after(told["seconds"]["torch"]))
    monkeypatch.setattr(by_torch, "prepared", lambda *_: None)
    monkeypatch.setattr(choice, "_open", opened)
    monkeypatch.setattr(export, "check", check)
    monkeypatch.setattr(export, "to_graph", to_graph)
    return told


def test_auto_takes_the_fastest_that_gives_what_torch_gives(measured: dict[str, Any]) -> None:
    taken = choice.choose(small("gggan-lite"), Settings(backend="auto"))
    assert taken.runtime == "onnx"
    assert taken.seconds == pytest.approx({"torch": 3.0, "onnx": 2.0})
    measured["seconds"]["torch"] = 0.5
    assert choice.choose(small("compact"), Settings(backend="auto")).runtime == "torch"


def test_a_choice_is_remembered_for_these_weights_versions_and_threads(
    measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = small("gggan-lite")
    first = choice.choose(model, Settings(backend="auto"))
    assert choice.choose(model, Settings(backend="auto")) == first
    assert measured["count"] == 1
    assert list(choice.remembered("gggan-lite")) == [first]
    assert list(choice.remembered("gggan")) == []
    choice.choose(replace(model, provenance=Provenance("none", "def")), Settings(backend="auto"))
    assert measured["count"] == 2
    monkeypatch.setattr(choice, "_version", lambda runtime: "99")
    choice.choose(model, Settings(backend="auto"))
    assert measured["count"] == 3
    for path in (tmp_path / "backends").iterdir():
        path.write_text('{"model": "gggan-lite"}')
    assert list(choice.remembered("gggan-lite")) == []
    choice.choose(model, Settings(backend="auto"))
    assert measured["count"] == 4


def test_a_choice_for_bf16_is_another_one_of_which_less_is_asked(measured: dict[str, Any]) -> None:
    model = small("gggan-lite")
    first = choice.choose(model, Settings(backend="auto"))
    assert (first.precision, measured["allowed"]) == ("fp32", 1e-4)
    measured["seconds"]["torch"] = 0.5
    second = choice.choose(model, Settings(backend="auto", precision="bf16"))
    assert (second.precision, second.runtime, measured["allowed"]) == ("bf16", "torch", 0.05)
    assert choice.choose(model, Settings(backend="auto", precision="fp32")) == first


def test_models_show_tells_what_was_measured(measured: dict[str, Any]) -> None:
    choice.choose(small("gggan-lite"), Settings(backend="auto"))
    shown = CliRunner().invoke(app, ["models", "show", "gggan-lite"], catch_exceptions=False).output
    assert "none in fp32: onnx is taken (torch 3000 ms, onnx 2000 ms for 256x256 px)" in " ".join(shown.split())


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Every runtime that is installed."""
    pytest.importorskip("onnx")
    pytest.importorskip(RUNTIMES[request.param])
    name: Runtime = request.param
    return name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gggan-lite", "compact"])
def test_tiles_give_what_torch_gives(name: str, runtime: Runtime, photo: np.ndarray) -> None:
    model = small(name)
    engine = Engine(model, Settings(backend=runtime, tile=64, overlap=16))
    assert (engine.runtime, engine.place, engine.precision) == (runtime, "cpu", "fp32")
    expected = Engine(model, Settings(tile=64, overlap=16))
    for image in (photo[:101, :83], photo[:40, :50].astype(np.uint16) * 257, photo[:40, :50] / np.float32(255)):
        ours, theirs = engine(image), expected(image)
        assert ours.info == theirs.info
        assert ours.pixels.dtype == image.dtype
        largest = np.abs(ours.pixels.astype(np.float64) - theirs.pixels).max()
        assert largest <= (1e-5 if image.dtype == np.float32 else 1)
    assert np.array_equal(pickle.loads(pickle.dumps(engine))(photo).pixels, engine(photo).pixels)
    assert engine.identity() != expected.identity()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_go_through_a_graph_that_changes_nothing_unchanged(runtime: Runtime, dtype: type) -> None:
    engine = Engine(of_numbers(factor=1), Settings(backend=runtime))
    pixels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    image = np.resize(pixels, (pixels.size // 16, 16, 3))
    assert np.array_equal(engine(image).pixels, image)
    floats = np.array([-1, -0.45, 0.45, 0.55, 17.45, 17.55, 254.55, 300], np.float32).reshape(1, 1, -1, 1) / 255
    rounded = engine.backend(floats.repeat(3, axis=3), None, (), np.uint8)[0, 0, :, 0]
    assert rounded.tolist() == [0, 0, 0, 1, 17, 18, 255, 255]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_what_is_no_number_is_an_error(runtime: Runtime, factor: float, dtype: type, photo: np.ndarray) -> None:
    engine = Engine(of_numbers(factor), Settings(backend=runtime))
    black = np.zeros_like(photo)  # times infinity is no number either
    with pytest.raises(NotFinite):
        engine((black / 255).astype(dtype))


@pytest.mark.slow
def test_openvino_computes_in_bf16_where_the_processor_does(photo: np.ndarray) -> None:
    pytest.importorskip("openvino")
    if "BF16" not in the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    model = load_model("compact")
    engine, expected = (Engine(model, Settings(backend="openvino", precision=name)) for name in ("bf16", "fp32"))
    difference = np.abs(engine(photo / np.float32(255)).pixels - expected(photo / np.float32(255)).pixels)
    assert 1e-4 < difference.max() < 0.05
    assert (engine.precision, expected.precision) == ("bf16", "fp32")
    assert engine.identity() != expected.identity()
    assert pickle.loads(pickle.dumps(engine.backend)).precision == "bf16"


@pytest.mark.parametrize(("abilities", "precision"), [(["FP32", "INT8"], "int8"), (["BF16", "INT8"], "int8+bf16")])
def test_float_layers_of_an_int8_graph_are_in_bf16_where_the_processor_computes_in_it(
    abilities: list[str], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = SimpleNamespace(get_property=lambda device, name: abilities)
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=lambda: core))
    assert (
        Engine(replace(GRAPH, precision="int8"), Settings(backend="openvino", precision="int8")).precision == precision
    )
    if "BF16" in abilities:
        assert Engine(GRAPH, Settings(backend="openvino", precision="bf16")).precision == "bf16"
    else:
        with pytest.raises(UsageError, match="does not compute in bf16 on this processor"):
            Engine(GRAPH, Settings(backend="openvino", precision="bf16"))


@pytest.mark.slow
def test_a_graph_that_gives_something_else_is_not_used(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    other = small("gggan-lite")
    next(other.module.parameters()).data[0] *= 1.1
    graph = export.to_graph(other)
    monkeypatch.setattr(export, "to_graph", lambda model: graph)
    with pytest.raises(RestorekitError, match="differs from PyTorch"):
        Engine(small("gggan-lite"), Settings(backend=runtime))


@pytest.mark.slow
def test_a_folder_is_restored_by_an_exported_file(
    runtime: Runtime, folder: Path, weights_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    graph, report = tmp_path / "net.onnx", tmp_path / "report.jsonl"
    export.export(graph, model="gggan-lite", weights=weights_file)
    asked = ["deblur", folder, "-o", tmp_path / "out", "--weights", graph, "--backend", runtime, "--report", report]
    ran = CliRunner().invoke(app, [*map(str, asked)], catch_exceptions=False)
    assert ran.exit_code == 0
    assert f"on cpu, fp32, {runtime}" in ran.output
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["status"], line["backend"], line["precision"]) for line in lines] == [("done", runtime, "fp32")] * 3
    with_torch = restore_folder([folder], tmp_path / "out", weights=weights_file)
    assert with_torch.count("done") == 3  # another arithmetic made what is there
    with pytest.raises(WeightsError, match="graph of 'gggan-lite'"):
        load_network("gggan", graph)
    with pytest.raises(UsageError, match="options are fixed"):
        load_network("gggan-lite", graph, config={"channels": 8})


@pytest.mark.slow
def test_a_provider_that_is_not_there_is_named_with_those_that_are() -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    missing = "coreml" if "CoreMLExecutionProvider" not in onnxruntime.get_available_providers() else "directml"
    with pytest.raises(UsageError, match=f"no provider {missing}") as raised:
        Engine(small("compact"), Settings(backend="onnx", provider=missing))
    assert "cpu" in raised.value.hint


@pytest.mark.slow
def test_openvino_gives_a_shape_that_comes_again_a_network_of_its_own_with_the_same_result() -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    engine = Engine(small("gggan-lite"), Settings(backend="openvino"))
    first, second = (noise(1, side, 48, 3).numpy() for side in (32, 64))
    expected = [engine.backend(tile, None, ()) for tile in (first, second)]
    for _ in range(2):
        for tile, result in zip((first, second), expected, strict=True):
            np.testing.assert_allclose(engine.backend(tile, None, ()), result, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals of child processes")
def test_signals_are_handled_when_back_ends_have_come_and_gone(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "net.onnx").write_bytes(of_numbers(factor=1).content)
    script = """
        import gc, signal, sys
        from pathlib import Path
        from restorekit.inference.backends.openvino import OpenVinoBackend
        from restorekit.models import registry
        from restorekit.models.model import Provenance
        from restorekit.weights.graph import Graph

        graph = Graph(Path(sys.argv[1]).read_bytes(), registry.spec_of("gggan-lite"), Provenance("net.onnx", "abc"))
        first, second = OpenVinoBackend(graph), OpenVinoBackend(graph)
        del first
        gc.collect()
        del second
        gc.collect()
        heard = []
        signal.signal(signal.SIGCHLD, lambda number, frame: heard.append(number))
        signal.raise_signal(signal.SIGCHLD)
        assert heard
    """
    asked = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "net.onnx")]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
