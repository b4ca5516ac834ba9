"""Downscaling as super-resolution papers do it. Methods differ by up to 1.5 dB in their tables, so each has its name."""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image

from restorekit.degradation.choices import DownscaleMethod
from restorekit.degradation.degradation import Rgb8
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize

DOWNSCALE_METHODS: tuple[DownscaleMethod, ...] = get_args(DownscaleMethod)


@dataclass(frozen=True)
class Downscale:
    """How large images become small ones. A `Degradation`; whole images are downscaled, crops are cut afterwards."""

    scale: int
    """Pixels of the large image for one of the small image, along an axis."""
    method: DownscaleMethod = "matlab"
    """matlab: antialiased bicubic as MATLAB's `imresize`; pillow: Pillow's antialiased bicubic; opencv: OpenCV's bicubic
    (a = -0.75, no antialiasing); gauss: Gaussian blur, then every scale-th pixel."""
    sigma: float = 0.4
    """Deviation of the Gaussian, in pixels of the small image."""
    border: Literal["symmetric", "replicate"] = "symmetric"
    """Edges of "matlab": mirrored as today, or repeated as until about 2015, when most published sets were made."""

    def __post_init__(self) -> None:
        if self.scale < 1:
            raise UsageError(f"`scale` must be at least 1, not {self.scale}.")
        if self.method not in DOWNSCALE_METHODS:
            raise UsageError(f"There is no downscaling method '{self.method}'.", f"Use {', '.join(DOWNSCALE_METHODS)}.")

    def crop_to_grid(self, sharp: Rgb8) -> Rgb8:
        """The image (H,W,3) without the rows and columns at the end that do not fill a pixel of the small one."""
        height, width = sharp.shape[:2]
        return sharp[: height // self.scale * self.scale, : width // self.scale * self.scale]

    def degrade_image(self, sharp: Rgb8, rng: np.random.Generator | None = None) -> Rgb8:
        """Downscale an image.

        Args:
            sharp: (H,W,3) uint8. Where a side is no multiple of `scale`, "gauss" leaves the rest out and the other
                methods squeeze it in.
            rng: not needed, nothing is random.

        Returns:
            (H // scale,W // scale,3) uint8.
        """
        height, width = sharp.shape[0] // self.scale, sharp.shape[1] // self.scale
        if self.method == "gauss":
            return self._subsample(self.crop_to_grid(sharp))
        if self.method == "pillow":
            return np.asarray(Image.fromarray(sharp).resize((width, height), Image.Resampling.BICUBIC))
        if self.method == "opencv":
            large = np.ascontiguousarray(sharp)
            return np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        return resize(sharp, (height, width), border=self.border)

    def make_pair(self, sharp: Rgb8) -> tuple[Rgb8, Rgb8]:
        """The small image, and the part of the large one (H,W,3) that it shows: all of it for "pillow", which squeezes in
        what does not fill a pixel; for the others `crop_to_grid`.
        """
        shown = sharp if self.method == "pillow" else np.ascontiguousarray(self.crop_to_grid(sharp))
        return self.degrade_image(shown), shown

    def _subsample(self, sharp: Rgb8) -> Rgb8:
        blurred = cv2.GaussianBlur(sharp, (0, 0), self.sigma * self.scale, borderType=cv2.BORDER_REFLECT)
        # Small pixel i covers large pixels s*i ... s*i + s - 1: for an even scale its centre lies between two of them.
        first, second = (self.scale - 1) // 2, self.scale // 2
        around_centre = [
            to_unit(blurred[y :: self.scale, x :: self.scale]) for y in (first, second) for x in (first, second)
        ]
        return from_unit(np.mean(around_centre, axis=0).astype(np.float32))
