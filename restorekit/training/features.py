"""Perceptual loss: distance of VGG features. The network's weights are the user's; none come with restorekit."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.weights import state_dict

CONV3_3 = 14  # its place in torchvision's VGG-16 and VGG-19 alike
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what torchvision's weights expect of RGB in 0..1


class Features(nn.Module):
    """VGG up to conv3_3, before its ReLU: DeblurGAN's and DeblurGAN-v2's content layer.

    Args:
        path: VGG-16 or VGG-19 convolutions under torchvision's names (`features.0.weight`, ...), trained with its
            normalisation.

    Raises:
        WeightsError: a convolution is absent, or the file cannot be read.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        state = state_dict.load(path)
        layers: list[nn.Module] = []
        for index in range(CONV3_3 + 1):
            if index in (4, 9):
                layers.append(nn.MaxPool2d(2))
            elif index in (1, 3, 6, 8, 11, 13):
                layers.append(nn.ReLU(inplace=True))
            else:
                try:
                    weight, bias = (state[f"features.{index}.{part}"].float() for part in ("weight", "bias"))
                except KeyError as error:
                    raise WeightsError(
                        f"The file has no {error.args[0]}.",
                        "--features takes VGG-16 or VGG-19 under torchvision's names.",
                        path,
                    ) from None
                layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                layer.load_state_dict({"weight": weight, "bias": bias})
                layers.append(layer)
        self.layers = nn.Sequential(*layers).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1))

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Mean squared distance of the features of two batches (N,3,H,W) in 0..1."""
        with torch.no_grad():
            target = self.layers((sharp - self.mean) / self.spread)
        return F.mse_loss(self.layers((restored - self.mean) / self.spread), target)
