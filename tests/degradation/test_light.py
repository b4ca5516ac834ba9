import numpy as np
import pytest

from restorekit.degradation.light import draw_curve, from_light, raise_highlights, to_light
from restorekit.imaging.dtypes import from_unit, to_unit


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_half_of_full_light_is_stored_as_each_curve_says() -> None:
    half = values(0.5)
    assert from_light(half, "stored") == pytest.approx(0.5)
    assert from_light(half, "gamma") == pytest.approx(0.729740, abs=1e-6)  # 0.5 ** (1 / 2.2)
    assert from_light(half, "srgb") == pytest.approx(0.735357, abs=1e-6)  # 1.055 * 0.5 ** (1 / 2.4) - 0.055


def test_srgb_is_a_line_near_black() -> None:
    # IEC 61966-2-1: value / 12.92 up to 0.04045, ((value + 0.055) / 1.055) ** 2.4 above; 0.5 becomes 0.21404.
    np.testing.assert_allclose(to_light(values(0.0, 0.02, 0.5, 1.0), "srgb"), [0, 0.0015480, 0.2140411, 1], atol=1e-6)
    np.testing.assert_allclose(from_light(values(0.001, 0.003), "srgb"), [0.01292, 0.03876], rtol=1e-5)
    just_above = to_light(values(0.05), "srgb")  # the line would give 0.003870
    assert just_above == pytest.approx(0.0039359, rel=1e-4)


@pytest.mark.parametrize("curve", ["stored", "gamma", "srgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_stored_value_comes_back(curve: str, dtype: type) -> None:
    stored = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    assert np.array_equal(from_unit(from_light(to_light(to_unit(stored), curve), curve), dtype), stored)


@pytest.mark.parametrize("curve", ["stored", "gamma", "srgb"])
def test_more_light_than_a_file_holds_is_white(curve: str) -> None:
    np.testing.assert_allclose(from_light(values(-0.1, 1.0, 2.5), curve), [0, 1, 1], atol=1e-6)


def test_highlights_alone_are_raised() -> None:
    light = np.array([[[0.2, 0.95, 0.5], [0.2, 0.5, 0.96]]], np.float32)
    np.testing.assert_allclose(raise_highlights(light, 3), [[[0.2, 0.95, 0.5], [0.6, 1.5, 2.88]]], rtol=1e-6)


def test_curves_are_drawn_evenly_where_asked_and_follow_the_blur_by_default() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_curve("random", True, rng) for _ in range(300)]
    assert all(drawn.count(curve) == pytest.approx(100, abs=25) for curve in ("stored", "gamma", "srgb"))
    assert (draw_curve("auto", True, rng), draw_curve("auto", False, rng)) == ("stored", "gamma")
    assert draw_curve("srgb", True, rng) == draw_curve("srgb", False, rng) == "srgb"
