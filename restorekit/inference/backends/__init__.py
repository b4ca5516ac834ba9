"""What runs a network on tiles. The engine knows nothing else of it: PyTorch here, other runtimes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from restorekit.errors import RestorekitError
from restorekit.imaging.dtypes import from_unit
from restorekit.inference.context import Context, Sums
from restorekit.inference.tiling import Place
from restorekit.runtime.memory import give_back_freed
from restorekit.runtime.progress import Listener

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur


class OutOfDeviceMemory(Exception):
    """A batch did not fit into the device's memory; smaller tiles may."""


class NotFinite(RestorekitError):
    """A network's result holds infinities or no numbers; in float32 it may not."""

    def __init__(self) -> None:
        super().__init__("The network's result is not finite, even in float32.", "Its weights do not suit this image.")


class Backend(Protocol):
    """A network, ready to run. Nothing on it changes, so any number of threads may call it."""

    def __call__(
        self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """Restore a batch of tiles.

        Args:
            tiles: (N,h,w,3) uint8, uint16, or float32 in 0..1.
            context: what was observed of the whole image, if anything had to be.
            at: where each tile lies.
            dtype: of the result, one of the three.

        Returns:
            (N,sh,sw,3), as `imaging.dtypes.from_unit` makes it. The caller may change it.

        Raises:
            OutOfDeviceMemory: the batch does not fit.
            NotFinite: the network gave something else than numbers.
        """
        ...

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """What a tile adds to the context of its image; arguments as above, N = 1. For networks that need one."""
        ...

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """What blurred an image (H,W,3), for systems that find it; see `BlindDeconvolution`. Raises as above."""
        ...


def finished(restored: NDArray[np.float32], dtype: DTypeLike) -> NDArray[Any]:
    """What a network gave, as pixels.

    Raises:
        NotFinite: see `Backend`.
    """
    if not np.isfinite(restored).all():
        raise NotFinite
    pixels = [from_unit(tile, dtype) for tile in restored]
    return pixels[0][None] if len(pixels) == 1 else np.stack(pixels)


class LeanBackend:
    """A back end that gives memory back after every batch.

    Tiles of many shapes leave gaps between freed blocks, in which the next activations have no room: gggan-lite holds twice
    what it needs after some tiles of 1632x1392. Filling the pages anew takes some hundredths of the time.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __call__(
        self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """Restore a batch of tiles; see `Backend`."""
        restored = self.backend(tiles, context, at, dtype)
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
