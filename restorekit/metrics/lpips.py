"""LPIPS: distance of two pictures in the features of AlexNet, weighted as people judged. Lower is better, 0 is identical.

Zhang, Isola, Efros, Shechtman, Wang. The Unreasonable Effectiveness of Deep Features as a Perceptual Metric. CVPR 2018
(arXiv:1801.03924), version 0.1 of its weights, `net="alex"`. The weights do not ship: AlexNet's features come from
torchvision, the linear heads from the `lpips` package, both saved as safetensors in one folder.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.errors import UsageError, WeightsError
from restorekit.imaging.dtypes import to_unit
from restorekit.metrics.fidelity import Image, comparable
from restorekit.weights import state_dict

# Input channels, maps, kernel, stride, padding of torchvision's AlexNet; their indices in its `features`.
LAYERS = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
NAMES = ("features.0", "features.3", "features.6", "features.8", "features.10")
POOLED = (1, 2)  # layers that see the maximum of 3x3, every second pixel
SHIFT = (-0.030, -0.088, -0.188)  # ImageNet's mean and deviation for values in -1..1
SCALE = (0.458, 0.448, 0.450)
SMALLEST = 31  # px: below, AlexNet has nothing left


class LPIPS(nn.Module):
    """The metric with its weights.

    Args:
        folder: holds the safetensors files, by any name, with the tensors `features.N.weight`, `features.N.bias` and
            `alex.linN.weight`.

    Raises:
        WeightsError: absent, incomplete or damaged.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        state: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            found = state_dict.load(path)
            # VGG's files have features of the same names but other shapes.
            if found.get("features.0.weight", torch.empty(LAYERS[0][1], 3, 11, 11)).shape == (LAYERS[0][1], 3, 11, 11):
                state |= found
        wanted = [f"{name}.{part}" for name in NAMES for part in ("weight", "bias")]
        wanted += [f"alex.lin{index}.weight" for index in range(len(LAYERS))]
        if missing := [name for name in wanted if name not in state]:
            raise WeightsError(
                f"The weights of LPIPS are not here ({missing[0]} and {len(missing) - 1} more are missing).",
                "Save torchvision's AlexNet features and the heads of the lpips package as safetensors in this folder.",
                folder,
            )
        self.convolutions = nn.ModuleList(nn.Conv2d(*sizes) for sizes in LAYERS)
        self.heads = nn.ParameterList(state[f"alex.lin{index}.weight"].float() for index in range(len(LAYERS)))
        for layer, name in zip(self.convolutions, NAMES, strict=True):
            own = {part: state[f"{name}.{part}"].float() for part in ("weight", "bias")}
            layer.load_state_dict(own)
        self.eval().requires_grad_(False)

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Distances (N,) of two batches (N,3,H,W) in 0..1."""
        x = torch.cat([restored, sharp]) * 2 - 1
        x = (x - x.new_tensor(SHIFT).view(1, 3, 1, 1)) / x.new_tensor(SCALE).view(1, 3, 1, 1)
        total = torch.zeros(len(restored), device=x.device)
        for index, (layer, head) in enumerate(zip(self.convolutions, self.heads, strict=True)):
            x = F.relu(layer(F.max_pool2d(x, 3, 2) if index in POOLED else x))
            unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            apart = (unit[: len(restored)] - unit[len(restored) :]).square()
            total = total + F.conv2d(apart, head).mean(dim=(1, 2, 3))
        return total

    def measure(self, restored: Image, sharp: Image) -> float:
        """The distance of one picture, (H,W,3) as for `metrics.psnr`, at least 31 px on a side."""
        comparable(restored, sharp)
        if min(sharp.shape[:2]) < SMALLEST:
            raise UsageError(f"LPIPS needs at least {SMALLEST} px on a side, not {sharp.shape[1]}x{sharp.shape[0]}.")
        with torch.inference_mode():
            return float(self(_batch(restored), _batch(sharp)))


def _batch(picture: NDArray[Any]) -> Tensor:
    unit = to_unit(np.asarray(picture))
    rgb = np.broadcast_to(unit.reshape(*unit.shape[:2], -1), (*unit.shape[:2], 3))
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None]
