"""Features of VGG networks for perceptual losses. The weights are the user's; none come with restorekit."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.weights import state_dict

Layer = Literal["conv3_3", "vgg16.conv5_3", "vgg19.conv5_4"]
"""A convolution, before its ReLU; conv3_3 is the same place in VGG-16 and VGG-19."""

LAYERS: dict[Layer, tuple[int, ...]] = {
    "conv3_3": (2, 2, 3),
    "vgg16.conv5_3": (2, 2, 3, 3, 3),
    "vgg19.conv5_4": (2, 2, 4, 4, 4),
}
"""Convolutions of the blocks up to and including the layer; between blocks pixels are pooled by 2."""

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what torchvision's weights expect of RGB in 0..1


class VGGFeatures(nn.Module):
    """The layers of a VGG network up to one convolution.

    Args:
        state: weights and biases under torchvision's names (`features.0.weight`, ...), trained with its normalisation.
        layer: which convolution.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, state: state_dict.StateDict, layer: Layer) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for convolutions in LAYERS[layer]:
            for _ in range(convolutions):
                weight, bias = (state[f"features.{len(layers)}.{part}"].float() for part in ("weight", "bias"))
                convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                convolution.load_state_dict({"weight": weight, "bias": bias})
                layers += [convolution, nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers[:-2]).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1))

    def forward(self, restored: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
        """Features of two batches (N,3,H,W) in 0..1; those of the sharp one take no gradient."""
        with torch.no_grad():
            target = self.layers((sharp - self.mean) / self.spread)
        return self.layers((restored - self.mean) / self.spread), target


def load_features(path: Path, layer: Layer) -> VGGFeatures:
    """Read VGG weights.

    Args:
        path: a weights file with the convolutions of the layer's network under torchvision's names.
        layer: which convolution.

    Raises:
        WeightsError: a convolution is absent, as it is in the other network, or the file cannot be read.
    """
    try:
        return VGGFeatures(state_dict.load(path), layer)
    except KeyError as error:
        network = {"vgg16": "VGG-16", "vgg19": "VGG-19"}.get(layer.partition(".")[0], "VGG-16 or VGG-19")
        raise WeightsError(
            f"The file has no {error.args[0]}.", f"The layer {layer} is of {network} under torchvision's names.", path
        ) from None
