"""Kim & Lee's energy, both steps that lower it, how motions are compared, and what comes of it in photographs."""

import math

import numpy as np
import pytest
import torch
from helpers import Impatient, noise
from skimage import data
from torch import Tensor

from restorekit.deconvolution import Lines, tv
from restorekit.models.deblur import kim_lee_2014
from restorekit.models.deblur.kim_lee_2014 import (
    Config,
    KimLee,
    agree,
    align,
    choose_motion,
    energy,
    line_mean,
    line_transfer,
    motion_step,
    scene_step,
    slope,
)


def photograph(name: str, height: int = 240, width: int = 300) -> Tensor:
    """(1,1,H,W) in 0..1: the middle of one of scikit-image's."""
    photo = getattr(data, name)()
    grey = torch.from_numpy(photo if photo.ndim == 2 else photo.mean(2)).float() / 255
    top, left = (grey.shape[0] - height) // 2, (grey.shape[1] - width) // 2
    return grey[None, None, top : top + height, left : left + width]


def uniform(u: float, v: float, image: Tensor) -> Tensor:
    """(2,H,W)."""
    return torch.tensor([u, v], dtype=torch.float32).view(2, 1, 1).expand(2, *image.shape[-2:]).clone()


def blur(scene: Tensor, field: Tensor) -> Tensor:
    """Along the field, with 1 % of noise, in 8 bits."""
    moved = Lines(*field.numpy()).on(scene).forward(scene)
    seen = moved + 0.01 * torch.randn(scene.shape, generator=torch.Generator().manual_seed(0))
    return (255 * seen.clamp(0, 1)).round() / 255


def error(found: Tensor, true: Tensor) -> Tensor:
    """(H,W): px between motions, of which u and -u are one."""
    return torch.minimum((found - true).norm(dim=0), (found + true).norm(dim=0))


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


def test_the_mean_along_a_line_shares_a_point_among_its_pixels() -> None:
    point = torch.zeros(1, 1, 5, 9)
    point[..., 2, 4] = 1
    # Four samples at -1.5, -0.5, 0.5 and 1.5 px, each between two pixels.
    expected = torch.tensor([0, 0, 0.125, 0.25, 0.25, 0.25, 0.125, 0, 0])
    torch.testing.assert_close(line_mean(point, uniform(4, 0, point))[0, 0, 2], expected)
    torch.testing.assert_close(line_mean(point, uniform(0, 4, point))[0, 0, :, 4], expected[2:7])


@pytest.mark.parametrize("part", [0, 1])
def test_the_derivative_by_the_motion_is_that_of_finite_differences(part: int) -> None:
    y, x = torch.meshgrid(torch.arange(50.0), torch.arange(60.0), indexing="ij")
    image = (0.5 + 0.2 * (x / 3).sin() * (y / 4).cos() + 0.2 * ((x + y) / 5).cos())[None, None].double()
    field = uniform(5.2, -3.1, image).double() + 0.3 * noise(2, 50, 60).double()
    little = torch.zeros(2, 1, 1).double()
    little[part] = 0.05
    differences = (line_mean(image, field + little) - line_mean(image, field - little))[0, 0] / 0.1
    inner = np.s_[5:-5, 5:-5]
    found = slope(image, field)[part][inner]
    assert found.abs().max() > 0.005
    torch.testing.assert_close(found, differences[inner], atol=1e-3, rtol=0)


def test_the_energy_is_that_of_the_formula() -> None:
    blurred, scene = torch.full((1, 1, 8, 10), 0.5), torch.full((1, 1, 8, 10), 0.5)
    scene[..., 4, 4] = 1.5
    field = torch.zeros(2, 8, 10)
    field[0, :, 5:] = 0.8  # within a pixel: no blur
    data_term = 1 + 2 + 2  # the point, and both sides of it in either direction
    variation = (2 + math.sqrt(2)) / 7  # left of it, above it, and at it
    turns = 0.08 * 0.8 * 2 * 8  # two edges of 8 px, of which one is where the canvas wraps around
    assert energy(blurred, scene, field) == pytest.approx(data_term + variation + turns, rel=1e-5)


