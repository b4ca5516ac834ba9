import math

import cv2
import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.special import gamma
from skimage import data

from restorekit.errors import UsageError
from restorekit.imaging.resize import resize
from restorekit.metrics.niqe import NaturalScenes, _features, _fit_asymmetric_gaussian, fit, niqe

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


def asymmetric_gaussian(values: np.ndarray) -> tuple[float, float, float]:
    """Shape and widths of the asymmetric generalised Gaussian with the values' moments (Lasmar et al. 2009)."""
    left, right = (np.sqrt(np.mean(side**2)) for side in (values[values < 0], values[values > 0]))
    ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    skew = left / right
    wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes = np.arange(0.2, 10, 0.001)
    shape = shapes[np.argmin((gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes)) - wanted) ** 2)]
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width


def block_features(block: np.ndarray) -> list[float]:
    """Mittal et al. 2013: 18 features of a block of one scale."""
    shape, left, right = asymmetric_gaussian(block)
    features = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = asymmetric_gaussian(block * np.roll(block, shift, axis=(0, 1)))
        features += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return features


def features_of(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mittal et al. 2013: 36 features of every whole block of 96 px, and its sharpness."""
    rows, columns = image.shape[0] // 96, image.shape[1] // 96
    luma = image[: rows * 96, : columns * 96].astype(float) @ [0.299, 0.587, 0.114]
    taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    scales, sharpness = [], []
    for side in (96, 48):
        if side == 48:
            luma = resize(luma, (rows * 48, columns * 48))
        mean = correlate(luma, window, mode="nearest")
        deviation = np.sqrt(np.abs(correlate(luma**2, window, mode="nearest") - mean**2))
        normal = (luma - mean) / (deviation + 1)
        places = [
            np.s_[y * side : (y + 1) * side, x * side : (x + 1) * side] for y in range(rows) for x in range(columns)
        ]
        scales.append([block_features(normal[place]) for place in places])
        sharpness.append([deviation[place].mean() for place in places])
    return np.concatenate(scales, axis=1), np.array(sharpness[0])


def test_the_features_are_those_of_the_paper() -> None:
    image = SHARP[:250, :310]  # neither side a multiple of 96
    for measured, expected in zip(_features(image), features_of(image), strict=True):
        np.testing.assert_allclose(measured, expected, atol=1e-8)


def test_the_distance_is_that_of_means_under_both_spreads() -> None:
    features, _ = features_of(SHARP)
    natural = NaturalScenes(np.linspace(0, 1, 36), np.diag(np.linspace(1, 2, 36)))
    difference = features.mean(axis=0) - natural.mean
    spread = (np.cov(features.T) + natural.covariance) / 2
    expected = math.sqrt(difference @ np.linalg.inv(spread) @ difference)
    assert niqe(SHARP, natural) == pytest.approx(expected, rel=1e-6)


def test_a_model_is_fitted_to_the_sharp_blocks_alone() -> None:
    images = [data.astronaut(), data.coffee()]
    blocks = []
    for image in images:
        features, sharpness = features_of(image)
        blocks.append(features[sharpness > 0.75 * sharpness.max()])
    model = fit(images)
    assert sum(map(len, blocks)) < 5 * 5 + 4 * 6
    np.testing.assert_allclose(model.mean, np.concatenate(blocks).mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(model.covariance, np.cov(np.concatenate(blocks).T), atol=1e-8)


def test_what_a_model_was_fitted_on_is_near_to_it() -> None:
    images = [data.astronaut(), data.chelsea(), data.coffee()]
    model = fit(images)
    assert niqe(data.coffee(), model) < niqe(cv2.GaussianBlur(data.coffee(), (0, 0), 2), model)


def test_small_images_are_refused() -> None:
    with pytest.raises(UsageError, match="192 px on a side, not 451x191"):
        niqe(SHARP[:191])
    assert niqe(SHARP[:192, :192]) > 0
