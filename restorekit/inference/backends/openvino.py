"""Run a graph with OpenVINO."""

import threading

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.inference.backends.graph import GraphBackend
from restorekit.weights.graph import Graph


class OpenVinoBackend(GraphBackend):
    """A graph in OpenVINO, on the CPU; see `Backend`.

    Args:
        graph: the network.

    Raises:
        UsageError: OpenVINO is not installed.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._lock = threading.Lock()
        try:
            import openvino
        except ImportError:
            raise UsageError("OpenVINO is not installed.", "Run `pip install restorekit[openvino]`.") from None
        # Else processors that have bfloat16 compute float32 graphs in it.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        core = openvino.Core()
        self._request = core.compile_model(core.read_model(graph.content), "CPU", settings).create_infer_request()

    def __reduce__(self) -> tuple[type, tuple[Graph]]:
        return OpenVinoBackend, (self.graph,)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,3,h,w) in 0..1 to (N,3,sh,sw)."""
        with self._lock:  # a request has room for one batch, and uses all cores
            restored: NDArray[np.float32] = self._request.infer([batch])[0]
        return restored
