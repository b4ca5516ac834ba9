"""Chakrabarti: a network tells how to filter every patch, and one PSF that explains all filtered patches is undone.

Chakrabarti. A Neural Approach to Blind Motion Deblurring. ECCV 2016 (arXiv:1603.04771), with the sizes and constants of the
author's code, ayanc/ndeblur. Of a patch of 65x65 the network sees coefficients of Fourier transforms in four bands, and says
by what complex number to multiply each coefficient of the whole patch. The middle of what then comes back, 33x33, is
compared with the sharp patch. The default is the paper's network; `width=64` learns in minutes.

Ours: in place of whitening, a coefficient is multiplied by its frequency to the power of 1.5, by which the spectra of
blurred photographs fall. And the PSF is found again with an image that total variation, with much noise counted on, restores
by it: that shows edges where the filtered one is soft. On 10 images of BSDS500 with two PSFs each, by which nothing was
chosen, the mean gain rises from 1.1 to 2.0 dB (`rounds=0` is the paper's).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, cast

import numpy as np
import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.deconvolution import Blur, tv
from restorekit.deconvolution.estimation import centre, heaviest_part, trim
from restorekit.deconvolution.fourier import fast_size, transform, transform_back
from restorekit.models.blind_deconvolution import NO_BLUR, LearnedBlur, is_flat, luma
from restorekit.models.config import Count
from restorekit.models.layers import kaiming_init_
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

PATCH, MIDDLE = 65, 33  # px of a side: what the network sees, and what it restores
FRAME = (PATCH - MIDDLE) // 2
MOST = PATCH // 2  # the highest frequency, in periods per patch
LOW, TOP = 4, 8  # the low band ends at the one, the others lie between the two
BANDS = (PATCH, 33, 17)  # px of the middles whose coefficients from LOW to TOP are seen
FALL, GAIN, MEAN_GAIN = 1.5, 250.0, 5.0  # what the network sees of blurred photographs then deviates by about 1
CHUNK = 2048  # patches at once, about
SIDE = 51  # px of the PSF at most
LEAST = 3 * SIDE  # px of an image's sides
KEPT = 0.02  # of the sharp image's responses: the strongest
SHARES = tuple(0.005 * 2 ** (step / 2) for step in range(9))  # weight of the PSF's sum, of the responses' energy
STEPS = 300
CARTOON = 0.1  # standard deviation of noise that is counted on where only edges are to come back

spec = Spec(
    name="chakrabarti",
    task="deblur",
    summary="filters for patches, and the PSF that explains them",
    paper="Chakrabarti, ECCV 2016, arXiv:1603.04771",
    parameters=110_755_968,
    macs_per_pixel=5_489_236,  # of an image of 256x256; in larger ones more, in the end 6,920,256
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="patch_filter",
    bytes_per_pixel=1500,
    half_precision=False,  # Fourier transforms
    blur="any",
    estimates=True,
)

recipe = {
    "code": {"objective": {"grids": (8, 16, 24), "noise": 0.01}},
    "ours": {
        "steps": 1_000_000,
        "batch": 64,
        "crop": 204,
        "augment": "flips-and-turns",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup": 200,
        "blur": {
            "shares": {"sharp": 1.0},
            "noise_share": 0.0,
            "jpeg_share": 0.0,
            "length": (0.0, 15.0),
            "angle": (-90.0, 90.0),
        },
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network, and how its answers are used."""

    width: Count = 1024
    """Maps of the first layers; later ones have twice and four times as many."""
    stride: Annotated[int, pydantic.Field(ge=1, le=MIDDLE // 2)] = 4
    """Pixels between patches; the paper's 1 takes sixteen times as long."""
    rounds: Annotated[int, pydantic.Field(ge=0)] = 2
    """How often the PSF is found again."""


class Chakrabarti(LearnedBlur[Config]):
    """The network and what follows it. RGB (N,3,H,W) in [0,1] to the same."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        width = config.width
        low, band = 2 * _count(LOW) + 1, 2 * (_count(TOP) - _count(LOW))
        self.neighbours = nn.ModuleList(_layer(inputs, width) for inputs in (low + band, 2 * band, 2 * band))
        self.merged = nn.ModuleList(_layer(2 * width, 2 * width) for _ in range(2))
        self.all = nn.Sequential(*(_layer(4 * width, 4 * width) for _ in range(5)))
        self.coefficients = nn.Conv2d(4 * width, 2 * _count(MOST), 1)
        kaiming_init_(self)
        nn.init.zeros_(self.coefficients.weight)
        with torch.no_grad():  # untrained, every coefficient is multiplied by 1
            cast(Tensor, self.coefficients.bias)[: _count(MOST)] = 1

    def predict(self, rgb: Tensor, listener: Listener = PATIENT) -> Tensor:
        """Luma (N,1,H,W) of filtered images: the mean of the patches' middles, which count less toward their edges.

        Beyond the edge the edge goes on.
        """
        stride, (height, width) = self.config.stride, rgb.shape[-2:]
        right, bottom = (
            FRAME + max(PATCH - side, (PATCH - side) % stride) for side in (width + 2 * FRAME, height + 2 * FRAME)
        )
        images = F.pad(luma(rgb), (FRAME, right, FRAME, bottom), mode="replicate")
        patches = images[:, 0].unfold(1, PATCH, stride).unfold(2, PATCH, stride)  # (N,P,Q,65,65)
        window = torch.hann_window(MIDDLE + 2, periodic=False, device=rgb.device)[1:-1].to(rgb)
        down, across = (
            F.conv_transpose1d(rgb.new_ones(1, 1, count), window[None, None], stride=stride)
            for count in patches.shape[1:3]
        )  # sums of the windows that overlap
        window = window[:, None] * window
        total = torch.zeros_like(images[..., FRAME:-FRAME, FRAME:-FRAME])
        rows = math.ceil(CHUNK / (len(patches) * patches.shape[2]))
        for top in range(0, patches.shape[1], rows):
            listener.begin(f"row {top + 1} of {patches.shape[1]}")
            part = patches[:, top : top + rows]
            middles = window * self.sharpen(part.reshape(-1, PATCH, PATCH))
            band = total[:, :, stride * top :][:, :, : stride * (part.shape[1] - 1) + MIDDLE]
            parts = middles.view(len(part), -1, MIDDLE**2).transpose(1, 2)
            band += F.fold(parts, (band.shape[2], band.shape[3]), MIDDLE, stride=stride)
        return (total / (down.mT * across))[..., :height, :width]

    @torch.no_grad()
    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Find the PSF that makes the filtered image the blurred one, and then that which makes the restored one it."""
        if min(rgb.shape[-2:]) < LEAST or is_flat(rgb):
            return NO_BLUR
        blurred, sharp = luma(rgb), self.predict(rgb, listener)
        for again in range(self.config.rounds + 1):
            psf = explain(blurred[0, 0], sharp[0, 0].clamp(0, 1), listener)
            if not (psf.isfinite().all() and psf.max() > 0):
                return NO_BLUR
            # Centred, as the network was taught: a shift would grow from round to round.
            blur = trim(centre(heaviest_part(psf.cpu().numpy())))
            if again < self.config.rounds:
                sharp = tv(blurred, blur, CARTOON, tell=listener.begin)
        return blur

    def sharpen(self, patches: Tensor) -> Tensor:
        """Grey patches (M,65,65) in 0..1 to their restored middles (M,33,33), not clipped."""
        filters = self.predict_filters(patches)
        restored: Tensor = torch.fft.irfft2(torch.fft.rfft2(patches) * filters, s=(PATCH, PATCH))
        return restored[:, FRAME:-FRAME, FRAME:-FRAME]

    def predict_filters(self, patches: Tensor) -> Tensor:
        """What to multiply the transforms (M,65,33) of patches (M,65,65) by."""
        # Patches are the rows of an image of one column: convolutions compute that fastest.
        bands = [band.T[None, :, :, None] for band in see_bands(patches)]
        merged = _merge(self.merged, _merge(self.neighbours, bands))
        real, imaginary = self.coefficients(self.all(torch.cat(merged, dim=1)))[0, :, :, 0].T.chunk(2, dim=1)
        return whole_plane(torch.complex(real, imaginary))


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU())


def _merge(layers: Iterable[nn.Module], maps: Sequence[Tensor]) -> list[Tensor]:
    """Each layer sees two neighbours."""
    return [layer(torch.cat(pair, dim=1)) for layer, pair in zip(layers, pairwise(maps), strict=True)]


def _count(most: int) -> int:
    """Pairs of opposite frequencies up to `most` in both directions, without 0."""
    return ((2 * most + 1) ** 2 - 1) // 2


def half_plane(spectrum: Tensor, most: int) -> Tensor:
    """One of each pair of opposite frequencies up to `most`: (...,S,S//2+1) of a real transform to (...,F)."""
    first = spectrum[..., 1 : most + 1, 0]
    rest = torch.cat([spectrum[..., : most + 1, 1 : most + 1], spectrum[..., -most:, 1 : most + 1]], dim=-2)
    return torch.cat([first, rest.flatten(-2)], dim=-1)


def whole_plane(half: Tensor) -> Tensor:
    """The reverse for patches: (M,2112) to (M,65,33). The mean is multiplied by 1, so it stays."""
    first, rest = half[:, :MOST], half[:, MOST:].reshape(-1, PATCH, MOST)
    first = torch.cat([torch.ones_like(first[:, :1]), first, first.flip(1).conj()], dim=1)
    return torch.cat([first[:, :, None], rest], dim=2)


def see_bands(patches: Tensor) -> list[Tensor]:
    """What the network sees of patches (M,65,65): (M,81) of low frequencies and the mean, then three times (M,208)."""
    seen = []
    for side in BANDS:
        margin = (PATCH - side) // 2
        middle = patches[:, margin : PATCH - margin, margin : PATCH - margin] - 0.5
        scale, low, high = _band(side, patches.device)
        half = half_plane(torch.fft.rfft2(middle, norm="ortho"), TOP) * scale
        if side == PATCH:
            mean = MEAN_GAIN * middle.mean(dim=(1, 2))[:, None]
            seen.append(torch.cat([torch.view_as_real(half[:, low]).flatten(1), mean], dim=1))
        seen.append(torch.view_as_real(half[:, high]).flatten(1))
    return seen


@cache
def _band(side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What to multiply coefficients of `half_plane` by, which of them are low, and which are not."""
    place = torch.from_numpy(np.fft.fftfreq(side, 1 / side)).float()
    down, across = half_plane(torch.stack(torch.meshgrid(place, place[: side // 2 + 1], indexing="ij")), TOP)
    scale, low = GAIN * (torch.hypot(down, across) / side) ** FALL, torch.maximum(down.abs(), across.abs()) <= LOW
    low_ones, others = (mask.nonzero()[:, 0] for mask in (low, ~low))
    return scale.to(device), low_ones.to(device), others.to(device)


def explain(blurred: Tensor, sharp: Tensor, listener: Listener = PATIENT) -> Tensor:
    """Find the PSF K that makes edges of the sharp image those of the blurred one: |K * L - B|^2 + w |K|_1 is the least.

    L and B are responses to derivatives, of which the strongest of L count. Of several w the one serves whose PSF, without
    negative values and of sum 1, leaves the least difference.

    Args:
        blurred, sharp: (H,W).
        listener: may end it.

    Returns:
        (51,51), its middle where an unmoved point stays.
    """
    power, wanted = correlate(blurred, sharp)
    weights = power[SIDE - 1, SIDE - 1] * power.new_tensor(SHARES)[:, None, None]
    psfs = minimise(power, wanted, weights, listener).clamp(min=0)
    psfs = psfs / psfs.sum(dim=(1, 2), keepdim=True)
    errors = (psfs * (_convolve(psfs, power) - 2 * wanted)).sum(dim=(1, 2))
    return psfs[errors.nan_to_num(torch.inf).argmin()]


def correlate(blurred: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    """All that `explain` must know of both images: the correlations of L with itself (101,101) and of B with L (51,51)."""
    filters = derivatives().to(sharp)[:, None]
    soft, edges = (F.conv2d(image[None, None], filters)[0] for image in (blurred, sharp))
    reach = SIDE // 2
    strength = torch.zeros_like(edges[0])
    inner = np.s_[reach:-reach, reach:-reach]  # there B shows all of what a PSF makes of L
    strength[inner] = edges.square().sum(0)[inner]
    edges = edges * (strength > strength.flatten().kthvalue(round((1 - KEPT) * strength.numel())).values)
    size = fast_size(*edges.shape[-2:])
    soft, edges = transform(soft, size), transform(edges, size)
    power = transform_back(edges.abs().square().sum(0), size).roll((2 * reach, 2 * reach), (0, 1))
    wanted = transform_back((soft * edges.conj()).sum(0), size).roll((reach, reach), (0, 1))
    return power[: 2 * SIDE - 1, : 2 * SIDE - 1], wanted[:SIDE, :SIDE]


def _convolve(psfs: Tensor, power: Tensor) -> Tensor:
    """The middles (N,51,51) of PSFs (N,51,51) convolved with `power` (101,101)."""
    size = fast_size(*power.shape)
    return transform_back(transform(psfs, size) * transform(power, size), size)[:, SIDE - 1 :, SIDE - 1 :][
        :, :SIDE, :SIDE
    ]


def derivatives() -> Tensor:
    """Gaussian derivatives (5,11,11): of first order two, of second order three.

    The author's 16, of both orders at 8 angles, are mixtures of these, and all sums over them are four times as large.
    """
    x = torch.arange(-5.0, 6)
    bell = torch.exp(-x.square() / 2)
    slope, bend = x * bell, (x.square() - 1) * bell
    scale = bend.norm() * bell.norm()
    across, down = bell[:, None] * bend / scale, bend[:, None] * bell / scale
    first = bell[:, None] * slope / (bell.norm() * slope.norm())
    mixed = slope[:, None] * slope / scale
    return torch.stack([first, first.T, (across + down) / 2**0.5, (across - down) / 2, mixed])


def minimise(power: Tensor, wanted: Tensor, weights: Tensor, listener: Listener = PATIENT) -> Tensor:
    """The PSFs (N,51,51) that minimise |K * L - B|^2 / 2 + w |K|_1 for weights (N,1,1).

    By FISTA (Beck & Teboulle, SIAM J. Imaging Sciences 2(1), 2009); the author splits the problem and takes 577 steps.

    Args:
        power, wanted: see `correlate`.
        weights: w.
        listener: may end it.
    """
    step = 1 / transform(power).abs().max()
    psfs = momentum = wanted.new_zeros(len(weights), *wanted.shape)
    speed = 1.0
    for _ in range(STEPS):
        listener.go_on()
        before, moved = psfs, momentum - step * (_convolve(momentum, power) - wanted)
        psfs = moved.sign() * (moved.abs() - step * weights).clamp(min=0)
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        momentum = psfs + (speed - 1) / faster * (psfs - before)
        speed = faster
    return psfs


def build(config: Config) -> Chakrabarti:
    """Make the network with freshly initialised weights."""
    return Chakrabarti(config)