def test_the_motion_may_change_where_the_image_has_edges() -> None:
    image = torch.zeros(1, 1, 8, 10)
    image[..., 5:] = 25 / 255
    field = torch.zeros(2, 8, 10)
    field[0, :, 5:] = 0.8
    variation = 2 * 8 * 25 / 255 / 7
    assert energy(image, image, field) == pytest.approx(variation + 0.08 * math.exp(-1) * 0.8 * 2 * 8, rel=1e-5)


def test_a_step_on_the_scene_lowers_the_energy_or_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = photograph("camera", 40, 50)
    field = uniform(6, 3, scene)
    blurred = blur(scene, field)
    before = energy(blurred, blurred, field)
    assert energy(blurred, scene_step(blurred, blurred, field), field) < 0.9 * before
    better = scene_step(blurred, blurred, field)
    monkeypatch.setattr(kim_lee_2014, "STEPS", 3)  # which lead away from a good scene
    assert torch.equal(scene_step(blurred, better, field), better)


@pytest.mark.parametrize("wrong", [(0.7, -0.7), (-3, 2), (20, 0)])
def test_a_step_on_the_motion_never_raises_the_energy(wrong: tuple[float, float]) -> None:
    scene = photograph("camera", 40, 50)
    true = uniform(6, 3, scene)
    blurred, start = blur(scene, true), true + uniform(*wrong, scene)
    assert energy(blurred, scene, motion_step(blurred, scene, start)) <= energy(blurred, scene, start)


@pytest.mark.slow
@pytest.mark.parametrize(("u", "v"), [(8.5, 3), (3, -8.5), (9, 0)])
def test_told_the_scene_a_line_is_found_to_half_a_pixel(u: float, v: float) -> None:
    scene = photograph("astronaut")
    true = uniform(u, v, scene)
    blurred = blur(scene, true)
    field = choose_motion(blurred, torch.zeros_like(true), 15)
    for _ in range(3):
        field = motion_step(blurred, scene, field)
    assert error(field, true).median() <= 0.5


def test_of_motions_and_their_opposites_the_signs_agree() -> None:
    field = torch.zeros(2, 20, 30)
    field[0] = 3
    field[:, :, 10:] *= -1
    field[1, 5:8] = 0.5
    aligned = align(field)
    assert (aligned[0] > 0).all() or (aligned[0] < 0).all()
    torch.testing.assert_close(error(aligned, field), torch.zeros(20, 30))


def test_signs_agree_with_those_of_neighbours_across_the_main_axis() -> None:
    field = torch.zeros(2, 20, 60)
    field[0] = 3
    field[:, :, 50:] = torch.tensor([0.01, 3]).view(2, 1, 1)
    field[1, :, 55] = -3
    assert (align(field)[1, :, 50:] > 0).all()


def test_lines_keep_of_each_frequency_what_their_pixels_do() -> None:
    across = torch.linspace(0.01, 3, 20)[None]
    five = (1 + 2 * across.cos() + 2 * (2 * across).cos()) / 5  # five pixels in a row
    motions = torch.tensor([[5.0, 0], [0, 5], [0.6, 0.6], [0, 0]])
    kept = line_transfer(motions, across, torch.zeros_like(across))
    torch.testing.assert_close(kept[0], five)
    torch.testing.assert_close(kept[1:], torch.ones(3, 1, 20))  # none in this direction, and none at all


