"""How fast a known blur is undone at 1280x720 RGB: against scikit-image, and total variation against plain NumPy.

15 px at 30 degrees, 1 % of noise; what was blurred in from beyond the edges is not told. Prints the PSNR of all.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from common import in_turns, parser, photo, record
from numpy.typing import NDArray
from skimage import restoration

from restorekit.deconvolution import Kernel, hyper_laplacian, tv
from restorekit.deconvolution.sparse import DATA_PENALTY, EDGE_PENALTY, FIDELITY, ITERATIONS, RELAXATION
from restorekit.degradation.convolution import convolve
from restorekit.degradation.psf import linear
from restorekit.metrics import psnr

Image = NDArray[np.float32]
PSF, NOISE = linear(15, 30), 0.01


def with_skimage(method: Callable[[Image], Any], image: Image) -> Image:
    """Channel by channel, as it must be called."""
    return np.stack([np.asarray(method(channel), np.float32) for channel in np.moveaxis(image, 2, 0)], axis=2)


def skimage_richardson_lucy(channel: Image) -> Any:
    return restoration.richardson_lucy(channel, PSF, num_iter=30)


def skimage_unsupervised_wiener(channel: Image) -> Any:
    return restoration.unsupervised_wiener(channel, PSF, rng=0)[0]


def plain_tv(channel: Image) -> NDArray[np.float64]:
    """`deconvolution.tv`, written as its formulas are."""
    fidelity, radius = FIDELITY / NOISE**2, len(PSF) // 2
    penalty = DATA_PENALTY * fidelity
    x = np.pad(channel.astype(float), radius, mode="edge")
    seen = np.pad(np.ones(channel.shape), radius)
    image = x * seen
    placed = np.zeros(x.shape)
    placed[: len(PSF), : len(PSF)] = PSF
    blur, across, down = (
        np.fft.fft2(kernel) for kernel in (np.roll(placed, (-radius, -radius), (0, 1)), *steps(x.shape))
    )
    whole = penalty * np.abs(blur) ** 2 + EDGE_PENALTY * (np.abs(across) ** 2 + np.abs(down) ** 2)

    def apply(spectrum: NDArray[np.complex128], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.fft.ifft2(spectrum * np.fft.fft2(values)).real)

    v, p = apply(blur, x), np.stack([apply(across, x), apply(down, x)])
    for _ in range(ITERATIONS):
        s = (fidelity * image + penalty * v) / (fidelity * seen + penalty)
        g = p * np.maximum(1 - 1 / (EDGE_PENALTY * np.maximum(np.hypot(*p), 1e-12)), 0)
        right = penalty * np.conj(blur) * np.fft.fft2(2 * s - v)
        right += EDGE_PENALTY * sum(
            np.conj(step) * np.fft.fft2(part) for step, part in zip((across, down), 2 * g - p, strict=True)
        )
        x = np.fft.ifft2(right / whole).real
        v += RELAXATION * (apply(blur, x) - s)
        p += RELAXATION * (np.stack([apply(across, x), apply(down, x)]) - g)
    return x[radius:-radius, radius:-radius]


def steps(shape: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Differences to the right and to the lower neighbour, as kernels on a periodic canvas."""
    across, down = np.zeros(shape), np.zeros(shape)
    across[0, 0] = down[0, 0] = -1
    across[0, -1] = down[-1, 0] = 1
    return [across, down]


def ours(method: Callable[..., torch.Tensor], image: Image) -> Image:
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
    return method(tensor, Kernel(PSF), NOISE)[0].permute(1, 2, 0).numpy()


def main() -> None:
    asked = parser(__doc__, rounds=5).parse_args()
    margin = len(PSF) // 2
    sharp = photo(1280 + 2 * margin, 720 + 2 * margin).astype(np.float32) / np.float32(255)
    inner = np.s_[margin:-margin, margin:-margin]
    noise = NOISE * np.random.default_rng(0).standard_normal((720, 1280, 3))
    blurred = np.rint(255 * (convolve(sharp, PSF)[inner] + noise).clip(0, 1)).astype(np.float32) / 255
    sides = {
        "scikit-image richardson_lucy": partial(with_skimage, skimage_richardson_lucy, blurred),
        "scikit-image unsupervised_wiener": partial(with_skimage, skimage_unsupervised_wiener, blurred),
        "NumPy tv": partial(with_skimage, plain_tv, blurred),
        "tv": partial(ours, tv, blurred),
        "hyper-laplacian": partial(ours, hyper_laplacian, blurred),
    }
    truth = np.asarray(sharp[inner], np.float32)
    print(f"blurred {psnr(blurred, truth):.2f} dB")
    for side, work in sides.items():
        print(f"{side} {psnr(work().clip(0, 1), truth):.2f} dB", flush=True)
    taken = in_turns(asked.rounds, sides, warm_up=False)
    for side in ("tv", "hyper-laplacian"):
        for reference in [name for name in sides if " " in name]:
            record(asked.history, f"1280x720 RGB, 15 px, {side} and {reference}", taken, reference, side)


if __name__ == "__main__":
    main()
