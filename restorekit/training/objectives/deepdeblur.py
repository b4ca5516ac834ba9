"""DeepDeblur's loss: squared error at three scales and a discriminator of the finest.

Nah et al. 2017, eqs. 5 to 7 (the survey's eqs. 23 to 26): 1/(2K) times the sum over K scales, plus 1e-4 times the
adversarial loss.
"""

from dataclasses import dataclass

from restorekit.training.objectives import pyramid

__all__ = ["LossWeights", "Objective"]


@dataclass(frozen=True)
class LossWeights(pyramid.LossWeights):
    """Weight of each term."""

    adversarial: float = 1e-4


class Objective(pyramid.Objective):
    """The loss and its discriminator."""

    def scale_share(self, scales: int) -> float:
        """1/(2K) of the equation."""
        return 1 / (2 * scales)
