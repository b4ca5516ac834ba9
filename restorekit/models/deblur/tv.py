"""Total variation with unknown edges: the default where the blur is known.

See `deconvolution.sparse.tv`. Nothing is learned.
"""

from dataclasses import dataclass

from torch import Tensor

from restorekit.deconvolution import Blur, tv
from restorekit.deconvolution.sparse import ITERATIONS
from restorekit.models.config import Count
from restorekit.models.known_blur import Deconvolution, Noise
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

spec = Spec(
    name="tv",
    task="deblur",
    summary="total variation, unknown edges, told the blur",
    paper="Almeida & Figueiredo, IEEE Trans. Image Processing 22(8), 2013",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=300,
    half_precision=False,  # Fourier transforms
    blur="any",
)


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    iterations: Count = ITERATIONS
    noise: Noise = 0.0
    """Standard deviation in 0..1; 0 measures it."""


class TotalVariation(Deconvolution[Config]):
    """The method."""

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """Minimise the total variation."""
        return tv(rgb, blur, self.config.noise or noise, iterations=self.config.iterations)


def build(config: Config) -> TotalVariation:
    """Make the method."""
    return TotalVariation(config)
