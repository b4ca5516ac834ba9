"""Expected patch log-likelihood: every patch of the scene is drawn to what a mixture of Gaussians expects of patches.

Zoran & Weiss. From learning models of natural image patches to whole image restoration. ICCV 2011.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.deconvolution.blurs import Blur
from restorekit.deconvolution.edges import Canvas
from restorekit.deconvolution.sparse import tv
from restorekit.deconvolution.wiener import uniform

SIDE = 8
PIXELS = SIDE**2
LUMA = (0.299, 0.587, 0.114)
BETAS = (0.05, 0.1, 0.2, 0.4)  # over the noise's variance: the half-quadratic's coupling
CHUNK = 256  # patches whose scores are computed at once: they take 4 MB, and stay in the cache


@dataclass(frozen=True)
class Mixture:
    """Gaussians of mean 0 for patches without their mean. All but their largest directions vary alike."""

    log_shares: Tensor
    """(K,): logarithm of how many patches each component makes."""
    directions: Tensor
    """(K,64,R): the eigenvectors of the largest variances."""
    variances: Tensor
    """(K,R)."""
    rest: Tensor
    """(K,): the mean of the other 64 - R variances."""

    @classmethod
    def of(cls, log_shares: Tensor, covariances: Tensor, rank: int) -> "Mixture":
        """Take covariances (K,64,64) apart."""
        values, vectors = torch.linalg.eigh(covariances.double())
        kept, rest = values[:, -rank:], values[:, :-rank]
        mean = rest.mean(1) if rest.shape[1] else values[:, 0]
        parts = (log_shares, vectors[:, :, -rank:], kept, mean)
        return cls(*(part.to(log_shares) for part in parts))

    def denoise(self, patches: Tensor, guide: Tensor, noise: float) -> Tensor:
        """The most likely patches where noise of that standard deviation was added, by the component most likely.

        Args:
            patches: (N,C,64).
            guide: (N,64), which tells the component for all C.
            noise: standard deviation.
        """
        variances, rest = self.variances + noise**2, self.rest + noise**2
        chosen = self._choose(guide - guide.mean(1, keepdim=True), variances, rest)
        mean = patches.mean(2, keepdim=True)
        result = torch.empty_like(patches)
        keep, gain = self.rest / rest, self.variances / variances
        for component in torch.unique(chosen).tolist():
            at = torch.nonzero(chosen == component).flatten()
            part, directions = patches[at] - mean[at], self.directions[component]
            along = part @ directions
            along *= gain[component] - keep[component]
            result[at] = along @ directions.T + part * keep[component] + mean[at]
        return result

    def _choose(self, guide: Tensor, variances: Tensor, rest: Tensor) -> Tensor:
        """(N,): the component that most likely made each patch (N,64), given all variances."""
        # z' S^-1 z is |z|^2 over the rest's variance, less what the kept directions vary more.
        scale = (1 / rest[:, None] - 1 / variances).clamp(min=0).sqrt()
        stacked = (self.directions * scale[:, None]).permute(1, 0, 2).reshape(PIXELS, -1)
        spread = variances.log().sum(1) + (PIXELS - variances.shape[1]) * rest.log()
        chosen = []
        for part in torch.split(guide, CHUNK):
            explained = (part @ stacked).view(-1, *scale.shape).square_().sum(2)
            distance = part.square().sum(1, keepdim=True) / rest - explained
            chosen.append((self.log_shares - (spread + distance) / 2).argmax(1))
        return torch.cat(chosen)


def epll(image: Tensor, blur: Blur, noise: float, mixture: Mixture, *, stride: int = 4) -> Tensor:
    """Minimise |A x - B|^2 / (2 noise^2) - the mean log-likelihood of all patches, by half-quadratic splitting.

    What is beyond the edges is taken from the scene of the step before, as total variation's at first: published code tapers
    the image instead. The component of a patch is chosen by luma. Patches lie on a grid that moves from step to step.

    Args:
        image: (N,C,H,W) in 0..1; 3 channels are red, green and blue.
        blur: a `Kernel`.
        noise: standard deviation of the noise.
        mixture: of patches.
        stride: pixels between patches, at most 8.

    Returns:
        (N,C,H,W), not clipped.

    Raises:
        UsageError: the blur differs over the image, or is larger than it.
    """
    kernel, canvas = uniform(blur), Canvas.around(image, blur)
    scene = canvas.grow(tv(image, kernel, noise))
    operator = kernel.on(scene)
    for step, beta in enumerate(beta / noise**2 for beta in BETAS):
        expected = expect_patches(scene, mixture, beta**-0.5, stride, step)
        seen = operator.forward(scene)
        canvas.cut(seen).copy_(image)
        scene = operator.solve_near(operator.project(seen), expected, 1 / noise**2, beta)
    return canvas.cut(scene)


def expect_patches(scene: Tensor, mixture: Mixture, noise: float, stride: int, step: int) -> Tensor:
    """The mean of all patches' most likely forms, (N,C,H,W); pixels in none stay as they are."""
    offset = tuple(step * odd % stride for odd in (1, 3))  # other places in every step
    moved = scene[..., offset[0] :, offset[1] :]
    if min(moved.shape[-2:]) < SIDE:
        return scene
    channels = moved.shape[1]
    columns = F.unfold(moved, SIDE, stride=stride)  # (N,C*64,P)
    patches = columns.permute(0, 2, 1).reshape(-1, channels, PIXELS)
    weights = patches.new_tensor(LUMA if channels == 3 else [1 / channels] * channels)
    denoised = mixture.denoise(patches, torch.einsum("ncp,c->np", patches, weights), noise)
    columns = denoised.reshape(len(scene), -1, channels * PIXELS).permute(0, 2, 1)
    size = moved.shape[-2:]
    total = F.fold(columns, size, SIDE, stride=stride)
    count = F.fold(torch.ones_like(columns[:1, :PIXELS]), size, SIDE, stride=stride)
    result = scene.clone()
    result[..., offset[0] :, offset[1] :] = torch.where(count > 0, total / count.clamp(min=1), moved)
    return result
