import numpy as np
import pytest

from restorekit.degradation import motion


def path(*poses: tuple[float, float, float]) -> np.ndarray:
    return np.array(poses, float)


@pytest.mark.parametrize("seed", range(5))
def test_a_drawn_path_travels_what_is_asked_about_its_mean(seed: int) -> None:
    drawn = motion.draw_path(np.random.default_rng(seed), 20, 3)
    steps = np.diff(drawn, axis=0)
    assert np.hypot(steps[:, 0], steps[:, 1]).sum() == pytest.approx(20)
    assert drawn[:, 2].max() - drawn[:, 2].min() == pytest.approx(3)
    np.testing.assert_allclose(motion.sample(drawn, (np.arange(400) + 0.5) / 400).mean(axis=0), 0, atol=0.01)
    assert np.hypot(*np.diff(steps[:, :2], axis=0).T).max() < 0.5  # smooth: a step is like the one before it
    assert np.array_equal(drawn, motion.draw_path(np.random.default_rng(seed), 20, 3))


def test_drawn_paths_lead_anywhere() -> None:
    ends = np.array([motion.draw_path(np.random.default_rng(seed), 20, 3)[-1] for seed in range(40)])
    assert (ends > 0).any(axis=0).all()
    assert (ends < 0).any(axis=0).all()


def test_a_path_is_straight_between_its_poses() -> None:
    bent = path((0, 0, 0), (4, 0, 0), (4, 8, 2))
    times = np.array([0.125, 0.375, 0.5, 0.625, 0.875])
    np.testing.assert_allclose(motion.sample(bent, times), [[1, 0, 0], [3, 0, 0], [4, 0, 0], [4, 2, 0.5], [4, 6, 1.5]])


def test_a_positive_turn_is_counter_clockwise_about_the_centre_and_a_shift_goes_right_and_down() -> None:
    turn, shift = motion.matrices(path((0, 0, 90), (3, 5, 0)), centre=(10, 20))
    np.testing.assert_allclose(turn @ [10, 20, 1], [10, 20], atol=1e-12)
    np.testing.assert_allclose(turn @ [14, 20, 1], [10, 16], atol=1e-12)  # from east to north, and y points down
    np.testing.assert_allclose(shift @ [1, 2, 1], [4, 7])


def test_chained_maps_apply_the_inner_one_first() -> None:
    shift, turn = motion.matrices(path((3, 0, 0)), (0, 0)), motion.matrices(path((0, 0, 90)), (0, 0))
    np.testing.assert_allclose(motion.chain(turn, shift)[0] @ [1, 0, 1], [0, -4], atol=1e-12)
    np.testing.assert_allclose(motion.chain(shift, turn)[0] @ [1, 0, 1], [3, -1], atol=1e-12)


def test_a_step_is_as_long_as_that_of_the_farthest_point() -> None:
    maps = motion.matrices(path((0, 0, 0), (3, 4, 0), (3, 4, 90), (3, 4, 90)), (10, 20))
    points = np.array([[10.0, 12, 10], [20, 20, 19]])  # 0, 2 and 1 px from the axis
    np.testing.assert_allclose(motion.steps(maps, points), [5, 2 * np.sqrt(2), 0], atol=1e-12)


def test_sections_follow_the_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "POSES", 1)
    slowing = np.array([0.0, 7.5, 9])  # 7.5 px in half of the exposure, 1.5 px in the other
    np.testing.assert_allclose(motion.sections(slowing), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1])


@pytest.mark.parametrize(
    ("travelled", "count"),
    [(0, 1), (0.4, 1), (2.6, 6), (31.9, 64), (32.1, 64), (95.9, 64), (96.1, 65), (300, 200)],
)
def test_a_section_is_half_a_pixel_long_and_up_to_one_and_a_half_where_those_are_many(
    travelled: float, count: int
) -> None:
    ends = motion.sections(np.array([0, travelled]))
    np.testing.assert_allclose(ends, np.linspace(0, 1, count + 1), atol=1e-12)


def test_what_rests_before_and_after_it_moves_is_seen_there_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "POSES", 1)
    np.testing.assert_allclose(motion.sections(np.array([0.0, 0, 3, 3])), [0, 0.5, 1])


def test_reach_is_the_farthest_pose_and_two_pixels_for_interpolation() -> None:
    assert motion.reach(path((-3, 4, 0), (1, 1, 0)), 100) == 7
    assert motion.reach(motion.roll(2), 100) == 4  # one degree at 100 px is 1.75 px
