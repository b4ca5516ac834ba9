"""What a network costs, found by running it on shapes alone."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SIDE = 256  # of the image, in pixels: a multiple of every network's grid


@dataclass(frozen=True)
class Cost:
    """Counted, and for one input pixel."""

    parameters: int
    macs_per_pixel: int
    """Multiply-accumulates of all convolutions."""
    widest: float
    """Bytes that the widest part of the network reads and writes in float32: what memory grows with."""


class _Meter:
    """Watches a forward pass."""

    def __init__(self) -> None:
        self.macs = self.widest = 0

    def __call__(self, part: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        entered = inputs[0] if inputs else None  # parametrisations take none
        if not isinstance(entered, Tensor) or not isinstance(output, Tensor):
            return
        self.widest = max(self.widest, entered.numel() + output.numel())
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            points = entered if isinstance(part, nn.ConvTranspose2d) else output
            self.macs += points[:, 0].numel() * part.weight.numel()


def measure_cost(model: nn.Module) -> Cost:
    """The cost of a network on the meta device, for an image of 256x256 pixels. It is used up by that.

    Args:
        model: RGB (N,3,H,W) to RGB.
    """
    meter = _Meter()
    for part in model.modules():
        part.register_forward_hook(meter)
    with torch.inference_mode():
        model.eval()(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, round(meter.macs / SIDE**2), 4 * meter.widest / SIDE**2)
