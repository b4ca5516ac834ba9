"""Critics: networks that tell sharp pictures from restored ones during training."""

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
