"""Losses on scores and slopes whose values are known by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from restorekit.errors import UsageError
from restorekit.training.losses import GAN_LOSSES, GANName, adversarial_loss, center_crop, gradient_penalty


def scores(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1)


@pytest.mark.parametrize(
    ("name", "restored", "sharp", "generator", "discriminator"),
    [
        # Sigmoid of log 3 is 3/4, of 0 is 1/2.
        ("non-saturating", (math.log(3),), (0.0,), math.log(4 / 3), math.log(4) + math.log(2)),
        ("non-saturating", (math.log(3), 0.0), (0.0, 0.0), math.log(8 / 3) / 2, math.log(8) / 2 + math.log(2)),
        ("wgan", (1.0, 3.0), (5.0, 9.0), -2.0, -5.0),
        # One score of each kind: the difference of log 3 in favour of the sharp one.
        ("ragan", (0.0,), (math.log(3),), math.log(4), math.log(4 / 3)),
        ("ralsgan", (0.0,), (3.0,), 16.0, 4.0),
        # Against averages of 1 and 4: generator ((-5)^2 + (-3)^2)/2 and (3^2 + 5^2)/2; discriminator 1, 9 and 9, 1.
        ("ralsgan", (0.0, 2.0), (3.0, 5.0), 17.0, 5.0),
    ],
)
def test_gan_losses_have_the_values_of_their_papers(
    name: GANName,
    restored: tuple[float, ...],
    sharp: tuple[float, ...],
    generator: float,
    discriminator: float,
) -> None:
    loss, as_they_are = GAN_LOSSES[name], nn.Identity()
    assert float(loss.generator_loss(as_they_are, scores(*restored), scores(*sharp))) == pytest.approx(generator)
    assert float(loss.discriminator_loss(as_they_are, scores(*restored), scores(*sharp))) == pytest.approx(
        discriminator
    )


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_the_adversarial_loss_trains_the_generator_alone(name: GANName) -> None:
    discriminator = nn.Linear(1, 1)
    restored = scores(0.3, -0.2).requires_grad_()
    adversarial_loss(GAN_LOSSES[name], discriminator, restored, scores(1.0, 2.0)).backward()
    assert restored.grad is not None
    assert restored.grad.abs().sum() > 0
    assert discriminator.weight.grad is None
    assert discriminator.weight.requires_grad  # for its own step


def test_gradient_penalty_of_a_plane_is_known() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    nn.init.constant_(critic[1].weight, 0.5)  # slope: sqrt(12 * 0.25)
    penalty = gradient_penalty(critic, torch.zeros(3, 3, 2, 2), torch.ones(3, 3, 2, 2))
    assert float(penalty.detach()) == pytest.approx((math.sqrt(3) - 1) ** 2, rel=1e-5)


def test_the_gradient_penalty_pulls_the_slope_towards_one() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    nn.init.constant_(critic[1].weight, 0.5)
    gradient_penalty(critic, torch.zeros(3, 3, 2, 2), torch.ones(3, 3, 2, 2)).backward()
    # Of (|w| - 1)^2: 2 (|w| - 1) w / |w|.
    torch.testing.assert_close(critic[1].weight.grad, torch.full((1, 12), 2 * (math.sqrt(3) - 1) * 0.5 / math.sqrt(3)))


def test_the_slope_is_taken_between_the_images_at_another_place_for_each_pair() -> None:
    class Squares(nn.Module):
        """Its slope at an image is the image."""

        def forward(self, batch: Tensor) -> Tensor:
            return batch.square().flatten(1).sum(1, keepdim=True) / 2

    ones = torch.ones(3, 3, 2, 2)
    assert float(gradient_penalty(Squares(), ones, ones).detach()) == pytest.approx((math.sqrt(12) - 1) ** 2, rel=1e-5)
    torch.manual_seed(0)
    places = torch.rand(3)  # what the penalty draws
    torch.manual_seed(0)
    penalty = gradient_penalty(Squares(), torch.zeros_like(ones), ones).detach()
    assert float(penalty) == pytest.approx(float(((1 - places) * math.sqrt(12) - 1).square().mean()), rel=1e-5)


def test_the_center_crop_is_the_middle_and_refuses_smaller_batches() -> None:
    batch = torch.arange(36.0).view(1, 1, 6, 6)
    assert center_crop(batch, 2).flatten().tolist() == [14, 15, 20, 21]
    with pytest.raises(UsageError, match="looks at 8 px, the crops have 6"):
        center_crop(batch, 8)
