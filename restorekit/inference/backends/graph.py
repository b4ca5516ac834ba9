"""What back ends of exported graphs share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from restorekit.imaging.dtypes import to_unit
from restorekit.inference.backends import finished
from restorekit.inference.context import Context, Sums
from restorekit.inference.tiling import Place
from restorekit.runtime.progress import Listener
from restorekit.weights.graph import Graph

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur


class GraphBackend(ABC):
    """A graph in some runtime; see `Backend`. Graphs have no context: what needs one is not exported.

    Args:
        graph: the network.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._lock = threading.Lock()

    @abstractmethod
    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,h,w,3) in 0..1 to (N,sh,sw,3), which may be lost when the next batch runs."""

    def __call__(
        self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """Restore a batch of tiles; see `Backend`."""
        height, width = (side * self.graph.spec.scale for side in tiles.shape[1:3])
        padded = _pad_to_multiple(to_unit(tiles), self.graph.spec.size_multiple)
        with self._lock:  # one batch uses all cores
            return finished(self.run(padded)[:, :height, :width], dtype)

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """Never asked for."""
        raise NotImplementedError

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """Never asked for."""
        raise NotImplementedError


def _pad_to_multiple(tiles: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """Continue tiles (N,h,w,3) as `models.layers.pad_to_multiple` does inside networks."""
    height, width = tiles.shape[1:3]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return tiles
    mode: Literal["reflect", "edge"] = "reflect" if down < height and right < width else "edge"
    return np.pad(tiles, ((0, 0), (0, down), (0, right), (0, 0)), mode)
