"""Richardson-Lucy with unknown edges and, if asked, saturated lights.

See `deconvolution.richardson_lucy`. Nothing is learned.
"""

from dataclasses import dataclass

from torch import Tensor

from restorekit.deconvolution import Blur, richardson_lucy
from restorekit.models.config import Count
from restorekit.models.known_blur import Deconvolution
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

spec = Spec(
    name="richardson-lucy",
    task="deblur",
    summary="products that keep light above black, told the blur",
    paper="Richardson 1972, doi:10.1364/JOSA.62.000055; Lucy 1974, doi:10.1086/111605",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=200,
    half_precision=False,  # Fourier transforms
    blur="any",
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    iterations: Count = 30
    """More are sharper, and noisier."""
    saturation: bool = False
    """Whether lights were cut off at white; then 50 iterations are right."""


class RichardsonLucy(Deconvolution[Config]):
    """The method."""

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Iterate; the noise does not matter."""
        return richardson_lucy(rgb, blur, iterations=self.config.iterations, saturation=self.config.saturation)


def build(config: Config) -> RichardsonLucy:
    """Make the method."""
    return RichardsonLucy(config)
