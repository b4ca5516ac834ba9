"""Run a graph with OpenVINO."""

from collections import Counter
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import RANGES
from restorekit.inference.backends import NotFinite
from restorekit.inference.backends.graph import GraphBackend
from restorekit.weights.graph import Graph

MOST_SHAPES = 8
"""Shapes of batches that get a network of their own: an image's tiles have up to four."""


def the_core() -> Any:
    """OpenVINO's own state, which a process makes once and never frees.

    On processors with AMX a new `openvino.Core` gives the thread a stack for signals, and one that is freed brings
    back the stack of before. Where two overlap, that is the stack of the one freed first (OpenVINO 2026.4): the next signal
    that has a handler, say of a child process that ends, is a segmentation fault.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    import openvino

    return _made(openvino.Core)


@cache
def _made(core: type) -> Any:
    return core()


class Kind(NamedTuple):
    """What a compiled network takes and gives."""

    shape: tuple[int, ...] | None
    """(N,h,w,3); None is any."""
    taken: np.dtype[Any]
    """Of pixels; as the next."""
    given: np.dtype[Any]


class OpenVinoBackend(GraphBackend):
    """A graph in OpenVINO, on the CPU; see `Backend`.

    One compiled network takes batches of any shape; a fixed shape is computed a quarter faster (int8: almost twice as fast),
    but costs a compilation. So a shape that comes a second time gets a network of its own; but in int8 and bfloat16 at once,
    because OpenVINO 2026.4 computes some graphs wrong in these where the shape is free.

    Layers of an int8 graph that stay in float are computed in bfloat16 by processors that have it: in float32 they would
    take more time than all others, and bfloat16 changes the result far less than int8.

    Args:
        graph: the network.
        bf16: compute a float32 graph in bfloat16.

    Raises:
        UsageError: OpenVINO is not installed, or does not compute in bfloat16 on this processor.
    """

    def __init__(self, graph: Graph, bf16: bool = False) -> None:
        super().__init__(graph)
        self._seen, self._compiled = Counter[Kind](), dict[Kind, Any]()
        try:
            self._core = the_core()
        except ImportError:
            raise UsageError("OpenVINO is not installed.", "Run `pip install restorekit[openvino]`.") from None
        able = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if bf16 and not able:
            raise UsageError("OpenVINO does not compute in bf16 on this processor.", "Take the precision fp32.")
        self._bf16 = bf16 or (able and graph.precision == "int8")
        if self._bf16:
            self.precision = "bf16" if bf16 else "int8+bf16"

    def __reduce__(self) -> tuple[type, tuple[Graph, bool]]:
        return OpenVinoBackend, (self.graph, self.precision == "bf16")

    def run(self, batch: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """See `GraphBackend.run`."""
        network = self._network(Kind(batch.shape, batch.dtype, dtype))
        restored, total = network.infer([batch], share_inputs=True, share_outputs=True).values()
        if not np.isfinite(total):
            raise NotFinite
        pixels: NDArray[Any] = restored.copy()  # the next batch writes over it
        return pixels

    def _network(self, kind: Kind) -> Any:
        self._seen[kind] += 1
        if self.precision == "fp32" and self._seen[kind] == 1:
            kind = kind._replace(shape=None)
        if kind not in self._compiled:
            if len(self._compiled) == MOST_SHAPES:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[kind] = self._compile(kind)
        return self._compiled[kind]

    def _compile(self, kind: Kind) -> Any:
        """A network between pixels, channels last, as it computes. Its second result is finite if the first one is."""
        from openvino import Layout, Model, Type
        from openvino import opset13 as ops
        from openvino.preprocess import PrePostProcessor

        network = self._core.read_model(self.graph.content)
        if kind.shape is not None:
            count, height, width, channels = kind.shape
            network.reshape((count, channels, height, width))
        (result,) = network.get_results()
        total = ops.reduce_sum(_before_clipping(result), np.arange(4))
        outside = PrePostProcessor(Model([result, ops.result(total)], network.get_parameters()))
        for end, dtype in ((outside.input(), kind.taken), (outside.output(0), kind.given)):
            end.tensor().set_layout(Layout("NHWC")).set_element_type(Type(dtype))
            end.model().set_layout(Layout("NCHW"))
        outside.input().preprocess().convert_element_type(Type.f32).scale(RANGES[kind.taken])
        outside.output(0).postprocess().custom(partial(_from_unit, kind.given))
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            # By default processors that have bfloat16 compute float32 graphs in it.
            "INFERENCE_PRECISION_HINT": "bf16" if self._bf16 else "f32",
        }
        return self._core.compile_model(outside.build(), "CPU", settings).create_infer_request()


def _before_clipping(result: Any) -> Any:
    """What a network gives before it clips to 0..1: there OpenVINO makes 0 of what is no number."""
    end = result.input_value(0)
    while end.get_node().get_type_name() in ("Minimum", "Maximum", "Clamp"):
        end = next(value for value in end.get_node().input_values() if value.get_node().get_type_name() != "Constant")
    return end


def _from_unit(dtype: np.dtype[Any], values: Any) -> Any:
    """What `imaging.dtypes.from_unit` does, as the end of the network: on all cores, while values are in the cache."""
    from openvino import opset13 as ops

    top = RANGES[dtype]
    if dtype == np.float32:
        return ops.clamp(values, 0, 1).output(0)
    scaled = ops.add(ops.multiply(values, np.float32(top)), np.float32(0.5))
    return ops.floor(ops.clamp(scaled, 0, top)).output(0)
