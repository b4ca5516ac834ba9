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
    np.testing.assert_allclose(motion.sample(drawn, 400).mean(axis=0), 0, atol=0.01)
    assert np.hypot(*np.diff(steps[:, :2], axis=0).T).max() < 0.5  # smooth: a step is like the one before it
    assert np.array_equal(drawn, motion.draw_path(np.random.default_rng(seed), 20, 3))


def test_drawn_paths_lead_anywhere() -> None:
    ends = np.array([motion.draw_path(np.random.default_rng(seed), 20, 3)[-1] for seed in range(40)])
    assert (ends > 0).any(axis=0).all()
    assert (ends < 0).any(axis=0).all()


def test_poses_lie_in_the_middle_of_equal_parts_of_the_exposure() -> None:
    bent = path((0, 0, 0), (4, 0, 0), (4, 8, 2))
    np.testing.assert_allclose(motion.sample(bent, 4), [[1, 0, 0], [3, 0, 0], [4, 2, 0.5], [4, 6, 1.5]])
    np.testing.assert_allclose(motion.sample(bent, 1), [[4, 0, 0]])


def test_a_positive_turn_is_counter_clockwise_about_the_centre_and_a_shift_goes_right_and_down() -> None:
    turn, shift = motion.matrices(path((0, 0, 90), (3, 5, 0)), centre=(10, 20))
    np.testing.assert_allclose(turn @ [10, 20, 1], [10, 20], atol=1e-12)
    np.testing.assert_allclose(turn @ [14, 20, 1], [10, 16], atol=1e-12)  # from east to north, and y points down
    np.testing.assert_allclose(shift @ [1, 2, 1], [4, 7])


def test_chained_maps_apply_the_inner_one_first() -> None:
    shift, turn = motion.matrices(path((3, 0, 0)), (0, 0)), motion.matrices(path((0, 0, 90)), (0, 0))
    np.testing.assert_allclose(motion.chain(turn, shift)[0] @ [1, 0, 1], [0, -4], atol=1e-12)
    np.testing.assert_allclose(motion.chain(shift, turn)[0] @ [1, 0, 1], [3, -1], atol=1e-12)


def test_distance_counts_every_step_as_the_longest() -> None:
    assert motion.distance(path((0, 0, 0), (3, 4, 0), (3, 5, 0)), 100) == pytest.approx(10)
    assert motion.distance(motion.roll(-6), 100) == pytest.approx(np.radians(6) * 100)
    assert motion.distance(path((0, 0, 0), (3, 4, 2)), 100) == pytest.approx(5 + np.radians(2) * 100)


def test_reach_is_the_farthest_pose_and_two_pixels_for_interpolation() -> None:
    assert motion.reach(path((-3, 4, 0), (1, 1, 0)), 100) == 7
    assert motion.reach(motion.roll(2), 100) == 4  # one degree at 100 px is 1.75 px
