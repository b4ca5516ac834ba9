"""Song and Wu's loss for DN and MSDN: DeblurGAN's with the numbers of steps turned round.

"Generator five times, critic once", as the paper prints it; Wasserstein critics are usually trained the other way. It takes
features from VGG-19's conv5_4; ours are conv3_3, as DeblurGAN's.
"""

from dataclasses import dataclass

from pydantic import PositiveInt

from restorekit.training.objectives import deblurgan
from restorekit.training.objectives.deblurgan import LossWeights, Objective

__all__ = ["LossWeights", "Objective", "Options"]


@dataclass(frozen=True)
class Options(deblurgan.Options):
    """How often each network takes a step."""

    discriminator_steps: PositiveInt = 1
    generator_steps: PositiveInt = 5
