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
    np.testing.assert_allclose(horizontal.draw_psf(rng), expected, atol=1e-7)
    assert RandomBlur(shares={"sharp": 1.0, "linear": 0.0}).draw_psf(rng).tolist() == [[1]]


def test_kinds_come_as_often_as_their_shares_say() -> None:
    rng = np.random.default_rng(0)
    blur = RandomBlur(shares={"sharp": 3.0, "linear": 1.0})
    sharp = sum(blur.draw_psf(rng).shape == (1, 1) for _ in range(400))
    assert sharp == pytest.approx(300, abs=30)  # 3.5 deviations


def test_real_surroundings_enter_a_crop_unless_its_edges_are_mirrored() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, :20] = 240
    for mirror_share, expected in ((0.0, 240 * 4 / 9), (1.0, 0)):
        blur = RandomBlur(
            shares={"linear": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0, mirror_share=mirror_share
        )
        crop = blur.degrade_crop(image, 20, 20, 24, np.random.default_rng(0))
        assert crop[12, 0, 0] == pytest.approx(expected, abs=0.5)  # four of nine pixels lie left of the crop


def test_a_simple_crop_has_neither_noise_nor_compression() -> None:
    flat = np.full((64, 64, 3), 100, np.uint8)
    blur = RandomBlur(noise=(20, 20), noise_share=1, jpeg_share=0)
    assert blur.degrade_crop(flat, 8, 8, 32, np.random.default_rng(0)).std() > 10
    assert blur.degrade_crop(flat, 8, 8, 32, np.random.default_rng(0), simple=True).tolist() == [[[100] * 3] * 32] * 32


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
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RandomBlur(**settings)
