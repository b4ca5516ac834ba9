"""MobileNetV2's convolutions: inverted residuals with linear bottlenecks.

Sandler, Howard, Zhu, Zhmoginov, Chen. MobileNetV2: Inverted Residuals and Linear Bottlenecks. CVPR 2018 (arXiv:1801.04381).
Sizes of Table 2 without the classifier. Tensors are named as in the PyTorch form that DeblurGAN-v2 used.
"""

from typing import cast

from torch import Tensor, nn

from restorekit.models.image_norm import ImageNorm, Statistics

# Expansion, maps, blocks, stride of the first block (Table 2, columns t, c, n, s).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _convolution(
    inputs: int, outputs: int, kernel: int, statistics: Statistics, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Convolution and normalisation; a linear bottleneck ends here."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, ImageNorm(outputs, affine=True, statistics=statistics)]


def _relu6() -> nn.ReLU6:
    return nn.ReLU6(inplace=True)


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter every map by 3x3, narrow by 1x1; added to the input where the shapes agree.

    Args:
        inputs, outputs: maps in and out.
        stride: of the 3x3 convolution.
        expansion: how many times wider the middle is; with 1 there is nothing to widen.
        statistics: what the normalisations use.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, statistics: Statistics) -> None:
        super().__init__()
        wide = inputs * expansion
        layers = [*_convolution(inputs, wide, 1, statistics), _relu6()] if expansion > 1 else []
        layers += [*_convolution(wide, wide, 3, statistics, stride, groups=wide), _relu6()]
        self.conv = nn.Sequential(*layers, *_convolution(wide, outputs, 1, statistics))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N,inputs,H,W) to (N,outputs,H/stride,W/stride)."""
        filtered = cast(Tensor, self.conv(x))
        return x + filtered if self.adds else filtered


def mobilenet_v2(statistics: Statistics) -> nn.Sequential:
    """All 19 blocks in a row: the 3x3 head with stride 2, 17 inverted residuals, the 1x1 tail to 1280 maps.

    Args:
        statistics: "image" or "running", see `ImageNorm`.
    """
    width = 32
    blocks: list[nn.Module] = [nn.Sequential(*_convolution(3, width, 3, statistics, stride=2), _relu6())]
    for expansion, outputs, count, stride in STAGES:
        for index in range(count):
            blocks.append(InvertedResidual(width, outputs, 1 if index else stride, expansion, statistics))
            width = outputs
    blocks.append(nn.Sequential(*_convolution(width, 1280, 1, statistics), _relu6()))
    return nn.Sequential(*blocks)
