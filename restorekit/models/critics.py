"""Critics: networks that tell sharp pictures from restored ones during training."""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from restorekit.models.layers import leaky


class VGG128(nn.Module):
    """The VGG-style critic of SRGAN, ESRGAN, SPSR and GGGAN; its input is 128x128 exactly.

    Ten convolutions, 3x3 and 4x4 with stride 2 in turn, batch normalisation on all but the first; then 8192 -> 100 -> 1.
    """

    SIDE = 128

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1), leaky()]
        before = 64
        for width in (64, 128, 256, 512, 512):
            for kernel, stride in ((3, 1), (4, 2)):
                if width == 64 and stride == 1:
                    continue  # the first convolution stands above: it has no normalisation
                convolution = nn.Conv2d(before, width, kernel, stride, padding=1)
                layers += [convolution, nn.BatchNorm2d(width), leaky()]
                before = width
        self.features = nn.Sequential(*layers)
        self.score = nn.Sequential(nn.Flatten(), nn.Linear(512 * 4 * 4, 100), leaky(), nn.Linear(100, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,128,128) to raw scores (N,1)."""
        return cast(Tensor, self.score(self.features(rgb)))


class PatchGAN(nn.Module):
    """The critic of pix2pix, DeblurGAN and DeblurGAN-v2: one raw score for each of many overlapping patches.

    4x4 convolutions with padding 2: `depth` of them with stride 2, two with stride 1; 64 maps, doubled up to 512; instance
    normalisation on all but the first and the last, leaky ReLU.

    Args:
        depth: 3 sees patches of 70x70 pixels (DeblurGAN's critic and the local one of DeblurGAN-v2); 5 sees 286x286, the
            whole of a 256x256 crop (the global one of DeblurGAN-v2).
    """

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        widths = [64 * min(2**index, 8) for index in range(depth + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, padding=2), leaky()]
        for index, (before, after) in enumerate(pairwise(widths), start=1):
            convolution = nn.Conv2d(before, after, 4, 2 if index < depth else 1, padding=2)
            layers += [convolution, nn.InstanceNorm2d(after), leaky()]
        self.model = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=2))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) to raw scores (N,1,h,w) of the patches."""
        return cast(Tensor, self.model(rgb))
