import itertools

import numpy as np
import pytest
import torch
from helpers import noise
from scipy import signal
from skimage import data, restoration
from torch import Tensor

from restorekit.deconvolution import (
    Blur,
    Kernel,
    Lines,
    Shake,
    Windows,
    hyper_laplacian,
    noise_level,
    richardson_lucy,
    tv,
    wiener,
)
from restorekit.deconvolution.edges import Canvas, taper
from restorekit.deconvolution.gradients import divergence, gradient, gradient_power
from restorekit.deconvolution.richardson_lucy import iterate
from restorekit.deconvolution.sparse import BETAS, shrink
from restorekit.deconvolution.wiener import invert
from restorekit.degradation import psf
from restorekit.errors import UsageError
from restorekit.metrics import psnr
from restorekit.weights.load import load_model

PSF = psf.trajectory(np.random.default_rng(3), 12)  # not symmetric: a turned PSF would be noticed


def line(length: int, angle: float) -> np.ndarray:
    """20,001 points of a centred segment, rounded to cells."""
    along = np.linspace(-length / 2, length / 2, 20_001)
    x, y = (np.rint(along * side).astype(int) for side in (np.cos(np.radians(angle)), -np.sin(np.radians(angle))))
    radius = max(abs(x).max(), abs(y).max())
    cells = np.zeros((2 * radius + 1, 2 * radius + 1))
    np.add.at(cells, (y + radius, x + radius), 1 / len(along))
    return cells.astype(np.float32)


def path() -> np.ndarray:
    """A smooth random path in 25x25 cells."""
    points = np.random.default_rng(3).standard_normal((400, 2)).cumsum(0).cumsum(0)
    points -= points.mean(0)
    cells = np.zeros((25, 25))
    np.add.at(cells, tuple(np.rint(points * 11 / abs(points).max()).astype(int).T + 12), 1 / 400)
    cells = signal.convolve(cells, np.outer([1, 2, 1], [1, 2, 1]) / 16, mode="same")
    return np.asarray(cells / cells.sum(), np.float32)


def blurred_with_1_percent_noise(image: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """Rows and columns 100 to 419, sharp; and blurred with what lies beyond them, in 8 bits (1,1,320,320)."""
    radius = len(kernel) // 2
    around = image[100 - radius : 420 + radius, 100 - radius : 420 + radius]
    blurred = signal.convolve(around, kernel.astype(float), mode="valid")
    blurred += 0.01 * np.random.default_rng(0).standard_normal(blurred.shape)
    stored = np.floor(np.clip(blurred, 0, 1) * 255 + 0.5) / 255
    return image[100:420, 100:420], torch.from_numpy(stored.astype(np.float32))[None, None]


CASES = {
    f"{name}, {kind}": (image, kernel)
    for (name, image), (kind, kernel) in itertools.product(
        {"camera": data.camera() / 255, "astronaut": data.astronaut().mean(axis=2) / 255}.items(),
        {"line 15": line(15, 30), "line 25": line(25, -20), "path": path()}.items(),
    )
}


def quality(restored: Tensor, sharp: np.ndarray) -> float:
    return psnr(restored.clamp(0, 1)[0, 0].numpy(), sharp.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "w", "rl", "hl", "total"),
    [
        ("camera, line 15", 25.2, 24.9, 27.75, 28.1),
        ("camera, line 25", 22.9, 23.0, 25.45, 26.9),
        ("camera, path", 28.8, 28.8, 30.15, 30.0),
        ("astronaut, line 15", 24.3, 24.5, 26.35, 27.6),
        ("astronaut, line 25", 21.8, 22.3, 24.25, 26.1),
        ("astronaut, path", 28.9, 28.8, 30.4, 29.6),
    ],
)
def test_whole_images_are_restored_as_well_as_measured(case: str, w: float, rl: float, hl: float, total: float) -> None:
    sharp, blurred = blurred_with_1_percent_noise(*CASES[case])
    kernel = Kernel(CASES[case][1])
    assert quality(wiener(blurred, kernel, 0.01), sharp) > w
    assert quality(richardson_lucy(blurred, kernel), sharp) > rl
    assert quality(hyper_laplacian(blurred, kernel, 0.01), sharp) > hl
    assert quality(tv(blurred, kernel, 0.01), sharp) > total


