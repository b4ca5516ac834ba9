"""Layers as plain functions of a state dict, for second writings of networks, and random weights to compare with."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def with_random_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """Fill every tensor so that each layer keeps the size of its input, and each map and tap counts; in double precision."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    for name, tensor in model.state_dict().items():
        random = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        part = name.rpartition(".")[2]
        if not tensor.is_floating_point():
            continue
        if tensor.dim() == 4 and tensor[0].numel() > 1:
            random = random / tensor[0].numel() ** 0.5
        elif part in ("weight", "running_var", "original0"):  # of a normalisation, or slopes
            random = random.abs() / 2 + 0.3
        else:
            random = random / 5
        tensor.copy_(random)
    model.training = True  # of this module alone: the output is not clipped
    return model


class Layers:
    """The layers of a state dict.

    Args:
        state: tensors by name.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, stride: int = 1, dilation: int = 1, padding: int | None = None) -> Tensor:
        """Convolution with zeros around, by default so many that the size stays."""
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        sides = tuple(dilation * (side // 2) if padding is None else padding for side in weight.shape[2:])
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, bias, stride, sides, dilation, groups)

    def transposed(self, x: Tensor, name: str, stride: int = 2, padding: int = 0, more: int = 0) -> Tensor:
        """Transposed convolution; `more` is its output padding."""
        return F.conv_transpose2d(
            x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], stride, padding, output_padding=more
        )

    def norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        """Batch normalisation by running statistics."""
        mean, variance, scale, shift = (
            self.state[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + eps).sqrt() * scale + shift

    def image_norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        """Normalisation by the image's own statistics, with scale and shift if there are any."""
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
        x = (x - mean) / (variance + eps).sqrt()
        if f"{name}.weight" in self.state:
            x = x * self.state[f"{name}.weight"].view(1, -1, 1, 1) + self.state[f"{name}.bias"].view(1, -1, 1, 1)
        return x

    def prelu(self, x: Tensor, name: str) -> Tensor:
        """max(x, 0) + slope min(x, 0)."""
        return x.clamp(min=0) + self.state[f"{name}.weight"].view(1, -1, 1, 1) * x.clamp(max=0)


def leaky(x: Tensor, slope: float = 0.2) -> Tensor:
    """max(x, 0) + slope min(x, 0)."""
    return x.clamp(min=0) + slope * x.clamp(max=0)


def join(*maps: Tensor) -> Tensor:
    """Maps beside each other."""
    return torch.cat(maps, dim=1)


def nearest(x: Tensor, factor: int) -> Tensor:
    """Every pixel `factor` times along both sides."""
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def gradient(rgb: Tensor) -> Tensor:
    """SPSR's gradient map: central differences, zeros outside, sqrt(h^2 + v^2 + 1e-6)."""
    across, down = torch.zeros_like(rgb), torch.zeros_like(rgb)
    across[..., :-1] += rgb[..., 1:]
    across[..., 1:] -= rgb[..., :-1]
    down[..., :-1, :] += rgb[..., 1:, :]
    down[..., 1:, :] -= rgb[..., :-1, :]
    return (across**2 + down**2 + 1e-6).sqrt()


def spsr(layers: Layers, rgb: Tensor, factors: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """SPSR's Fig. 2 with 23 RRDBs: restored image and its gradient map, enlarged by every factor in turn."""

    def enlarged(x: Tensor, name: str) -> Tensor:
        for index, factor in enumerate(factors):
            x = leaky(layers.conv(nearest(x, factor), f"{name}.{index}.conv"))
        return x

    x = head = layers.conv(rgb, "head")
    g = gradient_head = layers.conv(gradient(rgb), "gradient_head")
    for block in range(23):
        x = rrdb(layers, x, f"blocks.{block}")
        if block + 1 in (5, 10, 15, 20):
            step = f"gradient_blocks.{(block + 1) // 5 - 1}"
            g = layers.conv(rrdb(layers, join(g, x), f"{step}.0"), f"{step}.1")
    x = enlarged(layers.conv(x, "trunk") + head, "image_up")
    g = enlarged(layers.conv(g, "gradient_trunk") + gradient_head, "gradient_up")
    x = layers.conv(leaky(layers.conv(x, "image_last.0")), "image_last.2")
    g = layers.conv(leaky(layers.conv(g, "gradient_last.0")), "gradient_last.2")
    x = layers.conv(rrdb(layers, join(g, x), "fusion.0"), "fusion.1")
    return layers.conv(leaky(layers.conv(x, "fusion.2")), "fusion.4"), layers.conv(g, "gradient_out")


def rrdb(layers: Layers, x: Tensor, name: str) -> Tensor:
    """ESRGAN's residual-in-residual dense block (Fig. 4)."""
    y = x
    for block in range(3):
        maps = y
        for index in range(4):
            maps = join(maps, leaky(layers.conv(maps, f"{name}.blocks.{block}.convs.{index}")))
        y = y + 0.2 * layers.conv(maps, f"{name}.blocks.{block}.convs.4")
    return x + 0.2 * y
