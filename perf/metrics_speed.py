"""How fast PSNR and SSIM of a 1280x720 image are measured: against scikit-image with the same definition."""

import cv2
import numpy as np
import torch
from common import in_turns, parser, photo, record
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit import metrics
from restorekit.metrics import batched

SHARP = photo(1280, 720)
RESTORED = np.asarray(cv2.GaussianBlur(SHARP, (0, 0), 1.6), np.uint8)
BATCHES = tuple(torch.from_numpy(image).permute(2, 0, 1)[None] / 255 for image in (RESTORED, SHARP))


def with_skimage() -> tuple[float, float]:
    return (
        float(peak_signal_noise_ratio(SHARP, RESTORED, data_range=255)),
        float(
            structural_similarity(
                SHARP,
                RESTORED,
                channel_axis=2,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
            )
        ),
    )


def with_arrays() -> tuple[float, float]:
    return metrics.psnr(RESTORED, SHARP), metrics.ssim(RESTORED, SHARP)


def with_tensors() -> tuple[float, float]:
    return float(batched.psnr(*BATCHES)), float(batched.ssim(*BATCHES))


def main() -> None:
    asked = parser(__doc__, rounds=9).parse_args()
    for case, ours in (("arrays in float64", with_arrays), ("tensors in float32", with_tensors)):
        apart = np.abs(np.subtract(ours(), with_skimage()))
        print(f"{case}: PSNR {apart[0]:.1e} dB and SSIM {apart[1]:.1e} apart")
        taken = in_turns(asked.rounds, {"scikit-image": with_skimage, "restorekit": ours})
        record(asked.history, f"PSNR and SSIM of 1280x720, {case}", taken, "scikit-image", "restorekit")


if __name__ == "__main__":
    main()
