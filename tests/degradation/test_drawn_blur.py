import numpy as np
import pytest

from restorekit.degradation.random_blur import RandomBlur
from restorekit.degradation.synthetic_blur import BlurSettings, DrawnBlur
from restorekit.errors import UsageError


def test_the_defaults_are_the_papers_and_those_of_the_bundled_weights() -> None:
    settings = BlurSettings()
    # GGGAN, section 3.1.1: "50 to 80 pixels, -40 to 40 degrees".
    assert (settings.length, settings.angle, settings.noise) == ((50, 80), (-40, 40), 0)
    assert settings.sweep == (1, 6)
    assert (RandomBlur().length, RandomBlur().angle) == ((13, 21), (-40, 40))


def test_a_positive_angle_points_up_and_to_the_right() -> None:
    drawn = DrawnBlur.draw(BlurSettings(length=(30, 30), angle=(40, 40)), 99, 99, np.random.default_rng(0))
    asked = RandomBlur(length=(30, 30), angle=(40, 40)).draw_linear_psf(np.random.default_rng(0))
    for kernel in (drawn.blur, asked):
        middle = len(kernel) // 2
        assert kernel[:middle, middle + 1 :].sum() > 0.4  # rows above the middle come first
        assert kernel[:middle, :middle].sum() == 0
    assert drawn.angle == 40


def test_a_valid_scene_loses_what_its_camera_brings_in() -> None:
    sharp = np.full((60, 80, 3), 90, np.uint8)
    for kind in ("rotational", "shake", "scene"):
        settings = BlurSettings(kind=kind, length=(8, 8), sweep=(4, 4), border="valid")
        rng = np.random.default_rng(0)
        drawn = DrawnBlur.draw(settings, 60, 80, rng)
        blurred, shown = drawn.apply(sharp, 0, rng)
        assert drawn.edge >= 3
        assert blurred.shape == shown.shape == (60 - 2 * drawn.edge, 80 - 2 * drawn.edge, 3)
        assert (blurred == 90).all()


def test_an_image_is_valid_while_a_pixel_of_it_is() -> None:
    settings = BlurSettings(length=(9, 9), angle=(0, 0), border="valid")  # its PSF reaches 4 px
    assert DrawnBlur.draw(settings, 9, 9, np.random.default_rng(0)).edge == 4
    with pytest.raises(UsageError, match="8x9, its blur reaches 4 px: nothing is valid"):
        DrawnBlur.draw(settings, 9, 8, np.random.default_rng(0))


def test_both_images_of_a_scene_show_its_objects(photo: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    drawn = DrawnBlur.draw(BlurSettings(kind="scene", length=(0, 0), sweep=(0, 0)), *photo.shape[:2], rng)
    blurred, shown = drawn.apply(photo, 0, rng)
    assert np.array_equal(blurred, shown)  # nothing moves
    assert not np.array_equal(shown, photo)
