"""Distance of pixels alone: ESPCN, VDSR, DRRN, DSRN, SRCNN and SVRNN are trained so, and so is most CPU work."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from restorekit.training.objectives.base import LossTerms, TrainingObjective


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term."""

    l1: float = 1.0
    mse: float = 0.0


class Objective(TrainingObjective):
    """Mean absolute or squared error over pixels and channels."""

    def __init__(self, loss_weights: LossWeights) -> None:
        super().__init__()
        self.loss_weights = loss_weights

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        """Weighted terms by name, and the restored batch."""
        restored = model(degraded).float()
        terms: LossTerms = {}
        if self.loss_weights.l1:
            terms["l1"] = self.loss_weights.l1 * F.l1_loss(restored, sharp)
        if self.loss_weights.mse:
            terms["mse"] = self.loss_weights.mse * F.mse_loss(restored, sharp)
        return terms, restored
