"""Networks in int8: what they lose is measured on images that did not calibrate them."""

from pathlib import Path

import numpy as np
import pytest

from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import UsageError
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import psnr
from restorekit.training.quantization import degradation_of, quantize
from restorekit.training.recipe import Recipe
from restorekit.weights import state_dict
from restorekit.weights.graph import Graph
from restorekit.weights.load import load_model
from restorekit.weights.loss import Loss
from restorekit.weights.network import load_network

INT8 = Settings(backend="openvino", precision="int8")


def pieces(photo: np.ndarray) -> list[np.ndarray]:
    """Four sharp images that differ."""
    return [np.ascontiguousarray(np.roll(photo[:96, :128], 29 * number, axis=1)) for number in range(4)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("sharp")
    for number, sharp in enumerate(pieces(photo)):
        write_image(Image(sharp), folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loss, Path]:
    for package in ("onnx", "onnxruntime", "openvino", "nncf"):
        pytest.importorskip(package)
    out = tmp_path_factory.mktemp("int8") / "espcn.onnx"
    return quantize(out, data=data, model="espcn", scale=4, budget_db=50), out


@pytest.mark.slow
def test_the_loss_is_that_of_the_images_which_did_not_calibrate(made: tuple[Loss, Path], photo: np.ndarray) -> None:
    loss, out = made
    network = load_network("espcn", out)
    assert isinstance(network, Graph)
    assert network.precision == "int8"
    assert network.loss == loss
    assert (loss.images, loss.float_layers, loss.layers) == (2, 0, 3)
    before, after = Engine(load_model("espcn", scale=4)), Engine(network, INT8)
    lost = []
    for sharp in pieces(photo)[::2]:  # of four, every second one measures
        small = Recipe.of_paper("espcn").degradation().degrade_image(sharp, np.random.default_rng(0))
        lost.append(psnr(before(small).pixels, sharp) - psnr(after(small).pixels, sharp))
    assert loss.psnr == pytest.approx(np.mean(lost), abs=0.01)
    assert 0 < loss.psnr < 3


@pytest.mark.slow
def test_no_signed_value_has_a_zero_point_with_which_openvino_computes_in_float32(made: tuple[Loss, Path]) -> None:
    import onnx

    graph = onnx.load(made[1]).graph
    numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantizers) >= 3  # what each convolution is fed
    assert not any(numbers[node.input[2]].any() for node in quantizers)


@pytest.mark.slow
def test_tiles_in_int8_are_the_whole_image(made: tuple[Loss, Path], photo: np.ndarray) -> None:
    network = load_network("espcn", made[1])
    whole = Engine(network, INT8)(photo).pixels.astype(int)
    tiled = Engine(network, Settings(backend="openvino", precision="int8", tile=48))(photo).pixels
    assert np.abs(whole - tiled).max() <= 1  # scales are fixed; only roundings of float32 parts differ


@pytest.mark.slow
def test_layers_stay_in_float_until_the_budget_is_kept(made: tuple[Loss, Path], data: Path, tmp_path: Path) -> None:
    budget = made[0].psnr / 2
    loss = quantize(tmp_path / "net.onnx", data=data, model="espcn", scale=4, budget_db=budget)
    assert loss.psnr <= budget
    assert 0 < loss.float_layers <= 3


@pytest.mark.slow
@pytest.mark.usefixtures("made")  # which skips where a package is missing
def test_a_dark_image_among_those_that_calibrate_does_not_cut_off_what_is_bright(
    photo: np.ndarray, tmp_path: Path
) -> None:
    for number, sharp in enumerate(pieces(photo)):  # the second and the fourth calibrate
        write_image(Image(sharp if number < 3 else sharp // 8), tmp_path / f"{number}.png")
    loss = quantize(tmp_path / "net.onnx", data=tmp_path, model="espcn", scale=4, budget_db=50)
    assert loss.psnr < 0.5


def test_images_are_degraded_as_the_weights_learned(tmp_path: Path, weights_file: Path) -> None:
    told = RandomBlur(length=(3, 4), angle=(10, 20))
    path = tmp_path / "trained.safetensors"
    header = {"model": "gggan-lite", "recipe": Recipe("gggan-lite", blur=told).to_json()}
    state_dict.save(load_model("gggan-lite", weights_file).module.state_dict(), path, header)
    assert degradation_of(load_model("gggan-lite", path)) == told
    assert degradation_of(load_model("gggan-lite", weights_file)) == Recipe.of_paper("gggan-lite").blur  # it tells none
    gggan = degradation_of(load_model("gggan", "endoscopy"))
    assert isinstance(gggan, RandomBlur)
    assert gggan.length == (13, 21)  # the paper's 50 to 80 px leave these weights nothing to lose
    assert degradation_of(load_model("espcn", "x3")).scale == 3


def test_a_graph_does_not_replace_the_weights_that_it_is_made_of(
    data: Path, tmp_path: Path, weights_file: Path
) -> None:
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(weights_file.read_bytes())
    with pytest.raises(UsageError, match="graph would replace the weights"):
        quantize(weights, data=data, model="gggan-lite", weights=weights, budget_db=50)
    assert weights.read_bytes() == weights_file.read_bytes()


def test_without_nncf_the_extra_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nncf", None)
    with pytest.raises(UsageError, match=r"restorekit\[int8\]"):
        quantize(tmp_path / "net.onnx", data=data, model="espcn")


def test_a_loss_in_words() -> None:
    assert str(Loss(0.0512, 0.00123, 12, 2, 31)) == (
        "loses 0.051 dB and 0.0012 SSIM on 12 images; 2 of 31 convolutions stay in float32"
    )
