"""Names that settings, recipes and the command line choose from. Nothing else, so that `--help` may import them."""

from typing import Literal

BlurKind = Literal["linear", "trajectory", "rotational", "mixed"]
"""Blur of paired sets: a straight path, a shaking hand, a rolling camera; mixed is linear or rotational."""

PSFKind = Literal["linear", "line", "trajectory", "defocus", "sharp"]
"""PSFs of training samples, see `RandomBlur.shares`."""

ConvolutionBorder = Literal["reflect", "valid"]
"""What a convolution does at the image's edges, see `convolve`."""

Light = Literal["auto", "srgb", "linear"]
"""Whether stored values or linear light is blurred, see `BlurSettings`."""

DownscaleMethod = Literal["matlab", "pillow", "opencv", "gauss"]
"""How large images become small ones, see `Downscale`."""
