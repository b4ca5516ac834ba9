"""DeepDeblur's loss: squared error at three scales and a discriminator of the finest (Nah et al. 2017, eqs. 5 to 7)."""

from pydantic.dataclasses import dataclass

from restorekit.training.objectives import pyramid
from restorekit.training.objectives.pyramid import Objective
from restorekit.training.settings import STRICT

__all__ = ["LossWeights", "Objective"]


@dataclass(frozen=True, config=STRICT)
class LossWeights(pyramid.LossWeights):
    """Weight of each term."""

    adversarial: float = 1e-4
