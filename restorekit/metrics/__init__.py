"""How close a restored picture is to the sharp one. Every metric names its definition and source."""

from restorekit.metrics.fidelity import mse, psnr
from restorekit.metrics.similarity import ms_ssim, ssim, ssim_global, ssim_skimage

__all__ = ["ms_ssim", "mse", "psnr", "ssim", "ssim_global", "ssim_skimage"]
