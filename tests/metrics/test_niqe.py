import cv2
import numpy as np
import pytest
from skimage import data

from restorekit.errors import UsageError
from restorekit.metrics.niqe import _fit_asymmetric_gaussian, fit, niqe

SHARP = data.chelsea()


def test_damage_raises_the_score() -> None:
    rng = np.random.default_rng(0)
    sharp = niqe(SHARP)
    blurred = [niqe(cv2.GaussianBlur(SHARP, (0, 0), sigma)) for sigma in (1, 2.5)]
    noisy = [niqe(np.clip(SHARP + rng.normal(0, sigma, SHARP.shape), 0, 255).astype(np.uint8)) for sigma in (8, 25)]
    assert sharp < blurred[0] < blurred[1]
    assert sharp < noisy[0] < noisy[1]
    assert niqe(SHARP.astype(np.uint16) * 257) == pytest.approx(sharp, abs=1e-6)


@pytest.mark.parametrize(("shape", "draw"), [(2.0, "normal"), (1.0, "laplace")])
def test_the_shape_of_known_distributions_is_found(shape: float, draw: str) -> None:
    values = getattr(np.random.default_rng(0), draw)(size=200_000)
    found, left, right = _fit_asymmetric_gaussian(values)
    assert found == pytest.approx(shape, rel=0.02)
    assert left == pytest.approx(right, rel=0.02)


def test_what_a_model_was_fitted_on_is_near_to_it() -> None:
    images = [data.astronaut(), data.chelsea(), data.coffee()]
    model = fit(images)
    assert niqe(data.coffee(), model) < niqe(cv2.GaussianBlur(data.coffee(), (0, 0), 2), model)


def test_small_images_are_refused() -> None:
    with pytest.raises(UsageError, match="192 px"):
        niqe(SHARP[:191])
