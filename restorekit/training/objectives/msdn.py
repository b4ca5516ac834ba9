"""Song and Wu's loss for DN and MSDN: DeblurGAN's with the rhythm turned round.

"Generator five times, critic once", as the paper prints it; Wasserstein critics are usually trained the other way. It takes
features from VGG-19's conv5_4; ours are conv3_3, as DeblurGAN's.
"""

from dataclasses import dataclass

from restorekit.training.objectives import deblurgan
from restorekit.training.objectives.deblurgan import Objective

__all__ = ["Objective", "Weights"]


@dataclass(frozen=True)
class Weights(deblurgan.Weights):
    """As DeblurGAN's, but for the rhythm."""

    critic_steps: float = 1
    generator_steps: float = 5
