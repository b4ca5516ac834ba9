"""Song and Wu's loss for DN and MSDN: DeblurGAN's with the numbers of steps turned round.

"Generator five times, critic once", as the paper prints it; Wasserstein critics are usually trained the other way. Its
features (eq. 2) are those of VGG-19's conv5_4.
"""

from dataclasses import dataclass

from pydantic import PositiveInt

from restorekit.training.objectives import deblurgan
from restorekit.training.objectives.deblurgan import LossWeights, Objective
from restorekit.training.perceptual import Layer

__all__ = ["LossWeights", "Objective", "Options"]


@dataclass(frozen=True)
class Options(deblurgan.Options):
    """How often each network takes a step, and which features are compared."""

    discriminator_steps: PositiveInt = 1
    generator_steps: PositiveInt = 5
    layer: Layer = "vgg19.conv5_4"
