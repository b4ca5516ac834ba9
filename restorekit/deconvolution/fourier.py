"""Real Fourier transforms over the last two axes."""

import torch
from torch import Tensor

Size = tuple[int, int]
"""Height and width."""


def transform(image: Tensor, size: Size | None = None) -> Tensor:
    """The spectrum (...,H,W//2+1) of (...,H,W), first padded with zeros to `size`."""
    spectrum: Tensor = torch.fft.rfft2(image, s=size)
    return spectrum


def transform_back(spectrum: Tensor, size: Size) -> Tensor:
    """The image of that size."""
    image: Tensor = torch.fft.irfft2(spectrum, s=size)
    return image


def fast_size(height: int, width: int) -> Size:
    """The next larger sides that have small prime factors alone: others can take ten times as long."""
    from scipy.fft import next_fast_len  # a tenth of a second, for which those who undo no blur do not wait

    return next_fast_len(height, real=True), next_fast_len(width, real=True)
