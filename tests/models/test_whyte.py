import math

import numpy as np
import pytest
import torch
from helpers import Impatient, noise
from scipy import linalg, ndimage, optimize, signal
from skimage import data
from torch import Tensor

from restorekit.deconvolution import Blur, Kernel, Lines, Shake, Windows, sample_windows
from restorekit.deconvolution.prediction import edges_of, keep_large
from restorekit.degradation import psf
from restorekit.models.deblur import whyte
from restorekit.models.deblur.whyte import (
    Config,
    Level,
    Splat,
    Whyte,
    fit_weights,
    levels_of,
    moves_of,
    windows_of,
)

PATH = psf.trajectory(np.random.default_rng(5), 28)  # 15x15


def grey(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).float().expand(1, 3, *image.shape)


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


def best_psnr(restored: Tensor, sharp: Tensor) -> float:
    """At the best shift by whole pixels: a blur that is found is known but for one."""
    shifts = [(down, across) for down in range(-2, 3) for across in range(-2, 3)]
    inner = np.s_[..., 15:-15, 15:-15]
    return max(psnr(restored.roll(shift, (2, 3))[inner], sharp[inner]) for shift in shifts)


def camera(angles: list[list[float]], height: int = 61, width: int = 81) -> Shake:
    count = len(angles)
    return Shake(np.array(angles), np.full(count, 1 / count), 160, height, width, ((width - 1) / 2, (height - 1) / 2))


def test_rotations_move_what_a_pixel_sees_as_geometry_says() -> None:
    angle = 0.01
    moves = moves_of(camera([[0, angle, 0], [angle, 0, 0], [0, 0, angle]]), (1, 3))
    middle = 1  # the cells' middles are the pixels (13, 30), (40, 30) and (67, 30); the optical axis is at (40, 30)
    np.testing.assert_allclose(moves[0, middle], [160 * math.tan(angle), 0], atol=1e-9)
    np.testing.assert_allclose(moves[1, middle], [0, -160 * math.tan(angle)], atol=1e-9)
    np.testing.assert_allclose(moves[2], [[0, -27 * angle], [0, 0], [0, 27 * angle]], atol=2e-3)


def test_no_step_moves_a_pixel_by_more_than_one() -> None:
    for level in levels_of(300, 400, 15, 2.0, True):
        middle = ((level.width - 1) / 2, (level.height - 1) / 2)
        every = np.full(3, 1 / 3)
        shake = Shake(np.diag(level.steps), every, level.focal, level.height, level.width, middle)
        corner = np.array([[0, 0, 1]]).T
        seen = shake.homographies() @ corner
        moved = np.hypot(*(seen[:, :2] / seen[:, 2:] - corner[:2])[:, :, 0].T)
        assert moved.min() > 0.5
        assert moved.max() <= 1.01


def test_levels_shrink_the_image_and_the_range_together() -> None:
    levels = levels_of(768, 2048, 35, 2.0, True)
    assert [(level.height, level.width, level.side) for level in levels[-3:]] == [
        (192, 512, 17),
        (272, 724, 25),
        (384, 1024, 35),
    ]
    assert levels[-1].focal == 2048
    assert levels[0].height >= 25 > levels[0].height * math.sqrt(0.5)


def test_a_psf_is_what_the_cell_shows_of_a_point() -> None:
    # y(p) = x(p + d): a point moves by -d. Half a pixel is shared.
    splat = Splat(np.array([[[1.0, 0]], [[0, -1.5]]]))
    psfs = splat.psfs(torch.tensor([0.25, 0.75])).numpy()[0]
    expected = np.zeros((5, 5))
    expected[2, 1] = 0.25
    expected[3, 2] = expected[4, 2] = 0.375
    np.testing.assert_allclose(psfs, expected, atol=1e-7)
    image, weights = noise(1, 5, 5), noise(2)
    assert float((splat.psfs(weights) * image).sum()) == pytest.approx(float((weights * splat.adjoint(image)).sum()))


def test_windows_of_a_shake_are_those_that_its_operator_has() -> None:
    angles = np.random.default_rng(1).normal(size=(6, 3)) * (0.01, 0.01, 0.03)
    shake = camera(angles.tolist())
    ours, exact = windows_of(shake, (2, 3)), sample_windows(shake, 61, 81, 2, 3)
    room = exact.radius - ours.radius
    assert room >= 0
    for row in range(2):
        for column in range(3):
            grown = np.pad(ours.psfs[row, column], room)
            # Bilinear shares are the same but for the rotation within a pixel.
            np.testing.assert_allclose(grown, exact.psfs[row, column], atol=0.02)


