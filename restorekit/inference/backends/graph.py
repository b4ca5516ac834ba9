"""What back ends of exported graphs share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

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

    precision: str
    """What it computes in."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.precision = graph, graph.precision
        self._lock = threading.Lock()

    @abstractmethod
    def run(self, batch: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Pixels (N,h,w,3) on the network's grid to pixels (N,sh,sw,3) of a type, as `Backend` gives them.

        Raises:
            OutOfDeviceMemory, NotFinite: see `Backend`.
        """

    def __call__(
        self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """Restore a batch of tiles; see `Backend`."""
        height, width = (side * self.graph.spec.scale for side in tiles.shape[1:3])
        padded = _pad_to_multiple(tiles, self.graph.spec.size_multiple)
        with self._lock:  # one batch uses all cores
            return self.run(padded, np.dtype(dtype))[:, :height, :width]

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """Never asked for."""
        raise NotImplementedError

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """Never asked for."""
        raise NotImplementedError


def _pad_to_multiple(tiles: NDArray[Any], multiple: int) -> NDArray[Any]:
    """Continue tiles (N,h,w,3) as `models.layers.pad_to_multiple` does inside networks."""
    height, width = tiles.shape[1:3]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return tiles
    mode: Literal["reflect", "edge"] = "reflect" if down < height and right < width else "edge"
    return np.pad(tiles, ((0, 0), (0, down), (0, right), (0, 0)), mode)
