from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorekit.errors import RestorekitError, UsageError
from restorekit.inference.engine import Engine
from restorekit.inference.image import Size, restore_to_size
from restorekit.inference.settings import Settings
from restorekit.media.image import Image
from restorekit.models import registry
from restorekit.models.model import Model


class DoublingOnce(nn.Module):
    """Doubles the image, and overflows in half precision while it is small."""

    def forward(self, rgb: Tensor) -> Tensor:
        large = nn.functional.interpolate(rgb, scale_factor=2, mode="nearest")
        return large * torch.inf if torch.is_autocast_enabled("cpu") and rgb.shape[-1] < 40 else large


def test_a_tile_redone_in_the_first_of_two_enlargements_is_reported() -> None:
    spec = registry.configure("espcn", scale=2)[1]
    engine = Engine(Model(DoublingOnce(), spec), Settings("cpu", "bf16"))
    restored = restore_to_size(Image(np.full((30, 30, 3), 100, np.uint8)), engine, Size(factor=4))
    assert restored.image.size == (120, 120)
    assert restored.info.redone == 1
    assert restored.info.tiles == 2


@pytest.mark.parametrize("values", [{"factor": 0}, {"factor": 65}, {"pixels": (0, 4)}, {"factor": 2, "pixels": (4, 4)}])
def test_impossible_sizes_are_usage_errors(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Size(**values)


def test_a_factor_rounds_half_up() -> None:
    assert Size(factor=2.5).of(3, 5, 4) == (8, 13)
    assert Size().of(3, 5, 4) == (12, 20)
    assert Size(pixels=(7, 9)).of(3, 5, 4) == (7, 9)


class OneColour:
    """Stands in for an engine whose network gives the same everywhere."""

    spec = SimpleNamespace(scale=1)

    def __call__(self, pixels: np.ndarray, *rest: object) -> SimpleNamespace:
        return SimpleNamespace(pixels=np.full_like(pixels, 3), info=None, limits=None, blur=None)


@pytest.mark.parametrize(("low", "high", "refused"), [(0, 255, True), (100, 106, True), (100, 105, False)])
def test_one_colour_where_the_image_has_several_is_no_result(low: int, high: int, refused: bool) -> None:
    pixels = np.full((8, 9, 3), (200, 10, low), np.uint8)
    pixels[5, 4, 2] = high  # of 255, 5 is just below 2 %
    with pytest.raises(RestorekitError, match="one colour") if refused else nullcontext():
        restore_to_size(Image(pixels), OneColour())
