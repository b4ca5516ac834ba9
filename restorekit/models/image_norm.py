"""Normalisation by statistics of the whole image, also where only a tile of it is at hand."""

from contextvars import ContextVar
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Statistics = Literal["image", "running"]
Moments = tuple[Tensor, Tensor]
"""Mean and variance (C,) of every map."""


class MomentSource(Protocol):
    """Whoever knows, or measures, the moments of a whole image."""

    def __call__(self, norm: "ImageNorm", x: Tensor) -> Moments | None:
        """The moments that `norm` shall use for its input `x`; None for those of `x` itself."""
        ...


moments_of_image: ContextVar[MomentSource | None] = ContextVar("moments_of_image", default=None)
"""Passed to the norms of a network around a call of it. A context variable, so that threads that share a network do not
meet, and that the networks' signatures stay those of their papers."""


class ImageNorm(nn.Module):
    """Normalisation by the mean and variance of every image, or by those of the training set.

    Instance normalisation (arXiv:1607.08022), and batch normalisation as DeblurGAN-v2's upstream runs it at test time: in
    training mode with one image a batch, which is the same thing. Tensors are named as in PyTorch's norms.

    Args:
        channels: maps.
        affine: whether learned scales and shifts follow.
        statistics: "image", or "running" for those collected in training.
        eps: added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, channels: int, affine: bool = False, statistics: Statistics = "image", eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.statistics, self.eps, self.momentum = statistics, eps, 0.1
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        if self.statistics == "running" and not self.training:
            return self._normalise(x, (self.running_mean, self.running_var))
        source = moments_of_image.get()
        moments = source(self, x) if source is not None else None
        if moments is not None:
            return self._normalise(x, moments)
        if self.training:
            self._track(x)
        if x[0, 0].numel() == 1:  # one value has no spread: it is its own mean
            x = torch.zeros_like(x)
            shape = (1, -1, 1, 1)
            return (
                x if self.weight is None or self.bias is None else x * self.weight.view(shape) + self.bias.view(shape)
            )
        if len(x) == 1 and not self.training:  # the same values, without instance_norm's copies of channels-last maps
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0, self.eps)
        return F.instance_norm(x, None, None, self.weight, self.bias, True, 0, self.eps)

    def _normalise(self, x: Tensor, moments: Moments) -> Tensor:
        return F.batch_norm(x, *moments, self.weight, self.bias, False, 0, self.eps)

    @torch.no_grad()
    def _track(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance.nan_to_num(1.0), self.momentum)  # one value has no sample variance
        self.num_batches_tracked += 1
