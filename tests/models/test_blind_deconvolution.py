"""What follows where a network told the blur: it is undone, unless the image is sharp."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from helpers import noise
from torch import Tensor

from restorekit.deconvolution import Blur, Kernel, Lines, tv
from restorekit.models import registry
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
def test_a_found_blur_is_undone_as_if_two_percent_of_noise_were_added(found: Blur) -> None:
    blurred = FIELD.on(blocks()).forward(blocks())  # without noise, which counts as 0.4 %
    expected = tv(blurred, found, (0.02**2 + 0.004**2) ** 0.5).clamp(0, 1)
    assert (expected - blurred).abs().mean() > 0.01
    torch.testing.assert_close(Told(found)(blurred), expected)


def test_a_blur_that_is_told_is_undone_with_the_noise_that_was_measured() -> None:
    blurred = FIELD.on(blocks()).forward(blocks())
    torch.testing.assert_close(Told(LINE).restore(blurred, LINE, 0.01), tv(blurred, LINE, 0.01).clamp(0, 1))


@dataclass
class Ear:
    """Remembers what it hears, and ends the computation once that is `last`."""

    last: str
    parts: list[str] = field(default_factory=list)

    def begin(self, part: str) -> None:
        self.parts.append(part)
        if part == self.last:
            raise KeyboardInterrupt

    def go_on(self) -> None:
        """Nothing to hear."""


@pytest.mark.parametrize(
    ("name", "options", "side", "parts"),
    [
        ("gong", {"widths": (4, 4, 4, 4, 4)}, 40, []),
        ("schuler", {}, 60, ["stage 1 of 3", "stage 2 of 3", "stage 3 of 3"]),
        (
            "sun",
            {"widths": (4, 4, 4)},
            60,
            [*(f"turn {k} of 5" for k in range(1, 6)), "sweep 1 of 15", "sweep 2 of 15"],
        ),
        # 153 + 2 x 16 px of frame hold 9 patches of 65 that are 15 px apart; 3 rows of them are 27.
        ("chakrabarti", {"width": 4, "stride": 15}, 153, ["row 1 of 9", "row 4 of 9"]),
    ],
)
def test_whoever_waits_hears_of_each_part_of_the_search_and_may_end_it(
    name: str, options: dict[str, object], side: int, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chakrabarti, "CHUNK", 27)
    heard = ["looking for blur", *parts]
    ear = Ear(last=heard[-1])
    with pytest.raises(KeyboardInterrupt):
        registry.build(name, **options).eval().find(noise(1, 3, side, side), ear)
    assert ear.parts == heard


def test_whoever_waits_may_end_the_fit_of_a_psf() -> None:
    class Leaving(Ear):
        def go_on(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chakrabarti.minimise(torch.ones(101, 101), torch.ones(51, 51), torch.ones(1, 1, 1), Leaving(""))


def test_whoever_waits_hears_how_motion_is_undone() -> None:
    ear = Ear(last="step 3 of 7")
    with pytest.raises(KeyboardInterrupt):
        Told(FIELD).restore(blocks(), FIELD, 0.01, ear)
    assert ear.parts == ["step 1 of 7", "step 2 of 7", "step 3 of 7"]


@pytest.mark.parametrize("system", [chakrabarti.Chakrabarti, gong.Gong, schuler.Schuler, sun.Sun])
def test_all_networks_that_tell_a_blur_do_so(system: type) -> None:
    assert issubclass(system, LearnedBlur)
    assert system.find is LearnedBlur.find
    assert system.restore_found is LearnedBlur.restore_found
    assert system.deconvolve is LearnedBlur.deconvolve