@pytest.mark.slow
def test_the_patches_that_ship_know_more_than_other_priors() -> None:
    shipped = load_model("epll").module
    gains = []
    for image, kernel in CASES.values():
        sharp, blurred = blurred_with_1_percent_noise(image, kernel)
        blur = Kernel(kernel)
        results = shipped.restore(blurred, blur, 0.01), hyper_laplacian(blurred, blur, 0.01), tv(blurred, blur, 0.01)
        score, hyper, total = (quality(result.detach(), sharp) for result in results)
        gains.append((score - hyper, score - total))
    assert np.mean(gains, axis=0)[0] > 1.0  # measured: 1.3
    assert np.mean(gains, axis=0)[1] > 0.3  # measured: 0.45


def test_total_variation_gains_five_decibels_and_its_edges_do_not_ring() -> None:
    sharp, blurred = blurred_with_1_percent_noise(*CASES["camera, line 25"])
    restored = tv(blurred, Kernel(line(25, -20)), noise_level(blurred))
    before = quality(blurred, sharp)
    assert quality(restored, sharp) > before + 6
    frame = np.ones((320, 320), bool)
    frame[12:-12, 12:-12] = False
    errors = [np.square(image[0, 0].numpy() - sharp)[frame].mean() for image in (blurred, restored)]
    assert errors[1] < 0.6 * errors[0]  # 3 times more where the image is mirrored


def test_wiener_is_scikit_images_on_a_periodic_image() -> None:
    image = noise(1, 1, 40, 48).double()
    smooth = gradient_power(40, 48, image).sqrt().numpy()
    transfer = np.fft.fft2(np.zeros((40, 48)))
    transfer[:, :25], transfer[:, 25:] = smooth, smooth[:, 23:0:-1]
    balance = 0.02
    expected = restoration.wiener(image[0, 0].numpy(), PSF.astype(float), balance, reg=transfer[:, :25], clip=False)
    result = invert(image, Kernel(PSF).on(image), balance)
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-4)


def test_richardson_lucy_is_its_formula_on_a_periodic_image() -> None:
    image = noise(1, 1, 40, 48).double() + 0.1
    ours = iterate(image, Kernel(PSF).on(image), torch.ones_like(image), 10, saturation=False)
    # scikit-image's begins flat and sees zeros beyond the edges; these are its products.
    estimate = image[0, 0].numpy()
    for _ in range(10):
        around = np.pad(estimate, 12, mode="wrap")
        blurred = signal.convolve(around, PSF.astype(float), mode="same")[12:-12, 12:-12]
        ratio = np.pad(image[0, 0].numpy() / blurred, 12, mode="wrap")
        estimate = estimate * signal.convolve(ratio, PSF[::-1, ::-1].astype(float), mode="same")[12:-12, 12:-12]
    np.testing.assert_allclose(ours[0, 0], estimate, atol=1e-4)


def test_pixels_learn_only_from_what_is_seen() -> None:
    image = noise(1, 1, 60, 64)
    mask = torch.zeros_like(image)
    mask[..., 20:40, 20:40] = 1
    scene = iterate(image, Kernel(PSF).on(image), mask, 3, saturation=False)
    far = np.s_[..., :14, :14]  # farther from what is seen than the PSF spreads
    torch.testing.assert_close(scene[far], image[far])
    assert (scene - image)[..., 17:20, 20:40].abs().max() > 0.01  # just beyond the edge


def test_saturated_lights_are_recovered() -> None:
    lamp = np.full((1, 1, 64, 64), 0.1, np.float32)
    lamp[..., 30:33, 30:33] = 8
    kernel = Kernel(psf.linear(9, 0))
    scene = torch.from_numpy(lamp)
    seen = kernel.on(scene).forward(scene).clamp(max=1)
    plain, aware = (richardson_lucy(seen, kernel, iterations=50, saturation=saturation) for saturation in (False, True))
    light = [float(result[..., 30:33, 30:33].sum()) for result in (scene, plain, aware)]
    assert light[1] < 0.5 * light[0]
    assert light[2] > 0.65 * light[0]


