import math

import pytest
import torch
from helpers import noise

from restorekit.deconvolution.prediction import (
    bilateral,
    edges_of,
    keep_large,
    sharpen_edges,
    shock,
    soften,
    usefulness,
)


def test_a_shock_steepens_an_edge_and_overshoots_nothing() -> None:
    rows = torch.tensor([0, 0, 0.1, 0.3, 0.7, 0.9, 1, 1]).expand(1, 1, 5, 8)
    # Where the values bend upwards the smaller of both differences is taken away, where they bend down it is added.
    expected = torch.tensor([0, 0, 0, 0.1, 0.9, 1, 1, 1])
    torch.testing.assert_close(shock(rows, 1.0)[0, 0, 2], expected)
    torch.testing.assert_close(shock(rows.mT, 1.0)[0, 0, :, 2], expected)


def test_the_bilateral_filter_averages_what_is_alike_and_keeps_edges() -> None:
    step = torch.cat([torch.full((1, 1, 9, 6), 0.2), torch.full((1, 1, 9, 6), 0.8)], dim=-1)
    torch.testing.assert_close(bilateral(step, 1.4, 0.05), step)
    uneven = 0.5 + 0.01 * noise(1, 1, 30, 30)
    assert bilateral(uneven, 1.4, 0.05).std() < uneven.std() / 2
    # A pixel 0.1 above its surroundings weighs 1 itself; of the others w = exp(-distance / 2 s^2) exp(-0.1^2 / 2 t^2).
    point = torch.full((1, 1, 9, 9), 0.5)
    point[..., 4, 4] = 0.6
    around = sum(math.exp(-(y * y + x * x) / 2 - 0.5) for y in range(-2, 3) for x in range(-2, 3) if x or y)
    assert bilateral(point, 1.0, 0.1)[0, 0, 4, 4].item() == pytest.approx((0.6 + 0.5 * around) / (1 + around), abs=1e-6)


def test_gradients_are_kept_in_every_region_and_direction() -> None:
    edges = torch.randn(2, 90, 120, generator=torch.Generator().manual_seed(0))
    edges[:, :30] *= 0.01  # a region of weak ones keeps as many
    kept = keep_large(edges, 9, 0, torch.ones(90, 120, dtype=torch.bool))
    used = kept.abs().sum(0) > 0
    assert torch.equal(kept[:, used], edges[:, used])
    wanted = 18  # 2/9 of 9x9, in each of 3x3 regions and 4 directions; alone among their neighbours some are dropped
    per_region = used.unflatten(0, (3, 30)).unflatten(2, (3, 40)).sum((1, 3))
    assert per_region.max() <= 4 * wanted
    assert per_region.min() >= wanted
    assert edges.norm(dim=0)[used].min() < 0.1


def test_gradients_are_kept_where_the_mask_is_and_in_both_signs() -> None:
    image = torch.zeros(1, 1, 30, 30)
    image[..., 10:20, 10:20] = 1
    mask = torch.ones(30, 30, dtype=torch.bool)
    everything = keep_large(edges_of(image), 21, 0, mask)
    assert torch.equal(everything, edges_of(image))
    mask[:, :15] = False
    half = keep_large(edges_of(image), 21, 0, mask)
    assert not half[:, :, :15].any()
    assert torch.equal(half[:, :, 16:], everything[:, :, 16:])


def test_a_constant_image_has_no_edges() -> None:
    flat = torch.full((1, 1, 20, 20), 0.3)
    torch.testing.assert_close(sharpen_edges(flat, 0), flat)
    assert not keep_large(edges_of(flat), 9, 0, torch.ones(20, 20, dtype=torch.bool)).any()


def test_a_lens_makes_a_small_bell_of_a_point() -> None:
    point = torch.zeros(1, 1, 11, 11)
    point[..., 5, 5] = 1
    bell = soften(point)[0, 0]
    places = torch.arange(11.0) - 5
    for axis in (0, 1):
        assert (bell.sum(axis) * places**2).sum().item() == pytest.approx(0.49, abs=0.01)  # 0.7 px, squared
    assert bell.sum().item() == pytest.approx(1)
    flat = torch.full((1, 1, 5, 5), 0.3)
    torch.testing.assert_close(soften(flat), flat)


def test_a_lone_step_is_useful_and_stripes_are_not() -> None:
    step = torch.zeros(1, 1, 20, 20)
    step[..., 10:] = 1
    useful = usefulness(edges_of(step))
    assert useful[10, 9].item() == pytest.approx(0.2 / 0.22)  # of five columns one has a gradient of 1; and 0.5 / 25
    assert not useful[:, :7].any()
    stripes = torch.zeros(1, 1, 20, 20)
    stripes[..., ::2] = 1
    assert usefulness(edges_of(stripes))[10, 9].item() == pytest.approx(0.2 / 1.02)  # three up and two down
