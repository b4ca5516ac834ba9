"""What every objective offers the trainer, and the form that objectives with one discriminator share."""

from torch import Tensor, nn

from restorekit.training.losses import GANLoss, adversarial_loss

LossTerms = dict[str, Tensor]
"""Weighted terms of a loss by name."""


class TrainingObjective(nn.Module):
    """What a generator is trained for; without discriminators unless a subclass makes some."""

    def __init__(self) -> None:
        super().__init__()
        self.discriminators: nn.Module = nn.ModuleDict()
        """Networks trained against the generator."""

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Terms of the generator's loss, and the restored batch for the discriminators' steps.

        Args:
            model: the generator.
            degraded: (N,3,H,W) in 0..1.
            sharp: (N,3,sH,sW) in 0..1.
        """
        raise NotImplementedError

    def discriminator_steps(self, step: int) -> int:
        """How many steps of the discriminators follow generator step `step` (counted from 0)."""
        return 1

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """Loss of the discriminators; `restored` is detached."""
        raise NotImplementedError

    def constrain(self) -> None:
        """Called after every step of the discriminators: the place for a constraint on their weights."""


class SingleDiscriminator(TrainingObjective):
    """An objective with one discriminator.

    Args:
        gan: the GAN loss.
        discriminator: raw scores of its input; None to train without one.
    """

    def __init__(self, gan: GANLoss, discriminator: nn.Module | None) -> None:
        super().__init__()
        self.gan = gan
        self.discriminators = nn.Module() if discriminator is None else discriminator

    def discriminator_input(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """What the discriminator looks at of a restored or sharp batch."""
        return batch

    def adversarial_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The generator's adversarial term, without its weight."""
        restored, sharp = (self.discriminator_input(degraded, batch) for batch in (restored, sharp))
        return adversarial_loss(self.gan, self.discriminators, restored, sharp)

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The discriminator's loss for a detached restored batch."""
        restored, sharp = (self.discriminator_input(degraded, batch) for batch in (restored, sharp))
        return self.gan.discriminator_loss(self.discriminators, restored, sharp)
