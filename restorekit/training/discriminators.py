"""Discriminators: networks that tell sharp images from restored ones during training."""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from restorekit.models.layers import leaky


class VGG128(nn.Module):
    """The VGG-style discriminator of SRGAN, ESRGAN, SPSR and GGGAN; its input is 128x128 exactly.

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
    """The discriminator of pix2pix, DeblurGAN and DeblurGAN-v2: one raw score for each of many overlapping patches.

    4x4 convolutions with padding 2: `depth` of them with stride 2, two with stride 1; 64 maps, doubled up to 512; instance
    normalisation on all but the first and the last, leaky ReLU.

    Args:
        depth: 3 sees patches of 70x70 pixels (DeblurGAN's and the local one of DeblurGAN-v2); 5 sees 286x286, the
            whole of a 256x256 crop (the global one of DeblurGAN-v2).
        inputs: maps it sees; 6 for a blurred image beside the candidate (DGF's conditional discriminator).
    """

    def __init__(self, depth: int = 3, inputs: int = 3) -> None:
        super().__init__()
        widths = [64 * min(2**index, 8) for index in range(depth + 1)]
        layers: list[nn.Module] = [nn.Conv2d(inputs, widths[0], 4, 2, padding=2), leaky()]
        for index, (before, after) in enumerate(pairwise(widths), start=1):
            convolution = nn.Conv2d(before, after, 4, 2 if index < depth else 1, padding=2)
            layers += [convolution, nn.InstanceNorm2d(after), leaky()]
        self.model = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=2))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) to raw scores (N,1,h,w) of the patches."""
        return cast(Tensor, self.model(rgb))


class SangDiscriminator(nn.Module):
    """Sang et al.'s: ten 3x3 convolutions, every second with stride 2, then 8192 -> 1024 -> 1; 128x128 exactly."""

    SIDE = 128

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in (32, 64, 128, 256, 512):
            for stride in (1, 2):
                layers += [nn.Conv2d(before, width, 3, stride, padding=1), leaky()]
                before = width
        self.features = nn.Sequential(*layers)
        self.score = nn.Sequential(nn.Flatten(), nn.Linear(512 * 4 * 4, 1024), leaky(), nn.Linear(1024, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,128,128) to raw scores (N,1)."""
        return cast(Tensor, self.score(self.features(rgb)))


class NahDiscriminator(nn.Module):
    """DeepDeblur's: 5x5 convolutions without bias down to one value; 256x256 exactly."""

    SIDE = 256

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width, stride in ((32, 1), (32, 2), (64, 1), (64, 2), (128, 1), (128, 4), (256, 1), (256, 4), (512, 1)):
            layers += [nn.Conv2d(before, width, 5, stride, padding=2, bias=False), leaky()]
            before = width
        layers += [nn.Conv2d(512, 512, 4, stride=4, bias=False), leaky(), nn.Conv2d(512, 1, 1, bias=False)]
        self.body = nn.Sequential(*layers, nn.Flatten())

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,256,256) to raw scores (N,1)."""
        return cast(Tensor, self.body(rgb))


class SRGANEMDiscriminator(nn.Module):
    """That of the SR paper's Table 2: six 4x4 convolutions of stride 2 to 2048 maps, five more, one linear score.

    Batch normalisation on all but the first, leaky ReLU everywhere, no sigmoid. The table's plain list is kept; in the code
    family it comes from, the last three are a residual branch.

    Args:
        side: of its input, a multiple of 64; the linear layer fixes it.
        layer_norm: normalise every sample by itself instead of the batch, as a gradient penalty needs it.
    """

    def __init__(self, side: int, layer_norm: bool = False) -> None:
        super().__init__()

        def norm(channels: int) -> nn.Module:
            return nn.GroupNorm(1, channels) if layer_norm else nn.BatchNorm2d(channels)

        layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), leaky()]
        before = 64
        narrowing = ((1024, 1), (512, 1), (128, 1), (128, 3), (512, 3))
        for width in (128, 256, 512, 1024, 2048):
            layers += [nn.Conv2d(before, width, 4, 2, 1), norm(width), leaky()]
            before = width
        for width, kernel in narrowing:
            layers += [nn.Conv2d(before, width, kernel, padding=kernel // 2), norm(width), leaky()]
            before = width
        self.features = nn.Sequential(*layers)
        self.score = nn.Sequential(nn.Flatten(), nn.Linear(512 * (side // 64) ** 2, 1))
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, std=0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.02)

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,side,side) to raw scores (N,1)."""
        return cast(Tensor, self.score(self.features(rgb)))