def test_richardson_lucy_stays_above_black_where_wiener_rings() -> None:
    scene = torch.zeros(1, 1, 40, 40)
    scene[..., 15:25, 15:25] = 1
    kernel = Kernel(PSF)
    blurred = kernel.on(scene).forward(scene)
    assert wiener(blurred, kernel, 0.005).min() < -0.01
    assert richardson_lucy(blurred, kernel).min() >= 0


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("alpha", [0.5, 2 / 3])
def test_shrinkage_finds_the_least_of_its_energy(beta: float, alpha: float) -> None:
    values = torch.linspace(-1, 1, 41, dtype=torch.float64)
    candidates = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
    energy = candidates.abs() ** alpha + beta / 2 * (candidates - values[:, None]) ** 2
    best = energy.min(dim=1).values
    found = shrink(values, beta, alpha)
    reached = found.abs() ** alpha + beta / 2 * (found - values) ** 2
    assert (reached - best).max() < 1e-3
    assert not found[20].abs() > 0


def test_betas_rise_by_twice_the_square_root_of_two_below_256() -> None:
    np.testing.assert_allclose(BETAS, [1, 2.8284, 8, 22.627, 64, 181.02], rtol=1e-4)


def test_gradients_and_divergence_are_adjoint_and_have_their_power() -> None:
    x, across, down = (torch.randn(1, 2, 7, 10, dtype=torch.float64) for _ in range(3))
    right, below = gradient(x)
    assert right[0, 0, 2, 3] == x[0, 0, 2, 4] - x[0, 0, 2, 3]
    assert below[0, 0, 6, 3] == x[0, 0, 0, 3] - x[0, 0, 6, 3]
    torch.testing.assert_close((right * across + below * down).sum(), (x * divergence(across, down)).sum())
    spectrum = torch.fft.rfft2(x) * gradient_power(7, 10, x)
    torch.testing.assert_close(torch.fft.irfft2(spectrum, s=(7, 10)), divergence(*gradient(x)))


def test_the_canvas_holds_all_that_was_blurred_in() -> None:
    image = noise(1, 1, 37, 53)
    canvas = Canvas.around(image, Kernel(PSF))
    radius = len(PSF) // 2
    grown = canvas.grow(image)
    assert grown.shape[-2:] == (canvas.height, canvas.width)
    assert canvas.top >= radius <= canvas.left
    assert canvas.height - 37 - canvas.top >= radius <= canvas.width - 53 - canvas.left
    assert torch.equal(canvas.cut(grown), image)
    assert canvas.mask(image).sum() == 37 * 53
    assert (grown[0, 0, : canvas.top, canvas.left] == image[0, 0, 0, 0]).all()


def test_tapered_edges_meet_and_the_middle_stays() -> None:
    ramp = torch.linspace(0, 1, 80).expand(1, 1, 60, 80).contiguous()
    tapered = taper(ramp, Kernel(psf.linear(15, 0)))
    jump = (tapered[..., 0] - tapered[..., -1]).abs().max()
    assert jump < 0.05
    torch.testing.assert_close(tapered[..., 20:60], ramp[..., 20:60], rtol=0, atol=0.01)


METHODS = {
    "wiener": lambda image, blur: wiener(image, blur, 0.01),
    "richardson_lucy": richardson_lucy,
    "hyper_laplacian": lambda image, blur: hyper_laplacian(image, blur, 0.01),
    "tv": lambda image, blur: tv(image, blur, 0.01),
}


