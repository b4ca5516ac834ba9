"""How close a restored picture is to the sharp one. Every metric names its definition and source."""

from restorekit.metrics.fidelity import psnr, ssim

__all__ = ["psnr", "ssim"]
