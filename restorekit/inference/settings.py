"""How to run a network. Light: the command line imports it for its help."""

from dataclasses import dataclass
from typing import Literal, get_args

from restorekit.errors import UsageError
from restorekit.runtime.precision import Precision

Statistics = Literal["fast", "exact"]
Runtime = Literal["torch", "onnx", "openvino"]
Provider = Literal["cpu", "cuda", "tensorrt", "coreml", "directml"]


@dataclass(frozen=True)
class Settings:
    """How to run a network; every "auto" and None is decided once, when an engine is made."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision | Literal["int8"] = "auto"
    """auto is fp16 on a GPU where the system allows it, else fp32. bf16 suits processors with instructions for it, most of
    all with the backend openvino. int8 is for graphs that were quantized: some weights ship as one."""
    tile: int | None = None
    """Side of square tiles in pixels; None chooses the shape that costs least."""
    overlap: int | None = None
    """Context around a tile in pixels; None takes the receptive field, which makes tiles invisible."""
    statistics: Statistics = "fast"
    """For networks that normalise by the image's statistics, where it does not fit as a whole: "fast" gathers them in one
    pass, approximately; "exact" repeats that until they are those of the whole image."""
    batch: int | None = None
    """Tiles that go through the network together; None is 1 on a CPU, where more is slower, else as many as fit."""

    backend: Runtime | Literal["auto"] | None = None
    """What computes; None is torch for networks and auto for graphs. onnx and openvino need their packages; auto measures
    those installed when a network is first used on a machine, and takes the fastest that gives what torch gives;
    of graphs openvino, else onnx."""
    provider: Provider = "cpu"
    """Which of ONNX Runtime's execution providers computes."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("precision", (*get_args(Precision), "int8")),
            ("statistics", get_args(Statistics)),
            ("backend", (*get_args(Runtime), "auto", None)),
            ("provider", get_args(Provider)),
        ):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} cannot be '{getattr(self, name)}'.", f"It is {', '.join(choices)}.")
        for name, least in (("tile", 1), ("overlap", 0), ("batch", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} cannot be {value}.", f"It is at least {least}, or None.")
