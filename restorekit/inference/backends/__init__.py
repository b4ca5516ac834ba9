"""What runs a network on tiles. The engine knows nothing else of it: PyTorch here, other runtimes beside it."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from restorekit.inference.context import Context, Sums
from restorekit.inference.tiling import Place


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