def test_the_fit_has_the_minimum_of_the_problem_in_the_paper() -> None:
    rng = np.random.default_rng(2)
    scene, kernel = np.zeros((2, 30, 33)), rng.random((3, 3))
    scene[:, 8:22, 8:22] = rng.normal(size=(2, 14, 14))  # nothing near the edges, so that no shift loses any
    image = np.stack([signal.convolve(part, kernel / kernel.sum(), mode="same") for part in scene])
    image += 0.05 * rng.normal(size=image.shape)
    image[:, :5] = image[:, -5:] = 0
    image[..., :5] = image[..., -5:] = 0

    def stacked(edges: np.ndarray) -> np.ndarray:  # both gradients and their three differences, weighed
        x, y = np.pad(edges, ((0, 0), (3, 3), (3, 3)))
        right, down = (lambda a: np.roll(a, -1, 1) - a), (lambda a: np.roll(a, -1, 0) - a)
        second = [right(x), down(y), (down(x) + right(y)) / 2]
        return np.concatenate(
            [math.sqrt(0.5) * part.ravel() for part in (x, y)] + [0.5 * part.ravel() for part in second]
        )

    places = [(x, y) for x in (-2, -1, 0, 1, 2) for y in (-2, -1, 0, 1, 2)]  # y(p) = x(p + d)
    matrix = np.stack([stacked(np.roll(scene, (-y, -x), (1, 2))) for x, y in places], axis=1)
    factor = linalg.cholesky(matrix.T @ matrix)
    right_side = linalg.solve_triangular(factor, matrix.T @ stacked(image) - whyte.SPARSE, trans="T")
    expected, _ = optimize.nnls(factor, right_side)

    level = Level(30, 33, 66, 5, rotates=False)
    every = np.ones(level.shape, np.bool_)
    start = np.full(level.shape, 0.04)
    fitted = fit_weights(level, torch.from_numpy(scene).float(), torch.from_numpy(image).float(), every, start)
    np.testing.assert_allclose(fitted.ravel(), expected, atol=2e-3)
    assert (expected == 0).sum() > 5  # the constraint holds some back
    active = every.copy()
    active[0] = False
    assert not fit_weights(level, *(torch.from_numpy(a).float() for a in (scene, image)), active, start)[0].any()


@pytest.mark.slow
def test_told_the_sharp_edges_the_fit_finds_the_roll() -> None:
    sharp = grey(data.camera()[60:360, 60:360] / 255)[:, :1]
    angles = np.zeros((31, 3))
    angles[:, 2] = np.radians(np.linspace(-1, 1, 31))
    shake = Shake(angles, np.full(31, 1 / 31), 600, 300, 300, (149.5, 149.5))
    blurred = shake.on(sharp).forward(sharp) + 0.01 * torch.randn(1, 1, 300, 300, generator=torch.manual_seed(0))
    level = levels_of(300, 300, 11, 2.0, True)[-1]
    edges = keep_large(edges_of(sharp), 41, 0, whyte.mask_of(blurred, 11))
    every = np.ones(level.shape, np.bool_)
    weights = fit_weights(level, edges, edges_of(blurred), every, every / every.size)
    weights = np.where(weights < 0.05 * weights.max(), 0, weights)
    places = np.argwhere(weights > 0) - 5
    # The true roll takes 3.7 steps about z in both senses, and none about x and y.
    near = (np.abs(places[:, :2]).max(axis=1) <= 1) & (np.abs(places[:, 2]) <= 4)
    assert weights[weights > 0][near].sum() > 0.8 * weights.sum()
    assert np.ptp(places[near, 2]) >= 5


@pytest.mark.slow
def test_a_psf_is_found_and_undone() -> None:
    sharp = data.camera()[60:360, 60:360] / 255
    blurred = signal.convolve(sharp, PATH.astype(float), mode="valid")
    blurred += 0.01 * np.random.default_rng(0).standard_normal(blurred.shape)
    radius = len(PATH) // 2
    inside = grey(sharp[radius:-radius, radius:-radius])
    system = Whyte(Config(side=19, motion="shift", light="stored"))
    image = grey(blurred.clip(0, 1))
    blur = system.estimate(image)
    assert isinstance(blur, Kernel)
    both = [np.fft.rfft2(kernel, (64, 64)) for kernel in (blur.psf, PATH)]
    best = np.fft.irfft2(both[0] * both[1].conj()).max() / np.linalg.norm(blur.psf) / np.linalg.norm(PATH)
    assert best > 0.8  # at the best shift; turned by 180 degrees it is below
    restored = system.restore(image, blur, 0.01)
    assert psnr(restored, inside) > psnr(image, inside) + 1.5


@pytest.mark.slow
def test_a_shake_is_found_and_undone() -> None:
    rng = np.random.default_rng(9)
    sharp = grey(data.astronaut().mean(2)[80:380, 80:380] / 255)
    angles = ndimage.gaussian_filter1d(rng.normal(size=(200, 3)).cumsum(0), 15, axis=0)[::5]
    angles -= angles.mean(0)
    angles *= np.array([5 / 600, 5 / 600, 0.021]) / np.abs(angles).max(0)
    shake = Shake(angles, np.full(40, 1 / 40), 600, 300, 300, (149.5, 149.5))
    blurred = shake.on(sharp).forward(sharp) + 0.005 * torch.randn(sharp.shape, generator=torch.manual_seed(0))
    system = Whyte(Config(side=15, light="stored"))
    blur = system.estimate(blurred.clamp(0, 1))
    assert isinstance(blur, Shake)
    np.testing.assert_allclose(blur.weights @ blur.angles, 0, atol=1e-9)
    restored = system.restore(blurred.clamp(0, 1), blur, 0.005)
    assert best_psnr(restored, sharp) > best_psnr(blurred, sharp) + 0.3


