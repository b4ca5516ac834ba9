"""Networks for tests."""

import torch
from torch import nn

SMALL = {
    "gggan": {"modules": 2, "taps": (1, 2), "channels": 16, "prenet_widths": (8, 8, 16)},
    "deblurgan-v2-inception": {"filters": 32, "blocks": (1, 1, 0)},
}
"""Smaller configurations for checks that do not concern the default sizes."""

SIDES = {"deblurgan-v2-inception": 256}
"""Side of the picture that the work per pixel is given for, where it depends on the size; elsewhere 32 is enough."""


def randomise(model: nn.Module, std: float = 0.05) -> nn.Module:
    """Fill every zero-initialised layer too: seams and differences only show in networks that do something."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            nn.init.normal_(parameter, std=std)
    return model.eval()
