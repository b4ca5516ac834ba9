"""Run a graph with ONNX Runtime."""

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import to_unit
from restorekit.inference.backends import OutOfDeviceMemory, finished
from restorekit.inference.backends.graph import GraphBackend
from restorekit.inference.settings import Provider
from restorekit.weights.graph import INPUT, OUTPUT, Graph

PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""ONNX Runtime's names."""


class OnnxBackend(GraphBackend):
    """A graph in ONNX Runtime; see `Backend`.

    Args:
        graph: the network.
        provider: what computes; what it cannot, the CPU does.

    Raises:
        UsageError: ONNX Runtime is not installed, or without that provider.
    """

    def __init__(self, graph: Graph, provider: Provider = "cpu") -> None:
        super().__init__(graph)
        self.provider = provider
        try:
            import onnxruntime
        except ImportError:
            raise UsageError("ONNX Runtime is not installed.", "Run `pip install restorekit[onnx]`.") from None
        there = onnxruntime.get_available_providers()
        if PROVIDERS[provider] not in there:
            able = [name for name in get_args(Provider) if PROVIDERS[name] in there]
            raise UsageError(f"This ONNX Runtime has no provider {provider}.", f"It has {', '.join(able)}.")
        names = list(dict.fromkeys((PROVIDERS[provider], PROVIDERS["cpu"])))
        self.session = onnxruntime.InferenceSession(graph.content, providers=names)

    def __reduce__(self) -> tuple[type, tuple[Graph, Provider]]:
        return OnnxBackend, (self.graph, self.provider)

    def run(self, batch: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """See `GraphBackend.run`."""
        channels_first = np.ascontiguousarray(to_unit(batch).transpose(0, 3, 1, 2))
        try:
            restored: NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: channels_first})[0]
        except RuntimeError as error:
            if "allocate memory" not in str(error):
                raise
            raise OutOfDeviceMemory(str(error)) from None
        return finished(restored.transpose(0, 2, 3, 1), dtype)
