"""What objectives with a single critic share."""

from torch import Tensor, nn

from restorekit.training.adversarial import Game, fooling
from restorekit.training.objectives import Goal


class Duel(Goal):
    """A goal with one critic.

    Args:
        game: who wants what.
        critic: raw scores of what `seen` shows it; None to train without one.
    """

    def __init__(self, game: Game, critic: nn.Module | None) -> None:
        super().__init__()
        self.game = game
        self.critics = nn.Module() if critic is None else critic

    def seen(self, degraded: Tensor, batch: Tensor) -> Tensor:
        """What the critic looks at of a restored or sharp batch."""
        return batch

    def fool(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The generator's adversarial loss."""
        return fooling(self.game, self.critics, self.seen(degraded, restored), self.seen(degraded, sharp))

    def critic(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        """The critic's loss for a detached restored batch."""
        fake, real = (self.critics(self.seen(degraded, batch)) for batch in (restored, sharp))
        return self.game.critic(fake, real)
