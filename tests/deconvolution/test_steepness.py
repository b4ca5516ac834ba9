"""Whether edges are as flat as a blur would have made them."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, signal
from skimage import data
from torch import Tensor

from restorekit.deconvolution import Kernel, Lines, Windows
from restorekit.deconvolution.steepness import may_be_blurred, steepest

LINE = np.full((1, 9), 1 / 9)


def of_whole(kernel: np.ndarray, image: np.ndarray) -> Windows:
    return Windows(kernel[None, None].astype(np.float32), *image.shape)


def grey(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).float()[None, None]


def test_a_psf_leaves_of_a_step_what_its_projection_has_in_one_pixel() -> None:
    row = np.zeros((2, 1, 5, 5), np.float32)
    row[0, 0, 2] = 0.2  # five equal pixels beside each other
    row[1, 0, range(5), range(5)] = 0.2  # and on the diagonal that runs down
    left = steepest(row)
    across, falling, down, rising = range(4)
    assert left[0, 0, across] == pytest.approx(0.2, abs=1e-3)
    lens = 1 / sum(math.exp(-(x**2) / 2 / 0.7**2) for x in range(-3, 4))  # its own share in the middle pixel, 0.57
    assert left[0, 0, down] == pytest.approx(lens)
    assert left[1, 0, across] == left[1, 0, down] == pytest.approx(0.2, abs=1e-3)
    assert left[1, 0, rising] == pytest.approx(lens)  # edges along the line stay sharp
    assert left[1, 0, falling] == pytest.approx(0.2 / math.sqrt(2), abs=0.03)


@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_a_sharp_photograph_was_not_blurred_and_a_blurred_one_may_have_been(name: str) -> None:
    photo = getattr(data, name)()[80:380, 80:380] / 255
    sharp = photo if photo.ndim == 2 else photo.mean(2)
    blurred = signal.convolve(sharp, LINE, mode="valid") + 0.01 * np.random.default_rng(0).normal(size=(300, 292))
    assert not may_be_blurred(grey(sharp), of_whole(LINE, sharp))
    assert may_be_blurred(grey(blurred.clip(0, 1)), of_whole(LINE, blurred))


def test_a_blur_that_is_hardly_visible_counts_as_none() -> None:
    sharp = ndimage.gaussian_filter(data.camera()[80:380, 80:380] / 255, 0.7)
    small = np.outer([1, 2, 1], [1, 2, 1]) / 16  # leaves half of a step in one pixel
    assert not may_be_blurred(grey(sharp), of_whole(small, sharp))


@pytest.mark.slow
def test_a_psf_and_a_motion_field_speak_as_a_grid_of_psfs_does() -> None:
    # Sharp but for rows, which a line across cannot have blurred; steps between rows it leaves as they are.
    rows = np.repeat(np.random.default_rng(0).random(15), 20)[:, None] * np.ones(300)
    both = rows + np.repeat(np.random.default_rng(1).random(15), 20)
    smooth = ndimage.uniform_filter1d(both / 2, 9, axis=1)
    still, nine = np.zeros((300, 300), np.float32), np.full((300, 300), 9, np.float32)
    psf = LINE.astype(np.float32)
    for across, down in ((Kernel(psf), Kernel(psf.T)), (Lines(nine, still), Lines(still, nine))):
        assert may_be_blurred(grey(smooth), across)
        assert not may_be_blurred(grey(smooth), down)
        assert may_be_blurred(grey(smooth.T.copy()), down)
        assert not may_be_blurred(grey(smooth.T.copy()), across)


def test_a_motion_field_speaks_of_every_pixel() -> None:
    sharp = data.camera()[80:380, 80:380] / 255
    blurred = sharp.copy()
    blurred[:, 150:] = ndimage.uniform_filter1d(sharp, 9, axis=1)[:, 150:]
    v, u = np.zeros((2, 300, 300), np.float32)
    u[:, 160:] = 9
    assert may_be_blurred(grey(blurred), Lines(u, v))
    assert not may_be_blurred(grey(blurred), Lines(u[:, ::-1].copy(), v))


@pytest.mark.parametrize(("moving", "may"), [(50, False), (70, True)])  # columns that hold 2 and 3 of 14 edges
def test_a_motion_field_that_shows_at_few_edges_counts_as_none(moving: int, may: bool) -> None:
    stripes = np.tile(np.repeat(np.arange(15) % 2, 20), (100, 1)).astype(float)
    u, v = np.zeros((2, 100, 300), np.float32)
    u[:, :moving] = 9
    assert may_be_blurred(grey(ndimage.uniform_filter1d(stripes, 9, axis=1)), Lines(u, v)) == may


def test_of_a_turned_camera_the_sharp_middle_does_not_count() -> None:
    sharp = data.camera()[80:380, 80:380] / 255
    blurred = ndimage.uniform_filter1d(sharp, 9, axis=1)
    blurred[60:240, 60:240] = sharp[60:240, 60:240]
    psfs = np.zeros((5, 5, 9, 9), np.float32)
    psfs[:, :, 4] = 1 / 9
    assert not may_be_blurred(grey(blurred), Windows(psfs, 300, 300))
    psfs[1:4, 1:4] = 0
    psfs[1:4, 1:4, 4, 4] = 1
    assert may_be_blurred(grey(blurred), Windows(psfs, 300, 300))
