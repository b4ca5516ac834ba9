"""DeepDeblur's loss: squared error at three scales and a critic of the finest (Nah et al. 2017, eqs. 5 to 7)."""

from dataclasses import dataclass

from restorekit.training.objectives import pyramid
from restorekit.training.objectives.pyramid import Objective

__all__ = ["Objective", "Weights"]


@dataclass(frozen=True)
class Weights(pyramid.Weights):
    """Weight of each term."""

    adversarial: float = 1e-4
