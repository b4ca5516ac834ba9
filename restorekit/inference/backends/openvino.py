"""Run a graph with OpenVINO."""

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
        """See `GraphBackend.run`."""
        network = self._network(batch.shape)
        restored: NDArray[np.float32] = network.infer([batch], share_inputs=True, share_outputs=True)[0]
        return restored

    def _network(self, shape: tuple[int, ...]) -> Any:
        self._seen[shape] += 1
        if shape not in self._own and (self._any is None or self._seen[shape] > 1):
            if len(self._own) == MOST_SHAPES:
                del self._own[next(iter(self._own))]
            self._own[shape] = self._compiled(shape)
        return self._own.get(shape, self._any)

    def _compiled(self, shape: tuple[int, ...] | None) -> Any:
        """The network for batches of a shape (N,h,w,3), or of any. It takes and gives channels last, as it computes."""
        from openvino import Layout
        from openvino.preprocess import PrePostProcessor

        network = self._core.read_model(self.graph.content)
        if shape is not None:
            count, height, width, channels = shape
            network.reshape((count, channels, height, width))
        outside = PrePostProcessor(network)
        for end in (outside.input(), outside.output()):
            end.tensor().set_layout(Layout("NHWC"))
            end.model().set_layout(Layout("NCHW"))
        return self._core.compile_model(outside.build(), "CPU", SETTINGS).create_infer_request()