def test_every_level_is_told_and_the_search_may_be_ended_in_each() -> None:
    system, image = Whyte(Config(side=5, motion="shift")), noise(1, 3, 52, 60)
    patient = Impatient(ends_in="")
    system.find(image, patient)
    assert patient.parts == ["level 1 of 3", "level 2 of 3", "level 3 of 3"]  # 26, 37 and 52 px high
    impatient = Impatient(ends_in="level 2 of 3")
    with pytest.raises(KeyboardInterrupt):
        system.find(image, impatient)
    assert impatient.parts == ["level 1 of 3", "level 2 of 3"]


@pytest.mark.parametrize("motion", ["rotation", "shift"])
@pytest.mark.parametrize(
    "image",
    [
        torch.full((1, 3, 40, 50), 0.4),
        torch.full((1, 3, 40, 50), math.nan),
        torch.cat([torch.full((1, 3, 40, 25), value) for value in (0.3, math.nan)], dim=-1),
        noise(1, 3, 24, 300),
        noise(1, 3, 1, 1),
        noise(1, 3, 30, 5000),
    ],
    ids=["constant", "NaN", "partly NaN", "small", "a pixel", "a strip that the pyramid makes small"],
)
def test_where_nothing_can_be_found_the_image_comes_back(image: Tensor, motion: str) -> None:
    system = Whyte(Config(motion=motion))  # type: ignore[arg-type]
    assert system.estimate(image).is_identity
    assert torch.equal(system(image), image) or image.isnan().any()


def test_light_is_linear_and_restored_values_are_stored_ones() -> None:
    system = Whyte(Config())
    values = torch.tensor([0, 0.04, 0.5, 1]).view(1, 1, 1, 4)
    # IEC 61966-2-1: 0.5 stands for 0.2140 of the light.
    torch.testing.assert_close(system._to_light(values).flatten(), torch.tensor([0, 0.04 / 12.92, 0.214041, 1]))
    torch.testing.assert_close(system._from_light(system._to_light(values)), values)
    assert torch.equal(Whyte(Config(light="stored"))._to_light(values), values)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kernel", "shake"])
def test_around_lamps_at_night_richardson_and_lucy_ring_less(kind: str) -> None:
    scene = 0.02 + 0.1 * noise(1, 3, 60, 70)
    scene[..., 20:23, 30:33] = scene[..., 40:42, 15:18] = 20  # lamps, which the sensor cuts off at 1
    angles = np.zeros((9, 3))
    angles[:, :2] = np.linspace(-4, 4, 9)[:, None] * (0.003, 0.005)
    shake = Shake(angles, np.full(9, 1 / 9), 240, 60, 70, (34.5, 29.5))
    blur = shake if kind == "shake" else Kernel(psf.linear(9, 20))
    seen = blur.on(scene).forward(scene).clamp(0, 1)
    errors = {}
    for last in ("hyper-laplacian", "richardson-lucy"):
        restored = Whyte(Config(light="stored", last=last)).restore(seen, blur, 0.005)  # type: ignore[arg-type]
        errors[last] = float((restored - scene.clamp(0, 1)).square().mean())
    assert errors["richardson-lucy"] < errors["hyper-laplacian"] / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "blur",
    [
        Kernel(PATH),
        Windows(np.broadcast_to(PATH, (2, 2, *PATH.shape)), 80, 100),
        Lines(np.full((80, 100), 7, np.float32), np.full((80, 100), 3, np.float32)),
        Shake(np.linspace((0.02, 0, 0.01), (-0.02, 0.01, 0), 13), np.full(13, 1 / 13), 160, 80, 100, (49.5, 39.5)),
    ],
    ids=["kernel", "windows", "lines", "shake"],
)
def test_told_a_blur_of_any_kind_it_undoes_it(blur: Blur, photo: np.ndarray) -> None:
    sharp = torch.from_numpy(photo[:80, :100]).permute(2, 0, 1)[None] / 255
    blurred = blur.on(sharp).forward(sharp)
    restored = Whyte(Config(light="stored")).restore(blurred, blur, 0.005)
    inner = np.s_[..., 16:-16, 16:-16]
    assert psnr(restored[inner], sharp[inner]) > psnr(blurred[inner], sharp[inner]) + 1.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camera", "astronaut", "chelsea", "coffee"])
def test_a_sharp_photograph_comes_back_as_it_is(name: str) -> None:
    photo = getattr(data, name)()[40:280, 60:320] / 255
    image = grey(photo if photo.ndim == 2 else photo.mean(2))
    assert torch.equal(Whyte(Config(motion="shift"))(image), image)
