"""What follows where a network told the blur: it is undone, unless the image is sharp."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers import noise
from torch import Tensor

from restorekit.deconvolution import Blur, Kernel, Lines, tv
from restorekit.models.blind_deconvolution import LearnedBlur
from restorekit.models.deblur import chakrabarti, gong, schuler, sun
from restorekit.runtime.progress import PATIENT, Listener

LINE = Kernel(np.full((1, 9), 1 / 9, np.float32))
FIELD = Lines(np.full((80, 100), 9, np.float32), np.zeros((80, 100), np.float32))


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""


class Told(LearnedBlur[Config]):
    """A system that is told what it finds."""

    def __init__(self, blur: Blur) -> None:
        super().__init__(Config())
        self.blur = blur

    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        return self.blur


def blocks() -> Tensor:
    """(1,3,80,100): grey squares of 20 px."""
    return noise(1, 1, 4, 5).repeat_interleave(20, 2).repeat_interleave(20, 3).expand(1, 3, 80, 100).contiguous()


@pytest.mark.parametrize("found", [LINE, FIELD])
def test_blur_that_a_network_finds_in_a_sharp_image_counts_as_none(found: Blur) -> None:
    torch.testing.assert_close(Told(found)(blocks()), blocks(), atol=0, rtol=0)


@pytest.mark.parametrize("found", [LINE, FIELD])
def test_a_found_blur_is_undone_as_if_there_were_two_percent_of_noise(found: Blur) -> None:
    blurred = FIELD.on(blocks()).forward(blocks())  # without noise
    expected = tv(blurred, found, 0.02).clamp(0, 1)
    assert (expected - blurred).abs().mean() > 0.01
    torch.testing.assert_close(Told(found)(blurred), expected)


def test_stronger_noise_is_believed() -> None:
    blurred = FIELD.on(blocks()).forward(blocks())
    torch.testing.assert_close(Told(LINE).deconvolve(blurred, LINE, 0.05), tv(blurred, LINE, 0.05))


@pytest.mark.parametrize("system", [chakrabarti.Chakrabarti, gong.Gong, schuler.Schuler, sun.Sun])
def test_all_networks_that_tell_a_blur_do_so(system: type) -> None:
    assert issubclass(system, LearnedBlur)
    assert system.find is LearnedBlur.find
    assert system.deconvolve is LearnedBlur.deconvolve
