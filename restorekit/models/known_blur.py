"""Systems that learn nothing: they are told the blur, and undo it."""

from abc import ABC, abstractmethod
from typing import Annotated, Generic, TypeVar

import pydantic
from torch import Tensor, nn

from restorekit.deconvolution import Blur
from restorekit.runtime.progress import PATIENT, Listener

Config = TypeVar("Config")
Noise = Annotated[float, pydantic.Field(ge=0, lt=1)]
"""Standard deviation of an image's noise, the range being 0..1; 0 measures it."""


class Deconvolution(nn.Module, ABC, Generic[Config]):
    """A method of the room `deconvolution`. RGB (N,3,H,W) in [0,1] to the same.

    Args:
        config: what decides the result.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, rgb: Tensor) -> Tensor:
        """Told of no blur there is nothing to undo."""
        return rgb

    def restore(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Undo a blur.

        Args:
            rgb: images, or tiles at the same place of theirs.
            blur: of exactly these pixels.
            noise: standard deviation, measured on the whole image.
            listener: hears of the steps of methods that take long, and may end them.
        """
        return self.deconvolve(rgb, blur, noise, listener).clamp(0, 1)

    @abstractmethod
    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """As `restore`, not clipped."""
