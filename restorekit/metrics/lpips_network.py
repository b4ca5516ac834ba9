"""LPIPS' network: AlexNet's features and the linear heads that weight them. See `metrics.lpips`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.imaging.dtypes import Pixels, to_unit

# Input channels, maps, kernel, stride, padding of torchvision's AlexNet; their names in its state dict.
LAYERS = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
NAMES = ("features.0", "features.3", "features.6", "features.8", "features.10")
POOLED = (1, 2)  # layers that see the maximum of 3x3, every second pixel
SHIFT = (-0.030, -0.088, -0.188)  # ImageNet's mean and deviation for values in -1..1
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10  # of the reference implementation: features that are all zero stay zero

HINT = "Save torchvision's AlexNet features and the heads of the lpips package as safetensors in this folder."


class LPIPSNetwork(nn.Module):
    """AlexNet's five convolutions, each with a 1x1 head; empty until a state dict is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(*sizes) for sizes in LAYERS)
        self.heads = nn.ParameterList(torch.empty(1, maps, 1, 1) for _, maps, *_ in LAYERS)

    @classmethod
    def from_folder(cls, folder: Path) -> LPIPSNetwork:
        """The network with its weights, which do not ship.

        Args:
            folder: holds safetensors files, by any name, with the tensors `features.N.weight` and `features.N.bias` of
                torchvision's AlexNet and `alex.linN.weight` of the `lpips` package.

        Raises:
            WeightsError: absent, incomplete or damaged.
        """
        state: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                tensors = load_file(path)
            except (OSError, SafetensorError) as error:
                raise WeightsError(f"The file is damaged or no weights ({error}).", HINT, path) from None
            # VGG's files have features of the same names but other shapes.
            if tensors.get("features.0.weight", torch.empty(LAYERS[0][1], 3, 11, 11)).shape[-1] == LAYERS[0][2]:
                state |= tensors
        names = {
            f"convolutions.{index}.{part}": f"{name}.{part}"
            for index, name in enumerate(NAMES)
            for part in ("weight", "bias")
        }
        names |= {f"heads.{index}": f"alex.lin{index}.weight" for index in range(len(LAYERS))}
        if missing := [name for name in names.values() if name not in state]:
            raise WeightsError(
                f"The weights of LPIPS are not here ({missing[0]} and {len(missing) - 1} more are missing).",
                HINT,
                folder,
            )
        network = cls()
        try:
            network.load_state_dict({ours: state[theirs].float() for ours, theirs in names.items()})
        except RuntimeError as error:
            raise WeightsError(f"These are no weights of LPIPS ({error}).", HINT, folder) from None
        return network.eval().requires_grad_(False)

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Distances (N,) of two batches (N,3,H,W) in 0..1."""
        x = torch.cat([restored, sharp]) * 2 - 1
        x = (x - x.new_tensor(SHIFT).view(1, 3, 1, 1)) / x.new_tensor(SCALE).view(1, 3, 1, 1)
        total = torch.zeros(len(restored), device=x.device)
        for index, (layer, head) in enumerate(zip(self.convolutions, self.heads, strict=True)):
            x = F.relu(layer(F.max_pool2d(x, 3, 2) if index in POOLED else x))
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
            difference = (unit[: len(restored)] - unit[len(restored) :]).square()
            total = total + F.conv2d(difference, head).mean(dim=(1, 2, 3))
        return total

    def distance(self, restored: Pixels, sharp: Pixels) -> float:
        """Distance of one image, arrays as for `lpips`."""
        with torch.inference_mode():
            return float(self(_as_batch(restored), _as_batch(sharp)))


def _as_batch(image: Pixels) -> Tensor:
    """(1,3,H,W) in 0..1; grey is repeated."""
    unit = to_unit(np.asarray(image))
    rgb = np.broadcast_to(unit.reshape(*unit.shape[:2], -1), (*unit.shape[:2], 3))
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None]
