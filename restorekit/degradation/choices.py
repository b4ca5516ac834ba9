"""Names that settings, recipes and the command line choose from. Nothing else, so that `--help` may import them."""

from typing import Literal

BlurKind = Literal["linear", "trajectory", "rotational", "mixed", "shake", "scene"]
"""Blur of paired sets, see `BlurSettings.kind`."""

SetKind = Literal["linear", "trajectory", "rotational", "mixed", "shake", "scene", "frames"]
"""What `synth-blur` makes: those, and means of frames, see `restorekit.degradation.frames`."""

SampleKind = Literal["linear", "line", "trajectory", "defocus", "shake", "scene", "sharp"]
"""Blur of training samples, see `RandomBlur.shares`."""

ConvolutionBorder = Literal["reflect", "valid"]
"""What a convolution does at the image's edges, see `convolve`."""

Light = Literal["auto", "stored", "gamma", "srgb", "random"]
"""What is blurred: the values of the file, light by a gamma of 2.2, light by the curve of sRGB, or one of the three for each
image. auto: stored values where a PSF is the blur, as the papers do, and gamma for everything else."""

DownscaleMethod = Literal["matlab", "pillow", "opencv", "gauss"]
"""How large images become small ones, see `Downscale`."""
