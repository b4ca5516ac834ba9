"""Wiener's filter with a prior on gradients: the linear estimate, one quotient of Fourier transforms."""

from torch import Tensor

from restorekit.deconvolution.blurs import Blur, Kernel, Operator
from restorekit.deconvolution.edges import Canvas, taper
from restorekit.errors import UsageError

SMOOTHNESS = 150.0  # times the noise's variance is the weight of the gradients: 0.015 at 1 % of noise


def wiener(image: Tensor, blur: Blur, noise: float) -> Tensor:
    """Deconvolve by conj(K) B / (|K|^2 + s |D|^2): noise over signal, where gradients of images have a flat spectrum.

    Args:
        image: (N,C,H,W) in 0..1.
        blur: a `Kernel`.
        noise: standard deviation of the noise.

    Returns:
        (N,C,H,W), not clipped.

    Raises:
        UsageError: the blur differs over the image, or is larger than it.
    """
    kernel, canvas = uniform(blur), Canvas.around(image, blur)
    grown = taper(canvas.grow(image), kernel)
    return canvas.cut(invert(grown, kernel.on(grown), SMOOTHNESS * noise**2))


def uniform(blur: Blur) -> Kernel:
    """A blur that is the same everywhere.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(blur, Kernel):
        raise UsageError("This method takes one PSF for the whole image.", "tv and richardson-lucy take any blur.")
    return blur


def invert(image: Tensor, operator: Operator, smooth: float) -> Tensor:
    """The filter alone, on a canvas (N,C,H,W)."""
    return operator.solve(operator.project(image), image.new_zeros(image.shape), 1.0, smooth, image)
