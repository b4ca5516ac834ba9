"""What back ends of exported graphs share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.deconvolution import Blur
from restorekit.imaging.dtypes import to_unit
from restorekit.inference.context import Context, Sums
from restorekit.inference.tiling import Place


class GraphBackend(ABC):
    """A graph in some runtime; see `Backend`. Graphs have no context: what needs one is not exported."""

    @abstractmethod
    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,3,h,w) in 0..1 to (N,3,sh,sw)."""

    def __call__(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> NDArray[np.float32]:
        """Restore a batch of tiles; see `Backend`."""
        return self.run(np.ascontiguousarray(to_unit(tiles).transpose(0, 3, 1, 2))).transpose(0, 2, 3, 1)

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """Never asked for."""
        raise NotImplementedError

    def estimate(self, image: NDArray[Any]) -> Blur:
        """Never asked for."""
        raise NotImplementedError
