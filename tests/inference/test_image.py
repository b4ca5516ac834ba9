import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restorekit.errors import UsageError
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
