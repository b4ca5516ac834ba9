"""What a sharp image goes through to become the input of a network."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rgb8 = NDArray[np.uint8]


class Degradation(Protocol):
    """A way to make degraded images of sharp ones. A value: it pickles, so that worker processes may be spawned."""

    @property
    def scale(self) -> int:
        """Sharp pixels for one degraded pixel along an axis; 1 for blur."""
        ...

    def crop_to_grid(self, sharp: Rgb8) -> Rgb8:
        """The part of a sharp image (H,W,3) that its degraded image shows, from the top left."""
        ...

    def degrade_image(self, sharp: Rgb8, rng: np.random.Generator) -> Rgb8:
        """Degrade a whole image, as validation does.

        Args:
            sharp: (H,W,3) as `crop_to_grid` returns it.
            rng: decides what is random.

        Returns:
            (H/scale,W/scale,3) uint8.
        """
        ...
