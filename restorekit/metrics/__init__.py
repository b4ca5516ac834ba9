"""How close a restored image is to the sharp one. Every metric names its definition and source; `METRICS` lists them."""

from restorekit.metrics.fidelity import mse, psnr
from restorekit.metrics.similarity import SSIMVariant, ms_ssim, ms_ssim_metrix, ssim, ssim_global, ssim_skimage
from restorekit.metrics.table import METRICS, SSIM_VARIANTS, Metric, Needs

__all__ = [
    "METRICS",
    "SSIM_VARIANTS",
    "Metric",
    "Needs",
    "SSIMVariant",
    "ms_ssim",
    "ms_ssim_metrix",
    "mse",
    "psnr",
    "ssim",
    "ssim_global",
    "ssim_skimage",
]
