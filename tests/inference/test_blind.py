"""Systems that find the blur, in the engine and in a run: one estimate for the whole image, told to every tile."""

import json
import re
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers import noise
from torch import Tensor
from typer.testing import CliRunner
from video_clips import make_clip

from restorekit import restore_folder
from restorekit.cli.app import app
from restorekit.deconvolution import Blur, Kernel, line_kernel, noise_level, wiener
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.errors import ExitCode, RestorekitError, UsageError
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.methods import NetworkMethod
from restorekit.evaluation.preparation import Degraded
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.report import write_report
from restorekit.evaluation.result import BenchmarkRequest
from restorekit.inference import engine as engine_module
from restorekit.inference.engine import Engine
from restorekit.inference.rows import restore_rows
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.rows import ArrayReader
from restorekit.models import registry
from restorekit.models.blind_deconvolution import BlindDeconvolution
from restorekit.models.cost import measure_cost
from restorekit.models.model import Model
from restorekit.models.spec import Spec
from restorekit.pipeline.blur_drawing import draw_kernel
from restorekit.pipeline.blur_files import parse_values, to_blur
from restorekit.pipeline.listening import RunListener
from restorekit.runtime.progress import PATIENT, Event, Listener, Work
from restorekit.runtime.threads import shared_threads

SPEC = Spec(
    name="made-up",
    task="deblur",
    summary="finds a horizontal line",
    paper="",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=300,
    half_precision=False,
    blur="any",
    estimates=True,
)
LENGTH = 3
TRUE = Kernel(psf.linear(LENGTH - 1, 0))


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""


class MadeUp(BlindDeconvolution[Config]):
    """Finds 3 px to the right where the image is not dark, and nothing where it is; remembers what it was shown."""

    def __init__(self, room: int = 1 << 30) -> None:
        super().__init__(Config())
        self.room = room
        self.shown: list[Tensor] = []
        self.told: list[Blur] = []

    def __deepcopy__(self, memo: object) -> "MadeUp":
        return self  # the engine runs a copy; here it is asked what it saw

    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        self.shown.append(rgb)
        listener.begin("level 1 of 1")
        listener.go_on()
        if rgb[0, 0].numel() > self.room:
            raise torch.OutOfMemoryError("full")
        return line_kernel(LENGTH if rgb.mean() > 0.1 else 1, 0)

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        listener.begin("step 1 of 1")
        listener.go_on()
        self.told.append(blur)
        return wiener(rgb, blur, noise)


def build(config: object) -> MadeUp:
    return MadeUp()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> str:
    """The system, found by its name."""
    module = ModuleType("made_up")
    module.spec, module.Config, module.build = SPEC, Config, build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up", module)
    known = registry._modules()
    monkeypatch.setattr(registry, "_modules", lambda: known | {"made-up": "made_up"})
    return SPEC.name


@pytest.fixture
def blurred(photo: np.ndarray) -> np.ndarray:
    return convolve(photo, TRUE.psf)


def engine(system: MadeUp, **settings: int) -> Engine:
    return Engine(Model(system, SPEC), Settings("cpu", **settings))


def test_the_whole_image_is_looked_at_once_and_every_tile_told(blurred: np.ndarray) -> None:
    system = MadeUp()
    restoration = engine(system, tile=80)(blurred)
    assert [tuple(image.shape) for image in system.shown] == [(1, 3, *blurred.shape[:2])]
    torch.testing.assert_close(system.shown[0][0].permute(1, 2, 0), torch.from_numpy(blurred) / 255)
    assert restoration.info.tiles == len(system.told) > 1
    assert all(blur is restoration.blur for blur in system.told)
    told = engine(MadeUp(), tile=80)(blurred, blur=line_kernel(LENGTH, 0))
    np.testing.assert_array_equal(restoration.pixels, told.pixels)
    assert restoration.info == told.info
    assert restoration.info.overlap == 5 * LENGTH
    assert restoration.info.blur.startswith("PSF of 3x3 px")


