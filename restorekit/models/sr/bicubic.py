"""Bicubic enlargement as MATLAB's `imresize` does it, and the other resizers that papers call bicubic: the baselines.

Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE Trans. ASSP 29(6), 1981, a = -0.5. Nothing is
learned. MATLAB rounds 8-bit images after each axis; a network has no bit depth, so here they are rounded once, at the end
(`imaging.resize` does both).
"""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from restorekit.imaging.resize import ResizeBorder, ResizeKernel
from restorekit.models.config import Scale
from restorekit.models.layers import clamp_output
from restorekit.models.receptive_field import through_upsampling
from restorekit.models.spec import Spec
from restorekit.models.upsampling import enlarge

spec = Spec(
    name="bicubic",
    task="sr",
    summary="interpolation as MATLAB's, the baseline",
    paper="Keys 1981, doi:10.1109/TASSP.1981.1163711",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=2,
    tiling="exact",
    objective="pixel",
    bytes_per_pixel=1100,
    scale=4,
    every_scale=True,
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    scale: Scale = 4
    variant: ResizeKernel = "cubic"
    """cubic has a = -0.5, cubic-opencv a = -0.75; linear, lanczos and nearest are what they are called."""
    border: ResizeBorder = "symmetric"
    """symmetric: mirrored, MATLAB today; replicate: MATLAB until about 2015, OpenCV; cut: Pillow."""


class Bicubic(nn.Module):
    """The interpolation. RGB (N,3,H,W) in [0,1] to (N,3,sH,sW)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, rgb: Tensor) -> Tensor:
        """Enlarge a batch."""
        return clamp_output(enlarge(rgb, self.config.scale, self.config.variant, self.config.border), self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(
        spec,
        scale=config.scale,
        receptive_field=through_upsampling(config.scale, 0, config.variant),
    )


def build(config: Config) -> Bicubic:
    """Make the interpolation."""
    return Bicubic(config)
