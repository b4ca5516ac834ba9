"""Choose the type that convolutions compute in. PyTorch is imported where it computes: the command line needs the names."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from restorekit.errors import UsageError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Purpose = Literal["inference", "training"]

NAMES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""PyTorch's names of the types."""
REPEATS = 3  # timed steps of each type


def choose_dtype(
    precision: Precision, device: torch.device, purpose: Purpose = "inference", *, half_precision: bool = True
) -> torch.dtype:
    """The type that autocast uses; float32 means no autocast.

    "auto" restores in float16 on a GPU and in float32 on a CPU, where results should not depend on the processor. It
    trains in bfloat16 (float16 on GPUs that lack it) on a GPU, and on a CPU in whichever of float32 and bfloat16 is
    measured to be faster: some processors have instructions for bfloat16 and are twice as slow with them.

    Args:
        precision: what was asked for.
        device: what computes.
        purpose: inference or training.
        half_precision: whether the network is safe in 16 bits.

    Raises:
        UsageError: the network is not safe in the type that was asked for.
    """
    import torch

    if precision not in get_args(Precision):
        raise UsageError(f"There is no precision called '{precision}'.", f"Use {', '.join(get_args(Precision))}.")
    if precision != "auto":
        if precision != "fp32" and not half_precision:
            raise UsageError("This system is not safe in half precision.", "Use the precision fp32.")
        dtype: torch.dtype = getattr(torch, NAMES[precision])
        return dtype
    if not half_precision:
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if purpose == "training" and torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if purpose == "training" and bf16_speed_up() > 1 else torch.float32


def name_of(dtype: torch.dtype) -> Precision:
    """The precision's name, e.g. "fp32"."""
    return next(name for name, known in NAMES.items() if str(dtype) == f"torch.{known}")


@cache
def bf16_speed_up() -> float:
    """How many times faster training steps are in bfloat16 than in float32 on this CPU.

    Three convolutions and their gradients, measured in turns: less than 0.1 s on two cores, once in a process.
    """
    import torch
    import torch.nn.functional as F

    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(64, 64, 3, 3, generator=generator).mul_(0.02).requires_grad_() for _ in range(3)]
    batch = torch.rand(1, 64, 40, 40, generator=generator)
    fastest = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    for repeat in range(REPEATS + 1):
        for dtype in fastest:
            begun = time.perf_counter()
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                features = batch.to(memory_format=torch.channels_last)
                for weight in weights:
                    features = F.conv2d(features, weight, padding=1).relu()
            torch.autograd.grad(features.float().mean(), weights)
            if repeat:  # the first one compiles kernels and fills caches
                fastest[dtype] = min(fastest[dtype], time.perf_counter() - begun)
    return fastest[torch.float32] / fastest[torch.bfloat16]
