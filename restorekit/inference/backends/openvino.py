"""Run a graph with OpenVINO."""

import threading
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.inference.backends.graph import GraphBackend
from restorekit.weights.graph import Graph

MOST_SHAPES = 8
"""Shapes of batches that get a network of their own: an image's tiles have up to four."""
SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",  # else processors that have bfloat16 compute float32 graphs in it
}


class OpenVinoBackend(GraphBackend):
    """A graph in OpenVINO, on the CPU; see `Backend`.

    One compiled network takes batches of any shape; a fixed shape is computed a quarter faster (int8: almost twice as fast),
    but costs a compilation. So a shape that comes a second time gets a network of its own; in int8 at once, because OpenVINO
    2026.4 computes some graphs wrong in int8 where the shape is free.

    Args:
        graph: the network.

    Raises:
        UsageError: OpenVINO is not installed.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._lock = threading.Lock()
        self._seen, self._own = Counter[tuple[int, ...]](), dict[tuple[int, ...], Any]()
        try:
            import openvino
        except ImportError:
            raise UsageError("OpenVINO is not installed.", "Run `pip install restorekit[openvino]`.") from None
        self._core = openvino.Core()
        self._any = self._compiled(None) if graph.precision == "fp32" else None

    def __reduce__(self) -> tuple[type, tuple[Graph]]:
        return OpenVinoBackend, (self.graph,)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,3,h,w) in 0..1 to (N,3,sh,sw)."""
        with self._lock:  # a request has room for one batch, and uses all cores
            restored: NDArray[np.float32] = self._network(batch.shape).infer([batch])[0]
        return restored

    def _network(self, shape: tuple[int, ...]) -> Any:
        self._seen[shape] += 1
        if shape not in self._own and (self._any is None or self._seen[shape] > 1):
            if len(self._own) == MOST_SHAPES:
                del self._own[next(iter(self._own))]
            self._own[shape] = self._compiled(shape)
        return self._own.get(shape, self._any)

    def _compiled(self, shape: tuple[int, ...] | None) -> Any:
        network = self._core.read_model(self.graph.content)
        if shape is not None:
            network.reshape(shape)
        return self._core.compile_model(network, "CPU", SETTINGS).create_infer_request()