def test_who_is_told_does_not_look(blurred: np.ndarray) -> None:
    system, blur = MadeUp(), line_kernel(3, 0)
    assert engine(system)(blurred, blur=blur).blur is blur
    assert system.shown == []


def test_by_rows_the_pixels_are_those_of_the_whole(blurred: np.ndarray) -> None:
    system, grey = MadeUp(), blurred[..., :1]
    ear = Ear(stop_at="")
    rows = restore_rows(ArrayReader(grey), engine(system, tile=80), listener=RunListener("a", ear, ear.stop))
    parts = [rows.result.rows(top, min(top + 50, len(grey))) for top in range(0, len(grey), 50)]
    whole = engine(MadeUp(), tile=80)(np.repeat(grey, 3, axis=2))
    np.testing.assert_array_equal(np.concatenate(parts), whole.pixels)
    assert len(system.shown) == 1
    assert rows.info == whole.info
    assert isinstance(rows.passes[0].blur, Kernel)
    assert ear.told == ["a: level 1 of 1"] + ["a: step 1 of 1"] * rows.info.tiles


def test_what_was_found_is_undone_as_such_and_what_was_told_is_not(blurred: np.ndarray) -> None:
    class Doubtful(MadeUp):
        def restore_found(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
            return 1 - rgb

    doubtful = engine(Doubtful(), tile=80)
    np.testing.assert_array_equal(doubtful(blurred).pixels, 255 - blurred)
    rows = restore_rows(ArrayReader(blurred), doubtful)
    np.testing.assert_array_equal(rows.result.rows(0, len(blurred)), 255 - blurred)
    blur = line_kernel(LENGTH, 0)
    np.testing.assert_array_equal(doubtful(blurred, blur=blur).pixels, engine(MadeUp(), tile=80)(blurred).pixels)
    told = restore_rows(ArrayReader(blurred), doubtful, blur=blur)
    np.testing.assert_array_equal(told.result.rows(0, len(blurred)), doubtful(blurred, blur=blur).pixels)


def test_a_large_image_is_looked_at_reduced_and_its_blur_enlarged(
    blurred: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOKED_AT", blurred.shape[0] * blurred.shape[1] // 4)
    system = MadeUp()
    blur = engine(system).find_blur(ArrayReader(blurred))
    assert tuple(system.shown[0].shape[2:]) == (blurred.shape[0] // 2, blurred.shape[1] // 2)
    assert system.shown[0].mean() == pytest.approx(blurred.mean() / 255, abs=0.002)
    assert isinstance(blur, Kernel)
    assert blur.psf.shape == (7, 7)  # a pixel beside the middle becomes two, and there is interpolation


def test_where_a_look_does_not_fit_a_smaller_one_may(blurred: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LOOKED_AT", 16384)
    monkeypatch.setattr(engine_module, "SMALLEST_LOOK", 4096)
    system = MadeUp(room=9000)
    engine(system).find_blur(ArrayReader(blurred))
    assert [image[0, 0].numel() <= most for image, most in zip(system.shown, (16500, 8300), strict=True)] == [True] * 2
    with pytest.raises(RestorekitError, match="of the image fit into the memory of cpu"):
        engine(MadeUp(room=9)).find_blur(ArrayReader(blurred))


@pytest.mark.parametrize("size", [(40, 50), (2, 40)])
def test_what_is_not_blurred_or_smaller_than_its_blur_comes_back(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 20 if size[0] == 40 else 256, (*size, 3), np.uint8)
    np.testing.assert_array_equal(engine(MadeUp())(pixels).pixels, pixels)


def test_a_blur_that_was_told_must_fit_the_image() -> None:
    with pytest.raises(UsageError, match="3 px wide, the image 40x2"):
        engine(MadeUp())(np.zeros((2, 40, 3), np.uint8), blur=line_kernel(LENGTH, 0))


def test_called_without_an_engine_every_image_has_its_own_blur() -> None:
    system, rgb = MadeUp(), noise(2, 3, 30, 40)
    rgb[1] /= 20  # dark: not blurred
    restored = system(rgb)
    expected = wiener(rgb[:1], line_kernel(LENGTH, 0), noise_level(rgb[:1])).clamp(0, 1)
    torch.testing.assert_close(restored[:1], expected)
    assert torch.equal(restored[1:], rgb[1:])


@pytest.mark.slow
def test_what_it_costs_is_what_its_network_costs() -> None:
    class WithNetwork(MadeUp):
        def __init__(self) -> None:
            super().__init__()
            self.network = torch.nn.Conv2d(3, 5, 3, padding=1)

        def predict(self, rgb: Tensor) -> Tensor:
            return self.network(rgb)

    with torch.device("meta"):
        cost = measure_cost(WithNetwork())
    assert (cost.parameters, cost.macs_per_pixel) == (5 * 27 + 5, 5 * 27)


def test_a_run_writes_the_blur_that_it_found(registered: str, blurred: np.ndarray, tmp_path: Path) -> None:
    write_image(Image(blurred), tmp_path / "in/a.png")
    run = restore_folder([tmp_path / "in"], tmp_path / "out", model=registered, blur_out=tmp_path / "seen")
    assert run.exit_code == 0
    written = to_blur(parse_values((tmp_path / "seen/a.png.blur.tif").read_bytes()), *blurred.shape[:2])
    assert isinstance(written, Kernel)
    np.testing.assert_allclose(written.psf, line_kernel(LENGTH, 0).psf, atol=1e-6)
    assert (tmp_path / "seen/a.png.blur.png").is_file()
    again = restore_folder([tmp_path / "in"], tmp_path / "out", model=registered, blur_out=tmp_path / "seen")
    assert again.count("skipped") == 1
    restore_folder([tmp_path / "in"], tmp_path / "told", model="wiener", kernel=tmp_path / "seen/a.png.blur.tif")
    np.testing.assert_array_equal(read_rgb8(tmp_path / "told/a.png"), read_rgb8(tmp_path / "out/a.png"))


@dataclass
class Ear:
    """Hears what is done, and asks the run to stop once it hears of `stop_at`."""

    stop_at: str
    told: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def begin(self, work: Work) -> None:
        """Nothing to hear."""

    def step(self, event: Event) -> None:
        self.told.append(f"{event.name} {event.status}" if event.items else event.name)
        if event.name == self.stop_at:
            self.stop.set()

    def end(self, summary: object) -> None:
        """Nothing to hear."""


@pytest.mark.parametrize("part", ["level 1 of 1", "step 1 of 1"])
def test_a_run_tells_how_a_blur_is_found_and_undone_and_a_stop_ends_both(
    part: str, registered: str, blurred: np.ndarray, tmp_path: Path
) -> None:
    for name in "abc":
        write_image(Image(blurred), tmp_path / f"in/{name}.png")
    paths = [str(tmp_path / f"in/{name}.png") for name in "abc"]
    settings = {"model": registered, "settings": Settings("cpu")}
    with shared_threads(torch.get_num_threads()):  # one thread: one image at once
        ear = Ear(stop_at=f"{paths[1]}: {part}")
        stopped = restore_folder([tmp_path / "in"], tmp_path / "out", progress=ear, stop=ear.stop, **settings)
        assert (stopped.exit_code, stopped.count("done")) == (ExitCode.INTERRUPTED, 1)
        assert f"{paths[0]}: {part}" in ear.told
        assert f"{paths[0]} done" == ear.told[-1]
        assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == ["a.png"]
        again = restore_folder([tmp_path / "in"], tmp_path / "out", **settings)
    assert (again.exit_code, again.count("skipped"), again.count("done")) == (ExitCode.OK, 1, 2)


@pytest.mark.slow
def test_a_stop_ends_the_search_inside_an_animation_and_a_video(
    registered: str, blurred: np.ndarray, tmp_path: Path
) -> None:
    import PIL.Image

    (tmp_path / "in").mkdir()
    frames = [PIL.Image.fromarray(image) for image in (blurred, blurred // 30)]
    frames[0].save(tmp_path / "in/a.webp", save_all=True, append_images=frames[1:], lossless=True)
    make_clip(tmp_path / "in/b.mp4")
    for name in ("a.webp", "b.mp4"):
        ear = Ear(stop_at=f"{tmp_path / 'in' / name}: level 1 of 1")
        stopped = restore_folder(
            [tmp_path / "in" / name],
            tmp_path / "out",
            model=registered,
            settings=Settings("cpu"),
            progress=ear,
            stop=ear.stop,
        )
        assert (stopped.exit_code, len(stopped.results)) == (ExitCode.INTERRUPTED, 0)
        assert not (tmp_path / "out" / name).exists()


def test_of_an_animation_the_blur_of_the_first_frame_is_written(
    registered: str, blurred: np.ndarray, tmp_path: Path
) -> None:
    import PIL.Image

    (tmp_path / "in").mkdir()
    frames = [PIL.Image.fromarray(image) for image in (blurred, blurred // 30)]
    frames[0].save(tmp_path / "in/a.webp", save_all=True, append_images=frames[1:], lossless=True)
    run = restore_folder([tmp_path / "in"], tmp_path / "out", model=registered, blur_out=tmp_path / "seen")
    assert run.exit_code == 0
    assert parse_values((tmp_path / "seen/a.webp.blur.tif").read_bytes()).size > 1


def test_the_command_needs_no_kernel_for_it(registered: str, blurred: np.ndarray, tmp_path: Path) -> None:
    write_image(Image(blurred), tmp_path / "in/a.png")
    out = ["-o", str(tmp_path / "out"), "--model", registered, "--blur-out", str(tmp_path / "seen")]
    assert CliRunner().invoke(app, ["deblur", str(tmp_path / "in"), *out]).exit_code == 0
    assert (tmp_path / "seen/a.png.blur.tif").is_file()
    piped = CliRunner().invoke(app, ["deblur", "-", "-o", "-", *out[2:]])
    assert isinstance(piped.exception, UsageError)
    assert "--blur-out does not go with -" in str(piped.exception)


def test_a_comparison_does_not_tell_it_the_truth(registered: str, blurred: np.ndarray) -> None:
    method = NetworkMethod(registered, settings=Settings("cpu"))
    assert not method.needs_psf
    degraded = Degraded(blurred, blurred.shape[:2], psf=psf.linear(9, 90))
    restored = method.load().restore(Item("a", (Path("a"),)), degraded)
    np.testing.assert_array_equal(restored, engine(MadeUp())(blurred).pixels)


@pytest.mark.slow
def test_a_report_shows_the_blur_that_was_found(registered: str, blurred: np.ndarray, tmp_path: Path) -> None:
    for half in ("blur", "sharp"):
        write_image(Image(blurred), tmp_path / f"data/{half}/a.png")
    data, protocol = tmp_path / "data", load_protocol("pairs")
    request = BenchmarkRequest(protocol, data, models=(registered,), baselines=False, repeats=0)
    result = run_benchmark(request, tmp_path / "out")
    (example,) = result.examples
    found = {layer.name: layer.blur for layer in example.layers}
    assert [name for name, picture in found.items() if picture] == [registered]
    expected = draw_kernel(line_kernel(LENGTH, 0).psf)
    np.testing.assert_array_equal(read_rgb8(tmp_path / "out" / found[registered]), expected)
    text = write_report(tmp_path / "out").read_text(encoding="utf-8")
    content = re.search(r"const D = (\{.*\});", text)
    assert content is not None
    layers = json.loads(content[1])["examples"][0]["layers"]
    shown = {layer["name"]: layer["blur"][:15] for layer in layers}
    assert shown == {"input": "", registered: "data:image/webp", "sharp": ""}


def test_a_system_that_takes_one_psf_is_not_told_a_field(blurred: np.ndarray) -> None:
    from restorekit.deconvolution import Lines

    only = Engine(Model(MadeUp(), replace(SPEC, blur="kernel")), Settings("cpu"))
    zeros = np.zeros(blurred.shape[:2], np.float32)
    with pytest.raises(UsageError, match="made-up takes one PSF"):
        only(blurred, blur=Lines(zeros, zeros))
