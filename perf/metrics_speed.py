"""How fast PSNR and SSIM are measured at 1280x720: against scikit-image with the same definition, in turns."""

import cv2
import numpy as np
import torch
from common import in_turns
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit import metrics
from restorekit.metrics import batched

sharp = cv2.resize(data.astronaut(), (1280, 720), interpolation=cv2.INTER_CUBIC)
restored = cv2.GaussianBlur(sharp, (0, 0), 1.6)
batch = [torch.from_numpy(one).permute(2, 0, 1)[None] / 255 for one in (restored, sharp)]


def reference() -> tuple[float, float]:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return (
        peak_signal_noise_ratio(sharp, restored, data_range=255),
        structural_similarity(sharp, restored, channel_axis=2, **options),
    )


def pictures() -> tuple[float, float]:
    return metrics.psnr(restored, sharp), metrics.ssim(restored, sharp)


def tensors() -> tuple[float, float]:
    return float(batched.psnr(*batch)), float(batched.ssim(*batch))


for name, ours in (("metrics, float64", pictures), ("metrics.batched on the CPU, float32", tensors)):
    slow, fast, ratio = in_turns(reference, ours, rounds=9)
    apart = np.abs(np.subtract(ours(), reference()))
    print(
        f"{name}: scikit-image {slow * 1e3:.0f} ms, restorekit {fast * 1e3:.0f} ms, {ratio:.1f} times as fast; "
        f"PSNR {apart[0]:.1e} dB and SSIM {apart[1]:.1e} apart"
    )