def test_windows_follow_their_neighbours_unless_they_are_sure() -> None:
    candidates = torch.tensor([[0.0, 0], [9, 0], [-9, 0]])
    cost = torch.full((3, 5, 5), 500.0)
    cost[1] = 0
    cost[2, 2, 3] = cost[2, 3, 3] = -1  # the opposite motion is the same
    # Another motion costs 6 a pixel, up to 6 px, to each of four neighbours.
    cost[0, 2, 2] = -4 * 36 + 1
    expected = torch.ones(5, 5, dtype=torch.long)
    expected[2, 3] = expected[3, 3] = 2
    torch.testing.assert_close(agree(cost, candidates), expected)
    cost[0, 2, 2] = -4 * 36 - 1
    expected[2, 2] = 0
    torch.testing.assert_close(agree(cost, candidates), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_a_line_is_chosen_in_most_windows_and_none_in_a_sharp_image(name: str) -> None:
    scene = photograph(name, 180, 240)
    true = uniform(8, -4, scene)
    chosen = choose_motion(blur(scene, true), torch.zeros_like(true), 9)
    assert (error(chosen, true) < 2).float().mean() > 0.7
    none = choose_motion(scene, torch.zeros_like(true), 9)
    assert (none.norm(dim=0) == 0).float().mean() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camera", "astronaut", "coffee"])
def test_a_line_is_found_and_undone(name: str) -> None:
    scene = photograph(name)
    true = uniform(8, -4, scene)
    image = blur(scene, true).expand(1, 3, -1, -1)
    system = KimLee(Config())
    found = system.estimate(image)
    assert isinstance(found, Lines)
    restored = system.restore_found(image, found, 0.01)
    assert psnr(restored, scene) > psnr(image, scene) + 0.5


@pytest.mark.slow
def test_two_halves_move_each_their_own_way() -> None:
    scene = photograph("astronaut", 240, 400)
    true = uniform(9, 0, scene)
    true[:, :, 200:] = torch.tensor([0.0, 7]).view(2, 1, 1)
    found = kim_lee_2014.find_motion(blur(scene, true), 15)
    assert (error(found, true) < 2).float().mean() > 0.75


@pytest.mark.slow
def test_in_a_large_image_motion_is_found_at_a_smaller_size() -> None:
    scene = photograph("astronaut", 400, 480)
    true = uniform(13, 5, scene)
    found = KimLee(Config(side=240)).estimate(blur(scene, true).expand(1, 3, -1, -1))
    assert isinstance(found, Lines)
    assert found.u.shape == (400, 480)
    assert error(torch.from_numpy(np.stack([found.u, found.v])), true).median() < 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camera", "astronaut", "chelsea", "coffee"])
def test_a_sharp_photograph_comes_back_as_it_is(name: str) -> None:
    image = photograph(name).expand(1, 3, -1, -1)
    assert torch.equal(KimLee(Config())(image), image)


@pytest.mark.parametrize(
    "image",
    [
        torch.full((1, 3, 70, 80), 0.4),
        torch.full((1, 3, 70, 80), math.nan),
        torch.cat([torch.full((1, 3, 70, 40), value) for value in (0.3, math.nan)], dim=-1),
        noise(1, 3, 63, 300),
        noise(1, 3, 1, 1),
        noise(1, 3, 64, 3000),
    ],
    ids=["constant", "NaN", "partly NaN", "small", "a pixel", "a strip that is small where motion is looked for"],
)
def test_where_nothing_can_be_found_the_image_comes_back(image: Tensor) -> None:
    system = KimLee(Config())
    assert system.estimate(image).is_identity
    assert torch.equal(system(image), image) or image.isnan().any()


@pytest.mark.parametrize(("share", "kept"), [(0.45, False), (0.55, True)])
def test_motion_of_little_of_an_image_counts_as_none(share: float, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(1, 3, 80, 100)
    field = torch.zeros(2, 80, 100)
    field[0, :, : int(100 * share)] = 9
    monkeypatch.setattr(kim_lee_2014, "find_motion", lambda *_: field)
    monkeypatch.setattr(kim_lee_2014, "may_be_blurred", lambda *_: True)
    assert isinstance(KimLee(Config()).estimate(image), Lines) == kept


def test_what_is_found_is_undone_as_if_there_were_more_noise() -> None:
    scene = photograph("camera", 40, 50).expand(1, 3, -1, -1).contiguous()
    lines = Lines(*uniform(5, 0, scene).numpy())
    expected = tv(scene, lines, 0.025).clamp(0, 1)  # 0.015 and 2 % of noise
    torch.testing.assert_close(KimLee(Config()).restore_found(scene, lines, 0.015), expected)


@pytest.mark.slow
def test_every_level_is_told_and_the_search_may_be_ended_in_each() -> None:
    system, image = KimLee(Config(longest=8)), noise(1, 3, 100, 110)
    patient = Impatient(ends_in="")
    system.find(image, patient)
    assert patient.parts == ["level 1 of 2", "level 2 of 2"]  # 70 px high, where 8 px are 5.6, and 100
    for level in patient.parts:
        impatient = Impatient(ends_in=level)
        with pytest.raises(KeyboardInterrupt):
            system.find(image, impatient)
        assert impatient.parts[-1] == level
