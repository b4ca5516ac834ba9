"""Undo a blur that is known."""

from restorekit.deconvolution.blurs import Blur, Kernel, Windows, as_psf, sample_windows
from restorekit.deconvolution.lines import Lines, line_kernel
from restorekit.deconvolution.noise import noise_level
from restorekit.deconvolution.richardson_lucy import richardson_lucy
from restorekit.deconvolution.shake import Shake
from restorekit.deconvolution.sparse import hyper_laplacian, tv
from restorekit.deconvolution.wiener import wiener

__all__ = [
    "Blur",
    "Kernel",
    "Lines",
    "Shake",
    "Windows",
    "as_psf",
    "hyper_laplacian",
    "line_kernel",
    "noise_level",
    "richardson_lucy",
    "sample_windows",
    "tv",
    "wiener",
]
