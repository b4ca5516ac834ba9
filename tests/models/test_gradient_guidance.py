import pytest
import torch

from restorekit.models.gradient_guidance import gradient_map


def test_the_gradient_map_is_that_of_spsr() -> None:
    ramp = torch.arange(8.0).repeat(6, 1)[None, None] / 10
    expected = (0.2**2 + 1e-6) ** 0.5
    assert gradient_map(ramp)[0, 0, 2, 3].item() == pytest.approx(expected, abs=1e-6)
