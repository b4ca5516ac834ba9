"""Undo a blur whose PSF is known: Wiener's filter and Richardson-Lucy."""

from restorekit.deconvolution.richardson_lucy import richardson_lucy
from restorekit.deconvolution.wiener import wiener

__all__ = ["richardson_lucy", "wiener"]
