"""Distance of pixels alone, no critics: ESPCN, VDSR, DRRN, DSRN, SRCNN and SVRNN are trained so, and so is most CPU work."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from restorekit.training.objectives import Goal, Terms


@dataclass(frozen=True)
class Weights:
    """Weight of each term."""

    l1: float = 1.0
    mse: float = 0.0


class Objective(Goal):
    """Mean absolute or squared error over pixels and channels."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.weights = weights

    def generator(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[Terms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms: Terms = {}
        if self.weights.l1:
            terms["l1"] = self.weights.l1 * F.l1_loss(restored, sharp)
        if self.weights.mse:
            terms["mse"] = self.weights.mse * F.mse_loss(restored, sharp)
        return terms, restored
