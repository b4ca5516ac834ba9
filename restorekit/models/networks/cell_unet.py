"""A U-Net on cells of 4x4 pixels whose decoder levels add what comes up to the skip.

It sees far at little cost: a sixteenth of the positions at its finest level, and 16x16 pixels a position at its lowest.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.layers import ResidualBlock, conv3, zero_init_
from restorekit.models.receptive_field import Window

CELL = 4  # side of a cell of the finest level in pixels
GRID = 4 * CELL  # side of a cell of the lowest level in pixels
GAIN = 4.0  # what centred images are multiplied with: about unit variance
SHARE = 0.1  # what corrections are multiplied with: about the size of sharp minus blurred

ENCODER, LOW, DECODER = (1, 1), 3, (2, 4)  # residual blocks of the levels; the decoder's from coarse to fine


class CellUNet(nn.Module):
    """Correction of an RGB image, by three levels of residual blocks.

    Args:
        widths: maps on cells of 4, 8 and 16 pixels.
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, low = widths
        self.head = nn.Sequential(conv3(3 * CELL**2, fine), *_blocks(fine, ENCODER[0]))
        self.to_middle = nn.Sequential(nn.Conv2d(fine, middle, 2, stride=2), *_blocks(middle, ENCODER[1]))
        self.to_low = nn.Sequential(nn.Conv2d(middle, low, 2, stride=2), *_blocks(low, LOW))
        self.from_low = nn.ConvTranspose2d(low, middle, 2, stride=2)
        self.middle = nn.Sequential(*_blocks(middle, DECODER[0]))
        self.from_middle = nn.ConvTranspose2d(middle, fine, 2, stride=2)
        self.fine = nn.Sequential(*_blocks(fine, DECODER[1]))
        self.out = zero_init_(conv3(fine, 3 * CELL**2))  # the untrained network corrects nothing

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to what is to be added to it; H and W are multiples of 16."""
        fine = self.head(F.pixel_unshuffle((rgb - 0.5) * GAIN, CELL))  # (N,fine,H/4,W/4)
        middle = self.to_middle(fine)  # (N,middle,H/8,W/8)
        low = self.to_low(middle)  # (N,low,H/16,W/16)
        middle = self.middle(self.from_low(low) + middle)
        fine = self.fine(self.from_middle(middle) + fine)
        return F.pixel_shuffle(SHARE * self.out(fine), CELL)


def _blocks(channels: int, count: int) -> list[ResidualBlock]:
    return [ResidualBlock(channels) for _ in range(count)]


def through_cell_unet(after: int) -> int:
    """Radius of the receptive field, in pixels, of a `CellUNet` with a network of radius `after` behind it."""
    fine = Window.of(GRID).conv(after).shuffle(CELL).conv(1 + 2 * DECODER[1])
    low = fine.shuffle(2).conv(2 * DECODER[0]).shuffle(2).conv(2 * LOW)
    return low.pool(2).conv(2 * ENCODER[1]).pool(2).conv(1 + 2 * ENCODER[0]).pool(CELL).radius
