import numpy as np
import pytest

from restorekit.degradation import psf
from restorekit.errors import UsageError

CASES = [(65, 30), (50, -40), (80, 40), (17.3, 12.5), (13, 45), (21, 90), (33, 0), (64, -75)]


def moments(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (x, y) and covariance, y up."""
    radius = kernel.shape[0] // 2
    y, x = np.mgrid[radius : -radius - 1 : -1, -radius : radius + 1]
    weights = kernel.astype(float).ravel()
    points = np.stack([x.ravel(), y.ravel()])
    centre = points @ weights
    offsets = points - centre[:, None]
    return centre, (offsets * weights) @ offsets.T


@pytest.mark.parametrize(("length", "angle"), CASES)
def test_linear_kernel_has_the_moments_of_a_segment(length: float, angle: float) -> None:
    kernel = psf.linear(length, angle)
    centre, covariance = moments(kernel)
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    assert kernel.shape[0] % 2 == 1
    assert abs(kernel.sum(dtype=float) - 1) < 1e-6
    assert np.abs(centre).max() < 1e-6
    assert direction @ covariance @ direction == pytest.approx(length**2 / 12 + 1 / 12, rel=0.02)
    _, axes = np.linalg.eigh(covariance)
    principal = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    # A segment that crosses few grid lines is bent by the grid itself, by up to half a degree.
    assert (principal - angle + 90) % 180 - 90 == pytest.approx(0, abs=0.1 if length >= 30 else 0.5)


@pytest.mark.parametrize(("length", "angle"), CASES)
def test_linear_kernel_is_symmetric(length: float, angle: float) -> None:
    kernel = psf.linear(length, angle)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)
    np.testing.assert_allclose(kernel.T, psf.linear(length, 90 - angle), atol=1e-7)


def test_horizontal_kernels_are_plain_rows() -> None:
    np.testing.assert_allclose(psf.linear(5, 0), [[0] * 5, [0] * 5, [0.2] * 5, [0] * 5, [0] * 5], atol=1e-7)
    np.testing.assert_allclose(psf.linear(4, 0)[2], [0.125, 0.25, 0.25, 0.25, 0.125])
    assert psf.linear(0, 17).tolist() == [[1]]


def test_linear_kernel_agrees_with_dense_sampling() -> None:
    length, angle = 23.4, 31.0
    kernel = psf.linear(length, angle)
    radius = kernel.shape[0] // 2
    t = (np.arange(200_000) + 0.5) / 200_000 * length - length / 2
    columns = np.rint(t * np.cos(np.radians(angle))).astype(int) + radius
    rows = np.rint(-t * np.sin(np.radians(angle))).astype(int) + radius
    sampled = np.zeros_like(kernel, float)
    np.add.at(sampled, (rows, columns), 1 / len(t))
    np.testing.assert_allclose(kernel, sampled, atol=2e-5)


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(UsageError):
        psf.linear(-1, 0)
    with pytest.raises(UsageError):
        psf.linear(float("nan"), 0)


def test_trajectories_are_centred_and_repeatable_and_straight_without_anxiety() -> None:
    for seed in range(10):
        kernel = psf.trajectory(np.random.default_rng(seed), 40)
        centre, _ = moments(kernel)
        assert abs(kernel.sum(dtype=float) - 1) < 1e-6
        assert np.abs(centre).max() < 0.5
        assert np.array_equal(kernel, psf.trajectory(np.random.default_rng(seed), 40))
    _, covariance = moments(psf.trajectory(np.random.default_rng(0), 40, anxiety=0))
    small, large = np.linalg.eigvalsh(covariance)
    assert large == pytest.approx(40**2 / 12, rel=0.03)
    assert small < 0.5


def test_a_trajectory_is_the_particle_of_boracchi_and_foi() -> None:
    """Written a second time, point by point, from the same draws; at that anxiety the direction is reversed at times."""
    length, anxiety, samples, seed = 30, 0.05, 2000, 4
    rng = np.random.default_rng(seed)
    centripetal, big_shake, gaussian_shake = 0.7 * rng.random(), 0.2 * rng.random(), 10 * rng.random()
    gaussian = rng.normal(size=samples) + 1j * rng.normal(size=samples)
    shaken, turned = rng.random(samples), rng.random(samples)
    step = length / (samples - 1)
    velocity = step * np.exp(1j * 2 * np.pi * rng.random())
    path, reversals = [0j], 0
    for t in range(1, samples):
        change = anxiety * (gaussian_shake * gaussian[t] - centripetal * path[-1]) * step
        if shaken[t] < big_shake * anxiety:
            change += 2 * velocity * np.exp(1j * (np.pi + turned[t] - 0.5))
            reversals += 1
        velocity = (velocity + change) / abs(velocity + change) * step
        path.append(path[-1] + velocity)
    assert reversals >= 3
    points = np.array(path) - np.mean(path)
    radius = int(np.ceil(max(abs(points.real).max(), abs(points.imag).max()))) + 1
    expected = np.zeros((2 * radius + 1, 2 * radius + 1))
    for point in points:  # shared out among the four nearest pixels
        left, top = int(np.floor(point.real)), int(np.floor(point.imag))
        for x in (left, left + 1):
            for y in (top, top + 1):
                expected[y + radius, x + radius] += (1 - abs(point.real - x)) * (1 - abs(point.imag - y)) / samples
    kernel = psf.trajectory(np.random.default_rng(seed), length, anxiety)
    np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_defocus_is_a_disc() -> None:
    kernel = psf.defocus(5)
    assert abs(kernel.sum(dtype=float) - 1) < 1e-6
    assert kernel[5, 5] == pytest.approx(1 / (np.pi * 25), rel=0.01)
    np.testing.assert_allclose(kernel, kernel.T)
