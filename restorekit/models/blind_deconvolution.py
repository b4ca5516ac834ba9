"""Systems that find the blur in the image, and then undo it."""

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from restorekit.deconvolution import Blur, Kernel, Lines, noise_level, tv
from restorekit.deconvolution.epll import LUMA
from restorekit.deconvolution.steepness import may_be_blurred
from restorekit.models.known_blur import Config, Deconvolution
from restorekit.runtime.progress import PATIENT, Listener

NO_BLUR = Kernel(np.ones((1, 1), np.float32))
FLAT = 1e-3  # smallest difference of two values in which a blur can be found
INEXACT = 0.02
"""Noise that is added where what was found is not exact; Gong et al.'s code has 0.0207.

On 6 images of BSDS500 with lines of 9 and 15 px and noise of 0, 1 and 2 % it lets what `sun` finds gain 1.9, 1.6 and 1.4 dB.
Where the larger of both noises counts it is 1.9, 1.7 and 1.2; with the measured noise alone, on three of them, -2.3, 0.9 and
1.6. A field that is told gains 9.9, 4.4 and 3.5 dB with the measured noise, and 4.0, 3.9 and 3.5 with at least 2 %."""


def is_flat(image: Tensor) -> bool:
    """Whether an image shows nothing: its values hardly differ, or some are no numbers."""
    return not image.max() - image.min() > FLAT  # true for NaN


def luma(rgb: Tensor) -> Tensor:
    """(N,3,H,W) to (N,1,H,W)."""
    return (rgb * rgb.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


class BlindDeconvolution(Deconvolution[Config]):
    """A method in two steps. The engine makes the estimate once for the whole image, and restores tiles with what it found.

    RGB (N,3,H,W) in [0,1] to the same; every image is estimated on its own.
    """

    inexact: ClassVar[float] = 0.0
    """Standard deviation of noise that counts beside the measured one where the blur was found."""

    def forward(self, rgb: Tensor) -> Tensor:
        """Find the blur of each image and undo it."""
        if rgb.is_meta:  # shapes alone, as work is counted: there is no blur to be found in them
            self.predict(rgb)
            return rgb
        return torch.cat([self.restore_found(image, self.find(image), noise_level(image)) for image in rgb[:, None]])

    def find(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """The estimate for an image (1,3,H,W); one that is larger than the image says nothing, so it counts as no blur."""
        blur = self.estimate(rgb, listener)
        return blur if 2 * blur.radius + 1 <= min(rgb.shape[-2:]) else NO_BLUR

    @abstractmethod
    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Find what blurred an image (1,3,H,W) of any size.

        Args:
            rgb: the image.
            listener: hears of the parts that take long, and may end them.
        """

    def predict(self, rgb: Tensor) -> Tensor:
        """What the network says of images (N,3,H,W), which `estimate` reads and training compares; no network here."""
        return rgb

    def restore(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Undo a blur; what is not blurred comes back as it is."""
        if blur.is_identity:
            return rgb
        return super().restore(rgb, blur, noise, listener)

    def restore_found(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Undo what `find` found; see `restore`."""
        return self.restore(rgb, blur, math.hypot(noise, self.inexact), listener)

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Minimise the total variation."""
        return tv(rgb, blur, noise, tell=listener.begin)


class LearnedBlur(BlindDeconvolution[Config]):
    """A network tells the blur, as a PSF or as a motion field.

    Networks see blur in sharp images too: where edges are steeper than it would have left them, there is none.
    """

    inexact = INEXACT

    def find(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """As for every method, unless the image is sharp."""
        listener.begin("looking for blur")
        blur = super().find(rgb, listener)
        listener.go_on()
        seen = isinstance(blur, Kernel | Lines) and may_be_blurred(rgb.mean(1, keepdim=True), blur)
        return blur if seen else NO_BLUR
