import math

import numpy as np
import pytest
from scipy import ndimage

from restorekit.degradation import motion
from restorekit.degradation.scene import MovingObject, Scene
from restorekit.errors import UsageError

STILL = np.zeros((2, 3))


def straight(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([[-x / 2, -y / 2, 0], [x / 2, y / 2, 0]])


def square(left: float, top: float, side: float, path: np.ndarray) -> MovingObject:
    """Covers whole pixels: their centres `left` to `left + side - 1`."""
    corners = [(left, top), (left + side - 1, top), (left + side - 1, top + side - 1), (left, top + side - 1)]
    return MovingObject(np.array(corners, np.float32), (0, 0), path)


def test_a_steady_horizontal_shake_is_the_mean_along_rows() -> None:
    sharp = np.zeros((21, 41, 3), np.float32)
    sharp[10, 20] = 1
    blurred = Scene(straight(10)).expose(sharp)
    assert blurred.sum() == pytest.approx(3, rel=1e-4)
    np.testing.assert_allclose(blurred[10, 17:24], 0.1, atol=0.01)  # one pixel of light over ten
    np.testing.assert_allclose(np.delete(blurred, 10, axis=0), 0, atol=1e-6)
    assert blurred[10, :, 0] @ np.arange(41) == pytest.approx(20, abs=0.01)


def test_light_gathers_where_the_camera_rests() -> None:
    sharp = np.zeros((21, 41, 1), np.float32)
    sharp[10, 20] = 1
    blurred = Scene(np.array([[-8.0, 0, 0], [0, 0, 0], [0, 0, 0]])).expose(sharp)[10, :, 0]  # moves, then rests as long
    np.testing.assert_allclose(blurred[13:19], 0.5 / 8, atol=0.005)
    assert blurred[19:].sum() == pytest.approx(0.5 + 1.5 * 0.5 / 8, abs=0.005)
    assert blurred[20] > 0.4


def test_half_black_and_half_white_meet_in_the_middle_of_light() -> None:
    edge = np.zeros((15, 41, 1), np.float32)
    edge[:, 21:] = 1
    edge[:, 20] = 0.5
    for curve, middle in (("gamma", 0.5 ** (1 / 2.2)), ("srgb", 0.735357), ("stored", 0.5)):
        stored = edge.copy()
        stored[:, 20] = middle
        blurred, sharp = Scene(straight(12)).photograph(stored, 0, stored, curve, 1)
        assert blurred[7, 20, 0] == pytest.approx(middle, abs=1e-3)
        np.testing.assert_allclose(sharp, stored, atol=1e-6)


def test_under_a_roll_a_point_leaves_an_arc_of_the_sweep() -> None:
    side, radius, sweep = 121, 50, 40
    sharp = np.zeros((side, side, 1), np.float32)
    sharp[60, 60 + radius] = 1
    blurred = Scene(motion.roll(sweep)).expose(sharp)[..., 0]
    y, x = np.nonzero(blurred > 0.2 * blurred.max())
    angles = np.degrees(np.arctan2(60 - y, x - 60))
    assert angles.max() == pytest.approx(20, abs=1)
    assert angles.min() == pytest.approx(-20, abs=1)
    assert np.abs(np.hypot(x - 60, y - 60) - radius).max() < 1
    assert blurred.sum() == pytest.approx(1, rel=0.01)


def test_a_roll_leaves_rings_and_the_centre_alone(photo: np.ndarray) -> None:
    y, x = np.mgrid[:161, :161] - 80
    rings = (0.5 + 0.4 * np.cos(np.hypot(x, y) / 4)).astype(np.float32)[..., None]
    inner = np.s_[40:-40, 40:-40]
    assert np.abs(Scene(motion.roll(6)).expose(rings)[inner] - rings[inner]).max() < 1 / 255
    sharp = photo.astype(np.float32) / 255
    difference = np.abs(Scene(motion.roll(6)).expose(sharp) - sharp)
    assert difference[62:66, 78:82].mean() < 0.3 * difference[:20].mean()


def test_a_scene_at_rest_is_the_image() -> None:
    sharp = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
    assert np.array_equal(Scene(STILL).expose(sharp), sharp)
    assert np.array_equal(Scene(STILL).expose(sharp, margin=4), sharp[4:-4, 4:-4])
    assert np.array_equal(Scene(straight(9)).rest(sharp, margin=4), sharp[4:-4, 4:-4])


def test_at_rest_objects_hide_what_an_exposure_without_motion_shows_hidden(photo: np.ndarray) -> None:
    light = photo.astype(np.float32) / 255
    places = ((-6, 5), (20, -9), (30, 25), (34, 29), (70, 70))  # over each edge, over one another, outside
    scene = Scene(STILL, tuple(square(*place, 12, STILL) for place in places))
    textures = [light[60:, 20 * number :][:12, :12] for number in range(5)]
    exposed = scene.expose(light[:44, :50], margin=2, textures=textures)
    assert np.abs(exposed - light[2:42, 2:48]).max() > 0.1
    np.testing.assert_allclose(scene.rest(light[:44, :50], margin=2, textures=textures), exposed, atol=1e-6)


def test_a_section_is_as_long_as_the_image_moves_in_its_corners_or_half_as_long_as_an_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    travelled = []
    sections = motion.sections
    monkeypatch.setattr(motion, "sections", lambda far: travelled.append(far[-1]) or sections(far))
    black = np.zeros((4, 5, 1), np.float32)
    camera = motion.roll(math.degrees(1.96))  # the corners are 2.5 px from the middle
    Scene(camera).expose(black)
    Scene(STILL, (square(0, 0, 3, straight(6)), square(0, 0, 3, straight(2)))).expose(
        black, textures=[black[:3, :3]] * 2
    )
    first, then = np.array([[0.0, 0, 0], [8, 0, 0], [8, 0, 0]]), np.array([[0.0, 0, 0], [0, 0, 0], [0, 5, 0]])
    Scene(then, (square(0, 0, 3, first),)).expose(
        black, textures=[black[:3, :3]]
    )  # 8 / 2 px, then 5 px with the camera
    np.testing.assert_allclose(travelled, [4.9, 3, 9], rtol=1e-4)


def expose_plainly(
    background: np.ndarray, camera: np.ndarray, objects: list[tuple[MovingObject, np.ndarray]], instants: int
) -> np.ndarray:
    """(H,W): the mean of many instants, every pixel looked up where its content is at rest."""
    rows, columns = background.shape
    y, x = np.mgrid[:rows, :columns]

    def back(pose: np.ndarray, middle: tuple[float, float], x: np.ndarray, y: np.ndarray) -> tuple:
        turn = np.radians(pose[2])  # counter-clockwise, y points down
        right, down = x - middle[0] - pose[0], y - middle[1] - pose[1]
        cosine, sine = np.cos(turn), np.sin(turn)
        return middle[0] + cosine * right - sine * down, middle[1] + sine * right + cosine * down

    def pose(path: np.ndarray, time: float) -> np.ndarray:
        return np.array([np.interp(time, np.linspace(0, 1, len(path)), axis) for axis in path.T])

    total = np.zeros((rows, columns))
    for time in (np.arange(instants) + 0.5) / instants:
        u, v = back(pose(camera, time), ((columns - 1) / 2, (rows - 1) / 2), x, y)
        seen = ndimage.map_coordinates(background, [v, u], order=1, mode="mirror")
        for item, texture in objects:
            left, top, width, height = item.box
            across, down = back(pose(item.path, time), (left + (width - 1) / 2, top + (height - 1) / 2), u, v)
            places, cover = [down - top, across - left], item.cover()
            covered = ndimage.map_coordinates(cover, places, order=1, mode="grid-constant")
            front = ndimage.map_coordinates(texture * cover, places, order=1, mode="grid-constant")
            seen = front + (1 - covered) * seen
        total += seen
    return total / instants


@pytest.mark.parametrize(
    ("seed", "length", "sweep", "band"),
    [
        (0, 4, 3, 1000),
        pytest.param(1, 30, 20, 10, marks=pytest.mark.slow),
        pytest.param(2, 80, 6, 2**14, marks=pytest.mark.slow),
    ],
)
def test_a_scene_is_the_mean_of_very_many_instants_to_half_a_grey_level(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, seed: int, length: int, sweep: float, band: int
) -> None:
    monkeypatch.setattr("restorekit.degradation.scene.BAND", band)  # 20 rows at a time, one, and all
    light = photo[..., :1].astype(np.float32) / 255
    rng = np.random.default_rng(seed)
    camera = motion.draw_path(rng, length, sweep)
    objects = tuple(square(*at, 15, motion.draw_path(rng, length, sweep)) for at in ((8, 12), (20, 15), (36, 30)))
    textures = [light[place : place + 15, place : place + 15] for place in (60, 80, 100)]
    seen = Scene(camera, objects).expose(light[:40, :48], textures=textures)[..., 0]
    squares = [(item, texture[..., 0]) for item, texture in zip(objects, textures, strict=True)]
    expected = expose_plainly(light[:40, :48, 0], camera, squares, 8 * length + 50)
    assert np.abs(seen - expected).max() < 0.5 / 255


def test_real_surroundings_come_in_from_the_margin() -> None:
    sharp = np.zeros((60, 60, 1), np.float32)
    sharp[:, :20] = 1
    blurred = Scene(straight(8)).expose(sharp, margin=20)  # the white ends half a pixel before the first column
    assert blurred.shape == (20, 20, 1)
    np.testing.assert_allclose(blurred[:, 0], 3.5 / 8, atol=0.01)
    assert not Scene(straight(8)).expose(sharp[20:40, 20:40]).any()


def test_the_margin_holds_what_a_roll_brings_to_the_corners() -> None:
    # The corners of 5x4 pixels are 2.5 px from the middle and travel 1.025 px: two whole ones, two for interpolation.
    assert Scene(motion.roll(math.degrees(2 * 0.41))).margin(4, 5) == 4
    assert Scene(motion.roll(math.degrees(2 * 0.399))).margin(4, 5) == 3  # 0.9975 px


def test_an_object_hides_what_is_behind_it() -> None:
    background = np.full((40, 60, 1), 0.25, np.float32)
    scene = Scene(STILL, (square(20, 10, 16, STILL),))
    seen = scene.expose(background, textures=[np.ones((16, 16, 1), np.float32)])
    assert seen[18, 28, 0] == 1  # not 1.25: light is not added
    assert seen[5, 5, 0] == seen[18, 45, 0] == 0.25
    np.testing.assert_array_equal(seen, scene.rest(background, textures=[np.ones((16, 16, 1), np.float32)]))


def test_a_moving_object_uncovers_the_background_for_its_share_of_the_time() -> None:
    background = np.full((40, 80, 1), 0.25, np.float32)
    scene = Scene(STILL, (square(30, 10, 17, straight(8)),))  # columns 30 to 46, 4 px to either side
    seen = scene.expose(background, textures=[np.ones((17, 17, 1), np.float32)])[18, :, 0]
    np.testing.assert_allclose(seen[34:43], 1, atol=1e-3)
    np.testing.assert_allclose(np.r_[seen[:25], seen[52:]], 0.25, atol=1e-6)
    # The left end at rest is half a pixel left of column 30: half of the time column 29.5 is covered.
    assert (seen[29] + seen[30]) / 2 == pytest.approx(0.25 + 0.75 / 2, abs=0.01)
    assert seen.sum() == pytest.approx(80 * 0.25 + 17 * 0.75, rel=0.002)  # as much is hidden as at rest


def test_an_object_moves_with_the_camera_and_nearer_ones_hide_farther_ones() -> None:
    background = np.zeros((40, 60, 1), np.float32)
    textures = [np.full((9, 9, 1), value, np.float32) for value in (0.5, 1.0)]
    moved = np.array([[5.0, -3, 0], [5, -3, 0]])
    scene = Scene(moved, (square(20, 20, 9, STILL), square(24, 20, 9, STILL)))
    seen = scene.expose(background, textures=textures)[..., 0]
    assert seen[20, 25 + 1] == pytest.approx(0.5, abs=1e-6)  # columns 25 to 28 of the farther one
    assert seen[20, 29 + 4] == pytest.approx(1, abs=1e-6)
    assert seen[20, 29] == pytest.approx(1, abs=1e-2)
    assert seen[17 - 2, 30] == seen[26 + 1, 30] == 0  # rows 17 to 25


def test_a_turning_object_turns_about_its_own_middle() -> None:
    background = np.zeros((60, 60, 1), np.float32)
    bar = MovingObject(
        np.array([(10, 28), (30, 28), (30, 32), (10, 32)], np.float32), (0, 0), np.array([[0, 0, 90.0]] * 2)
    )
    seen = Scene(STILL, (bar,)).expose(background, textures=[np.ones((5, 21, 1), np.float32)])[..., 0]
    y, x = np.nonzero(seen > 0.5)
    assert (x.min(), x.max(), y.min(), y.max()) == (18, 22, 20, 40)


def test_streaks_of_raised_highlights_do_not_exceed_white() -> None:
    night = np.zeros((21, 41, 3), np.float32)
    night[9:12, 19:22] = 1
    blurred, sharp = Scene(straight(10)).photograph(night, 0, night, "stored", 3)
    plain, _ = Scene(straight(10)).photograph(night, 0, night, "stored", 1)
    assert plain[10, 20, 0] == pytest.approx(0.3, abs=0.01)  # three white pixels over ten
    assert blurred[10, 20, 0] == pytest.approx(0.9, abs=0.03)
    assert blurred.max() <= 1
    assert np.array_equal(sharp, night)


def test_drawn_objects_are_cut_from_the_image_and_lie_where_they_show() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scene = Scene(STILL).with_objects(rng, (64, 64), (80, 100), (2, 5), (0, 1))
        assert 1 <= len(scene.objects) <= 3
        for item in scene.objects:
            _, _, width, height = item.box
            assert item.cut_texture(texture).shape == (*item.cover().shape, 3) == (height, width, 3)
            middle = item.outline.mean(axis=0)
            assert (middle > -10).all()
            assert (middle < 74).all()
            assert 64 * 0.1 * 0.7 < np.sqrt(item.cover().sum() / math.pi) < 64 * 0.25 * 1.4
    with pytest.raises(UsageError, match="12x64"):
        Scene(STILL).with_objects(np.random.default_rng(0), (64, 12), (64, 64), (2, 5), (0, 1))
