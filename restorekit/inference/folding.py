"""Fold what is constant at inference into the convolutions: weight normalisation, and batch normalisation behind them."""

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(model: nn.Module) -> nn.Module:
    """Make a network cheaper without changing what it computes, up to rounding.

    Weight-normalised convolutions keep the product; in every `nn.Sequential` a batch normalisation right behind a
    convolution goes into its weights.

    Args:
        model: changed in place and put into evaluation mode; it can no longer be trained.
    """
    model.eval()
    for part in list(model.modules()):
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")
        if isinstance(part, nn.Sequential):
            _fold_sequence(part)
    return model


@torch.no_grad()
def _fold_sequence(sequence: nn.Sequential) -> None:
    for index in range(len(sequence) - 1):
        convolution, norm = sequence[index], sequence[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[index] = fuse_conv_bn_eval(convolution, norm)
            sequence[index + 1] = nn.Identity()
