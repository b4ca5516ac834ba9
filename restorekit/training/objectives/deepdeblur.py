"""DeepDeblur's loss: squared error at three scales and a discriminator of the finest (Nah et al. 2017, eqs. 5 to 7)."""

from dataclasses import dataclass

from restorekit.training.objectives import pyramid
from restorekit.training.objectives.pyramid import Objective

__all__ = ["LossWeights", "Objective"]


@dataclass(frozen=True)
class LossWeights(pyramid.LossWeights):
    """Weight of each term."""

    adversarial: float = 1e-4
