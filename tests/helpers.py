"""Networks for tests, and digests of pixels."""

import hashlib
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from restorekit.inference.folding import folded
from restorekit.models import registry
from restorekit.models.image_norm import ImageNorm, moments_of_image
from restorekit.weights import state_dict

SMALL = {
    "chakrabarti": {"width": 8},
    "gggan": {"modules": 2, "taps": (1, 2), "channels": 16, "prenet_widths": (8, 8, 16)},
    "deblurgan": {"channels": 4, "dropout": 0.0},
    "deblurgan-v2-inception": {"filters": 32, "blocks": (1, 1, 0)},
    "deepdeblur": {"channels": 2},
    "dgf": {"growth": 4, "dropout": 0.0},
    "dn": {"channels": 4, "growth": 2, "dropout": 0.0},
    "gong": {"widths": (4, 4, 4, 4, 4)},
    "msdn": {"channels": 4, "growth": 2, "dropout": 0.0},
    "noroozi": {"widths": (16, 16, 16)},
    "sang": {"channels": 8},
    "spsr-deblur": {"channels": 8, "growth": 4, "blocks": 2, "taps": (1, 2)},
    "srn": {"channels": 2},
    "sun": {"widths": (4, 4, 4)},
    "svrnn": {"channels": 4, "stages": 2, "widths": (4, 4, 4, 4)},
    "compact": {"channels": 8},
    "srgan-em": {"channels": 8},
    "drrn": {"channels": 8, "units": 9},
    "dsrn": {"channels": 8},
    "esrgan": {"channels": 8, "growth": 4, "blocks": 2},
    "spsr": {"channels": 8, "growth": 4, "blocks": 2, "taps": (1, 2)},
    "srcnn": {"middle": 1},
    "srresnet": {"channels": 8},
    "vdsr": {"channels": 8},
}
"""Fewer maps and, where the facts of the smaller form are known, fewer layers: for checks that do not concern the sizes."""

SIDES = {"deblurgan-v2-inception": 256, "gong": 256, "sun": 256, "chakrabarti": 256}
"""Side of the image that the work per pixel is given for, where it depends on the size; elsewhere 32 is enough."""


def learning_systems() -> list[str]:
    """Systems that `train` trains: with parameters, and not told the blur."""
    specs = map(registry.spec_of, registry.names())
    return [spec.name for spec in specs if spec.parameters and (spec.blur == "none" or spec.estimates)]


def randomise(model: nn.Module, std: float = 0.05) -> nn.Module:
    """Fill every zero-initialised layer too: seams and differences only show in networks that do something."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            nn.init.normal_(parameter, std=std)
    return model.eval()


def averaging(model: nn.Module) -> nn.Module:
    """A copy for following how far a network looks: nothing dies in a ReLU, cancels, overflows or vanishes.

    Every layer gives half a positive mean of what it sees.
    """
    generator = torch.Generator().manual_seed(0)
    model = folded(model)
    for part in model.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            positive = torch.rand(part.weight.shape, generator=generator) + 0.5
            shares = positive / (2 * positive.flatten(1).sum(1)).view(-1, 1, 1, 1)
            part.weight.data = shares.to(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return model.eval()


def noise(*shape: int) -> Tensor:
    """The same random values in 0..1 every time."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def standard_moments(norm: ImageNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean 0 and variance 1 for every map."""
    return torch.zeros_like(norm.running_mean), torch.ones_like(norm.running_var)


def measured_receptive_field(
    model: nn.Module,
    size_multiple: int,
    guess: int,
    forward: Callable[[nn.Module, Tensor], Tensor] = nn.Module.__call__,
) -> int:
    """Distance of the farthest input pixel, along an axis, that the result of one cell of the grid depends on.

    Args:
        model: a network with any weights.
        size_multiple: side of a cell in pixels.
        guess: the radius is about that at most.
        forward: runs the network on a batch.
    """
    model = averaging(model.requires_grad_(False).double())
    model.training = True  # of this module alone: a clipped output would show no dependence
    margin = -(-(guess + 2 * size_multiple) // size_multiple) * size_multiple
    first, last = margin, margin + size_multiple - 1
    # Bright, so that it stays positive where a network subtracts the middle of the range first.
    rgb = (0.6 + 0.4 * noise(1, 3, max(8, size_multiple), last + margin + 1).double()).requires_grad_()
    token = moments_of_image.set(standard_moments)  # a normalisation by the image itself would see everything
    output = forward(model, rgb)
    moments_of_image.reset(token)
    scale = output.shape[-1] // rgb.shape[-1]
    (gradient,) = torch.autograd.grad(output[0, :, 0, first * scale : (last + 1) * scale].sum(), rgb)
    touched = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    return max(first - int(touched.min()), int(touched.max()) - last)


def pixel_digest(pixels: np.ndarray | Tensor) -> str:
    """The beginning of the SHA-256 of an array's bytes. Stored ones pin pixels that a refactoring must not change."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


VGG16 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
VGG19 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
"""Places of the convolutions in torchvision's networks."""


def save_vgg(path: Path, places: tuple[int, ...]) -> Path:
    """A network of eight maps instead of hundreds."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for place in places:
        state[f"features.{place}.weight"] = torch.randn(8, 8 if place else 3, 3, 3, generator=generator) / 6
        state[f"features.{place}.bias"] = torch.zeros(8)
    state_dict.save(state, path, {})
    return path


class LiveMemory(TorchDispatchMode):
    """The most bytes that tensors made inside it hold at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for storage in {leaf.untyped_storage() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}:
            if storage not in self.known:
                self.known[storage] = size = storage.nbytes()
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self.release, size)
        return result

    def release(self, size: int) -> None:
        self.now -= size


class Impatient:
    """Hears of parts, and ends the computation the first time that it is asked in one of them."""

    def __init__(self, ends_in: str) -> None:
        self.ends_in, self.parts = ends_in, list[str]()

    def begin(self, part: str) -> None:
        self.parts.append(part)

    def go_on(self) -> None:
        if self.parts[-1] == self.ends_in:
            raise KeyboardInterrupt
