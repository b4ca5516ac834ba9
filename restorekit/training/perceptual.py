"""Perceptual loss: distance of VGG features. The network's weights are the user's; none come with restorekit."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.weights import state_dict

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14)  # their places in torchvision's VGG-16 and VGG-19 alike; the last is conv3_3
POOLS = (4, 9)
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what torchvision's weights expect of RGB in 0..1


class PerceptualLoss(nn.Module):
    """Distance of VGG's conv3_3, before its ReLU: DeblurGAN's and DeblurGAN-v2's content layer.

    Args:
        state: weights and biases under torchvision's names (`features.0.weight`, ...), of a VGG-16 or VGG-19 trained with
            its normalisation.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, state: state_dict.StateDict) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(CONVOLUTIONS[-1] + 1):
            if index in POOLS:
                layers.append(nn.MaxPool2d(2))
            elif index in CONVOLUTIONS:
                weight, bias = (state[f"features.{index}.{part}"].float() for part in ("weight", "bias"))
                layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                layer.load_state_dict({"weight": weight, "bias": bias})
                layers.append(layer)
            else:
                layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1))

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Mean squared distance of the features of two batches (N,3,H,W) in 0..1."""
        with torch.no_grad():
            target = self.layers((sharp - self.mean) / self.spread)
        return F.mse_loss(self.layers((restored - self.mean) / self.spread), target)


def load_perceptual_loss(path: Path) -> PerceptualLoss:
    """Read VGG weights.

    Args:
        path: a weights file with the convolutions of VGG-16 or VGG-19 under torchvision's names.

    Raises:
        WeightsError: a convolution is absent, or the file cannot be read.
    """
    state = state_dict.load(path)
    for index in CONVOLUTIONS:
        for part in ("weight", "bias"):
            if f"features.{index}.{part}" not in state:
                raise WeightsError(
                    f"The file has no features.{index}.{part}.",
                    "A perceptual loss takes VGG-16 or VGG-19 under torchvision's names.",
                    path,
                )
    return PerceptualLoss(state)
