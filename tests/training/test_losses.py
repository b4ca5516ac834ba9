import numpy as np
import pytest
import torch

from restorekit.models.gradient_guidance import gradient_map
from restorekit.training.discriminators import VGG128
from restorekit.training.losses import relativistic


def test_relativistic_loss_rewards_winning_and_is_log_two_at_a_draw() -> None:
    high, low = torch.tensor([[3.0], [2.0]]), torch.tensor([[-2.0], [-3.0]])
    assert relativistic(high, low) < 0.1
    assert relativistic(low, high) > 4
    assert float(relativistic(high, high.mean() + torch.zeros(2, 1))) == pytest.approx(np.log(2), abs=0.1)


def test_the_gradient_map_is_that_of_spsr() -> None:
    ramp = torch.arange(8.0).repeat(6, 1)[None, None] / 10
    expected = (0.2**2 + 1e-6) ** 0.5
    assert gradient_map(ramp)[0, 0, 2, 3].item() == pytest.approx(expected, abs=1e-6)


def test_the_critic_has_the_published_size() -> None:
    critic = VGG128()
    assert sum(parameter.numel() for parameter in critic.parameters()) == 14_502_281
    assert critic(torch.rand(2, 3, 128, 128)).shape == (2, 1)
