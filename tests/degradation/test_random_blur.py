import pickle

import numpy as np
import pytest

from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import UsageError


def test_only_the_asked_kinds_are_drawn() -> None:
    rng = np.random.default_rng(0)
    horizontal = RandomBlur(shares={"linear": 1.0}, length=(9, 9), angle=(0, 0))
    expected = np.zeros((9, 9), np.float32)
    expected[4] = 1 / 9
    np.testing.assert_allclose(horizontal.draw_psf("linear", rng), expected, atol=1e-7)
    assert RandomBlur(shares={"sharp": 1.0, "linear": 0.0}).draw_kind(rng) == "sharp"
    assert RandomBlur().draw_psf("sharp", rng).tolist() == [[1]]


class Highest:
    """A generator that draws the end of every range."""

    def uniform(self, low: float, high: float) -> float:
        return high


def test_our_ranges_are_what_the_readme_and_the_weights_say() -> None:
    blur = RandomBlur()
    assert blur.shares == {"linear": 0.55, "line": 0.12, "trajectory": 0.12, "defocus": 0.05, "sharp": 0.16}
    assert (blur.length, blur.angle, blur.sweep) == ((13, 21), (-40, 40), (0, 2))
    assert (blur.noise, blur.noise_share, blur.jpeg, blur.jpeg_share) == ((0, 3), 0.3, (60, 98), 0.3)
    assert (blur.light, blur.highlights, blur.ramp, blur.mirror_share) == ("auto", (1, 1), 0, 0.5)


def test_a_disc_is_as_wide_as_a_third_of_the_longest_line() -> None:
    assert RandomBlur(length=(13, 21)).draw_psf("defocus", Highest()).shape == (9, 9)  # radius 3.5
    assert RandomBlur(length=(1, 2)).draw_psf("defocus", Highest()).shape == (3, 3)  # radius 0.6


def test_jpeg_may_have_the_lowest_quality() -> None:
    assert RandomBlur(jpeg=(1, 100)).jpeg == (1, 100)
    for wrong in ((0, 100), (1, 101)):
        with pytest.raises(UsageError, match="`jpeg` must lie in 1 to 100"):
            RandomBlur(jpeg=wrong)


def test_kinds_come_as_often_as_their_shares_say() -> None:
    rng = np.random.default_rng(0)
    blur = RandomBlur(shares={"sharp": 3.0, "linear": 1.0})
    sharp = sum(blur.draw_kind(rng) == "sharp" for _ in range(400))
    assert sharp == pytest.approx(300, abs=30)  # 3.5 deviations


def test_real_surroundings_enter_a_crop_unless_its_edges_are_mirrored() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, :20] = 240
    for mirror_share, expected in ((0.0, 240 * 4 / 9), (1.0, 0)):
        blur = RandomBlur(
            shares={"linear": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0, mirror_share=mirror_share
        )
        crop = blur.degrade_crop(image, 20, 20, 24, np.random.default_rng(0))[0]
        assert crop[12, 0, 0] == pytest.approx(expected, abs=0.5)  # four of nine pixels lie left of the crop


def test_a_simple_crop_has_neither_noise_nor_compression() -> None:
    flat = np.full((64, 64, 3), 100, np.uint8)
    blur = RandomBlur(noise=(20, 20), noise_share=1, jpeg_share=0)
    assert blur.degrade_crop(flat, 8, 8, 32, np.random.default_rng(0))[0].std() > 10
    assert (
        blur.degrade_crop(flat, 8, 8, 32, np.random.default_rng(0), simple=True)[0].tolist() == [[[100] * 3] * 32] * 32
    )


def test_a_random_blur_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(RandomBlur())) == RandomBlur()
    assert RandomBlur().scale == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shares": {"lines": 1.0}}, r"`shares` knows no blur 'lines'.*defocus"),
        ({"shares": {}}, "`shares`"),
        ({"shares": {"linear": -1.0, "sharp": 2.0}}, "`shares`"),
        ({"length": (9.0, 5.0)}, r"`length` ends before it begins \(9:5\)"),
        ({"jpeg": (98, 60)}, "`jpeg`"),
        ({"sweep": (2, 1)}, "`sweep`"),
        ({"light": "linear"}, "`light` cannot be 'linear'.*random"),
        ({"highlights": (0.5, 1)}, "`highlights`"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RandomBlur(**settings)


CLEAN = {"noise_share": 0.0, "jpeg_share": 0.0}


@pytest.mark.parametrize("mirror_share", [0.0, 1.0])
def test_a_crop_of_a_shaking_camera_belongs_to_its_sharp_crop(photo: np.ndarray, mirror_share: float) -> None:
    blur = RandomBlur(shares={"shake": 1.0}, length=(8, 8), light="random", mirror_share=mirror_share, **CLEAN)
    for seed in range(6):
        degraded, sharp = blur.degrade_crop(photo, 20, 30, 64, np.random.default_rng(seed))
        assert np.array_equal(sharp, photo[20:84, 30:94])
        difference = np.abs(degraded.astype(float) - sharp)[8:-8, 8:-8].mean()
        shifted = np.abs(degraded.astype(float) - photo[26:90, 36:100])[8:-8, 8:-8].mean()
        assert 0 < difference < shifted


def test_a_scene_puts_objects_into_both_crops(photo: np.ndarray) -> None:
    blur = RandomBlur(shares={"scene": 1.0}, length=(0, 0), sweep=(0, 0), **CLEAN)
    for seed in range(4):
        degraded, sharp = blur.degrade_crop(photo, 20, 30, 64, np.random.default_rng(seed))
        pasted = (sharp != photo[20:84, 30:94]).any(axis=2).mean()
        assert 0.005 < pasted < 0.7
        assert np.array_equal(degraded, sharp)  # nothing moves


def test_highlights_are_raised_before_the_blur_of_any_kind() -> None:
    night = np.zeros((60, 60, 3), np.uint8)
    night[29:31, 29:31] = 255
    for kind in ("linear", "shake"):
        peaks = [
            RandomBlur(shares={kind: 1.0}, length=(12, 12), sweep=(0, 0), highlights=(raised, raised), **CLEAN)
            .degrade_crop(night, 10, 10, 40, np.random.default_rng(1))[0]
            .max()
            for raised in (1.0, 2.0)
        ]
        assert peaks[0] < peaks[1] <= 255


def test_light_is_blurred_where_asked() -> None:
    edge = np.zeros((40, 60, 3), np.uint8)
    edge[:, 30:] = 255
    blur = {"shares": {"linear": 1.0}, "length": (10, 10), "angle": (0, 0), **CLEAN}
    for light, middle in (("auto", 127.5), ("gamma", 255 * 0.5 ** (1 / 2.2)), ("srgb", 255 * 0.735357)):
        degraded, _ = RandomBlur(light=light, **blur).degrade_crop(edge, 0, 0, 40, np.random.default_rng(0))
        # Columns 29 and 30 lie half a pixel before and behind the edge: 0.45 and 0.55 of the light.
        assert degraded[20, 29:31, 0].mean() == pytest.approx(middle, abs=1.5)
