"""Systems that find the blur in the image, and then undo it."""

from abc import abstractmethod

import torch
from torch import Tensor

from restorekit.deconvolution import Blur, noise_level
from restorekit.models.known_blur import Config, Deconvolution


class BlindDeconvolution(Deconvolution[Config]):
    """A method in two steps. The engine makes the estimate once for the whole image, and restores tiles with what it found.

    RGB (N,3,H,W) in [0,1] to the same; every image is estimated on its own.
    """

    def forward(self, rgb: Tensor) -> Tensor:
        """Find the blur of each image and undo it."""
        if rgb.is_meta:  # shapes alone, as work is counted: there is no blur to be found in them
            self.predict(rgb)
            return rgb
        return torch.cat([self.restore(image, self.estimate(image), noise_level(image)) for image in rgb[:, None]])

    @abstractmethod
    def estimate(self, rgb: Tensor) -> Blur:
        """Find what blurred an image (1,3,H,W) of any size."""

    def predict(self, rgb: Tensor) -> Tensor:
        """What the network says of images (N,3,H,W), which `estimate` reads and training compares; no network here."""
        return rgb

    def restore(self, rgb: Tensor, blur: Blur, noise: float) -> Tensor:
        """Undo a blur. What is not blurred, or smaller than its blur, comes back as it is."""
        if blur.is_identity or 2 * blur.radius + 1 > min(rgb.shape[-2:]):
            return rgb
        return super().restore(rgb, blur, noise)
