"""Systems that are told the blur, in the engine: what is observed once, and what tiles see."""

import numpy as np
import pytest
from helpers import LiveMemory
from skimage import data

from restorekit.deconvolution import Blur, Kernel, Lines, Windows, noise_level
from restorekit.degradation import psf
from restorekit.degradation.convolution import convolve
from restorekit.errors import UsageError
from restorekit.inference import engine as engine_module
from restorekit.inference.context import STRIP, observe_blur
from restorekit.inference.engine import Engine
from restorekit.inference.image import restore_image
from restorekit.inference.rows import restore_rows
from restorekit.inference.settings import Settings
from restorekit.media.rows import ArrayReader
from restorekit.metrics import psnr
from restorekit.models import registry
from restorekit.weights.load import load_model

TOLD = [name for name in registry.names() if registry.spec_of(name).blur != "none"]
PSF = psf.linear(7, 30)
LARGER = psf.linear(15, 30)


CONFIG = {"whyte": {"light": "stored"}}  # else it undoes a blur of light; those here blur stored values


def engine(name: str, **settings: int) -> Engine:
    weights = None if registry.spec_of(name).estimates else "auto"  # told the blur, none needs its network
    return Engine(load_model(name, weights, config=CONFIG.get(name, {})), Settings("cpu", **settings))


@pytest.mark.parametrize("name", TOLD)
def test_a_known_blur_is_undone(name: str, photo: np.ndarray) -> None:
    blurred = convolve(photo, PSF)
    restoration = engine(name)(blurred, blur=Kernel(PSF))
    learned = registry.spec_of(name).estimates and name != "whyte"  # which count on inexact blurs
    assert psnr(restoration.pixels, photo) > psnr(blurred, photo) + (3 if learned else 4)
    assert restoration.info.blur == "PSF of 7x7 px, noise 0.0040"
    assert restoration.pixels.dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "decibels"), [("tv", 54.5), ("hyper-laplacian", 51), ("wiener", 45), ("richardson-lucy", 85)]
)
def test_tiles_equal_the_whole_to_what_is_measured(name: str, decibels: float) -> None:
    rng = np.random.default_rng(0)
    grey = convolve(data.camera(), LARGER) / np.float32(255) + 0.01 * rng.standard_normal((512, 512))
    blurred = np.repeat(grey.clip(0, 1).astype(np.float32)[..., None], 3, axis=2)
    whole = engine(name)(blurred, blur=Kernel(LARGER))
    tiled = engine(name, tile=230)(blurred, blur=Kernel(LARGER))
    assert (whole.info.tiles, tiled.info.overlap) == (1, 5 * len(LARGER))
    assert tiled.info.tiles > 4
    assert "less than the receptive field" in tiled.info.approximation
    # Tapered edges depend on those opposite, which are nearer in a tile: there both are as good, and differ.
    inside = np.s_[3 * len(LARGER) : -3 * len(LARGER), 3 * len(LARGER) : -3 * len(LARGER)]
    assert psnr(tiled.pixels[inside].copy(), whole.pixels[inside].copy()) > decibels
    sharp = np.repeat(data.camera()[..., None], 3, axis=2) / np.float32(255)
    assert psnr(tiled.pixels, sharp) == pytest.approx(psnr(whole.pixels, sharp), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TOLD if not registry.spec_of(name).estimates])
def test_memory_is_bounded_by_the_tile(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 60_000 * registry.spec_of(name).bytes_per_pixel
    monkeypatch.setattr(engine_module, "CPU_TILE_BYTES", bound)
    blurred = convolve(data.camera(), PSF)[..., None].repeat(3, axis=2)
    bounded = engine(name)
    with LiveMemory() as memory:
        result = bounded(blurred, blur=Kernel(PSF))
    assert result.info.tiles > 4
    assert bound / 5 < memory.peak < bound


@pytest.mark.parametrize("kind", ["windows", "lines"])
def test_each_tile_gets_its_part_of_a_blur_that_differs(kind: str, photo: np.ndarray) -> None:
    height, width = photo.shape[:2]
    u = np.tile(np.linspace(1, 3, width, dtype=np.float32), (height, 1))
    cells = np.stack([psf.linear(3, 0), psf.linear(3, 90)]).reshape(1, 2, 3, 3)
    blur: Blur = Windows(cells, height, width) if kind == "windows" else Lines(u, u / 9)
    whole = engine("richardson-lucy")(photo, blur=blur)
    tiled = engine("richardson-lucy", tile=90)(photo, blur=blur)
    assert tiled.info.tiles > 1
    assert psnr(tiled.pixels, whole.pixels) > 60


def test_by_rows_the_pixels_are_those_of_the_whole(photo: np.ndarray) -> None:
    blurred, tiles = convolve(photo, PSF), engine("richardson-lucy", tile=100)
    rows = restore_rows(ArrayReader(blurred), tiles, blur=Kernel(PSF))
    parts = [rows.result.rows(top, min(top + 50, len(photo))) for top in range(0, len(photo), 50)]
    np.testing.assert_array_equal(np.concatenate(parts), tiles(blurred, blur=Kernel(PSF)).pixels)
    assert rows.info.tiles > 1
    assert rows.info.blur == "PSF of 7x7 px, noise 0.0040"


def test_the_noise_is_that_of_the_whole_image_however_it_is_tiled() -> None:
    rng = np.random.default_rng(0)
    levels = np.repeat([0.01, 0.02, 0.04], STRIP)[:, None, None]
    pixels = (0.5 + levels * rng.standard_normal((3 * STRIP, 64, 3))).astype(np.float32)
    observed = observe_blur(Kernel(PSF), ArrayReader(pixels))
    assert observed.noise == pytest.approx(0.02, rel=0.05)


def test_the_noise_may_be_told(photo: np.ndarray) -> None:
    blurred = convolve(photo, PSF)
    smooth, sharp = (restore_image(blurred, model="tv", config={"noise": n}, blur=Kernel(PSF)) for n in (0.1, 0.002))
    steps = [np.abs(np.diff(image.astype(float), axis=1)).mean() for image in (smooth, sharp)]
    assert steps[0] < 0.6 * steps[1]


def test_who_must_and_who_cannot_be_told_says_so(photo: np.ndarray) -> None:
    with pytest.raises(UsageError, match="tv must be told"):
        engine("tv")(photo)
    with pytest.raises(UsageError, match="gggan-lite cannot be told"):
        engine("gggan-lite")(photo, blur=Kernel(PSF))
    zeros = np.zeros(photo.shape[:2], np.float32)
    with pytest.raises(UsageError, match="wiener takes one PSF"):
        engine("wiener")(photo, blur=Lines(zeros, zeros))


@pytest.mark.parametrize("name", TOLD)
def test_constant_images_stay_and_small_ones_are_refused(name: str) -> None:
    flat = np.full((20, 30, 3), 77, np.uint8)
    np.testing.assert_array_equal(engine(name)(flat, blur=Kernel(PSF)).pixels, flat)
    with pytest.raises(UsageError, match="7 px wide, the image 30x6"):
        engine(name)(flat[:6], blur=Kernel(PSF))


def test_one_level_of_noise_is_measured_in_strips_as_in_the_whole() -> None:
    import torch

    pixels = np.random.default_rng(0).uniform(0.4, 0.6, (2 * STRIP, 80, 3)).astype(np.float32)
    whole = noise_level(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    assert observe_blur(Kernel(PSF), ArrayReader(pixels)).noise == pytest.approx(whole, rel=0.02)