@pytest.mark.parametrize("deconvolve", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_image_stays_as_it_is(deconvolve, level: float) -> None:
    flat = torch.full((2, 3, 24, 31), level)
    torch.testing.assert_close(deconvolve(flat, Kernel(PSF)), flat, rtol=0, atol=2e-5)


@pytest.mark.parametrize("deconvolve", METHODS.values(), ids=METHODS)
def test_a_batch_is_restored_image_by_image_and_a_sharp_one_stays(deconvolve) -> None:
    batch = noise(2, 3, 24, 31)
    together = deconvolve(batch, Kernel(PSF))
    torch.testing.assert_close(together[1:], deconvolve(batch[1:], Kernel(PSF)), rtol=0, atol=1e-5)
    assert together.shape == batch.shape
    untouched = deconvolve(batch, Kernel(np.ones((1, 1), np.float32)))
    assert (untouched - batch).abs().mean() < 0.02


@pytest.mark.parametrize("deconvolve", METHODS.values(), ids=METHODS)
def test_a_blur_wider_than_the_image_is_refused(deconvolve) -> None:
    with pytest.raises(UsageError, match=f"{len(PSF)} px wide, the image 40x{len(PSF) - 1}"):
        deconvolve(noise(1, 3, len(PSF) - 1, 40), Kernel(PSF))


SIDE = 96
VARYING: dict[str, Blur] = {
    "windows": Windows(np.stack([psf.linear(9, 0)] * 2 + [psf.linear(9, 90)] * 2).reshape(2, 2, 9, 9), SIDE, SIDE),
    "lines": Lines(
        np.tile(np.linspace(3, 11, SIDE, dtype=np.float32), (SIDE, 1)), np.full((SIDE, SIDE), 3, np.float32)
    ),
    "shake": Shake(
        np.stack([[0, 0, turn] for turn in np.linspace(-0.05, 0.05, 9)]),
        np.full(9, 1 / 9),
        200,
        SIDE,
        SIDE,
        (47.5, 47.5),
    ),
}


@pytest.mark.parametrize("turned", [False, True])
def test_total_variation_lowers_a_step_as_far_as_its_energy_says(turned: bool) -> None:
    step = torch.zeros(1, 1, 20, 40)
    step[..., 20:] = 1
    step = step.mT if turned else step
    found = tv(step, Kernel(np.ones((1, 1), np.float32)), 0.3, iterations=200)
    # 2 edges of 20 px around 20 x 20 px that move by c: mu/2 c^2 400 - 40 c is least at c = 40 / (400 mu); mu = 0.2 / 0.09.
    torch.testing.assert_close(found, 0.045 + 0.91 * step, rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("blur", VARYING.values(), ids=VARYING)
def test_total_variation_and_richardson_lucy_undo_any_blur(blur: Blur) -> None:
    sharp = data.camera()[150 : 150 + SIDE, 180 : 180 + SIDE] / 255
    around = torch.from_numpy(data.camera()[130 : 170 + SIDE, 160 : 200 + SIDE] / 255).float()[None, None]
    moved = blur.crop(-20, -20, SIDE + 40, SIDE + 40)
    blurred = moved.on(around).forward(around)[..., 20:-20, 20:-20]
    blurred = blurred + 0.005 * torch.randn(blurred.shape, generator=torch.Generator().manual_seed(0))
    before = quality(blurred, sharp)
    assert quality(tv(blurred, blur, 0.005), sharp) > before + 4
    assert quality(richardson_lucy(blurred, blur), sharp) > before + 2


@pytest.mark.parametrize("deconvolve", [METHODS["wiener"], METHODS["hyper_laplacian"]])
def test_methods_of_one_psf_refuse_others(deconvolve) -> None:
    with pytest.raises(UsageError, match="one PSF"):
        deconvolve(noise(1, 1, SIDE, SIDE), VARYING["lines"])


@pytest.mark.parametrize("sigma", [0.01, 0.03])
def test_noise_is_measured_where_the_image_is_blurred(sigma: float) -> None:
    sharp, _ = blurred_with_1_percent_noise(*CASES["camera, path"])
    smooth = signal.convolve(sharp, path(), mode="same")
    noisy = smooth + sigma * np.random.default_rng(0).standard_normal((3, 320, 320))
    assert noise_level(torch.from_numpy(noisy)[None]) == pytest.approx(sigma, rel=0.1)


def test_noise_has_a_floor() -> None:
    assert noise_level(torch.zeros(1, 3, 10, 10)) == noise_level(torch.rand(1, 3, 1, 10)) == 0.004
