"""Fold what is constant at inference into the convolutions: weight normalisation, and batch normalisation behind them."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A cheaper copy of a network that computes the same, up to rounding.

    Weight-normalised convolutions keep the product; in every `nn.Sequential` a batch normalisation right behind a
    convolution goes into its weights.

    Args:
        network: left as it is.

    Returns:
        A copy in evaluation mode that can no longer be trained.
    """
    network = copy.deepcopy(network).eval()
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, (nn.Conv2d, nn.ConvTranspose2d)) and parametrize.is_parametrized(child, "weight"):
                setattr(part, name, _plain(child))
        if isinstance(part, nn.Sequential):
            _fold_sequence(part)
    return network


def _plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """The same layer without parametrisation of its weight.

    Made anew: PyTorch's `remove_parametrizations` changes the layer's class, which a copy shares with its original.
    """
    kind: type[nn.Module] = type(layer).__mro__[1]  # a parametrised layer's own class is derived from its true one
    plain = kind.__new__(kind)
    nn.Module.__init__(plain)
    own = {name: value for name, value in vars(layer).items() if not name.startswith("_")}
    vars(plain).update(own)  # sizes, strides, paddings
    plain.register_parameter("weight", nn.Parameter(layer.weight.detach().clone()))
    plain.register_parameter("bias", None if layer.bias is None else nn.Parameter(layer.bias.detach().clone()))
    return plain.eval()


def _fold_sequence(sequence: nn.Sequential) -> None:
    for index in range(len(sequence) - 1):
        convolution, norm = sequence[index], sequence[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[index] = fuse_conv_bn_eval(convolution, norm)
            sequence[index + 1] = nn.Identity()
