"""What runs a network on tiles. The engine knows nothing else of it: PyTorch here, other runtimes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from restorekit.inference.context import Context, Sums
from restorekit.inference.tiling import Place
from restorekit.runtime.memory import give_back_freed
from restorekit.runtime.progress import Listener

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur


class OutOfDeviceMemory(Exception):
    """A batch did not fit into the device's memory; smaller tiles may."""


class Backend(Protocol):
    """A network, ready to run. Nothing on it changes, so any number of threads may call it."""

    def __call__(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> NDArray[np.float32]:
        """Restore a batch of tiles.

        Args:
            tiles: (N,h,w,3) uint8, uint16, or float32 in 0..1.
            context: what was observed of the whole image, if anything had to be.
            at: where each tile lies.

        Returns:
            (N,sh,sw,3), neither clipped to 0..1 nor checked for being finite. The caller may change it.

        Raises:
            OutOfDeviceMemory: the batch does not fit.
        """
        ...

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """What a tile adds to the context of its image; arguments as above, N = 1. For networks that need one."""
        ...

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """What blurred an image (H,W,3), for systems that find it; see `BlindDeconvolution`. Raises as above."""
        ...


class LeanBackend:
    """A back end that gives memory back after every batch.

    Tiles of many shapes leave gaps between freed blocks, in which the next activations have no room: gggan-lite holds twice
    what it needs after some tiles of 1632x1392. Filling the pages anew takes some hundredths of the time.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __call__(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> NDArray[np.float32]:
        """Restore a batch of tiles; see `Backend`."""
        restored = self.backend(tiles, context, at)
        give_back_freed()
        return restored

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """What a tile adds to the context; see `Backend`."""
        sums = self.backend.measure(tiles, context, at)
        give_back_freed()
        return sums

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """What blurred an image; see `Backend`."""
        blur = self.backend.estimate(image, listener)
        give_back_freed()
        return blur
