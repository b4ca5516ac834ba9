"""Priors that expect few edges: hyper-Laplacian gradients, and total variation."""

import torch
from torch import Tensor

from restorekit.deconvolution.blurs import Blur
from restorekit.deconvolution.edges import Canvas, taper
from restorekit.deconvolution.gradients import divergence, gradient
from restorekit.deconvolution.wiener import uniform

FIDELITY = 0.2  # over the noise's variance is the weight of the data: 2000 at 1 % of noise

ALPHA = 2 / 3  # of the hyper-Laplacian; gradients of photographs have 0.5 to 0.8
BETAS = tuple(8 ** (step / 2) for step in range(6))  # 1 to 181: the half-quadratic's coupling
THRESHOLD_STEPS = 4

ITERATIONS = 12  # of total variation's ADMM: more bring 0.1 dB at 1 % of noise, 0.6 dB where there is hardly any
DATA_PENALTY = 0.1  # times the weight of the data
EDGE_PENALTY = 20.0


def hyper_laplacian(image: Tensor, blur: Blur, noise: float, *, alpha: float = ALPHA) -> Tensor:
    """Minimise lambda/2 |K x - B|^2 + sum |D x|^alpha by half-quadratic splitting.

    Krishnan & Fergus, Fast image deconvolution using hyper-Laplacian priors, NIPS 2009, with tapered edges as their code has
    them. We solve for the gradients by a generalised soft threshold in place of their table.

    Args:
        image: (N,C,H,W) in 0..1.
        blur: a `Kernel`.
        noise: standard deviation of the noise; lambda is 0.2 over its square.
        alpha: exponent of the prior, in (0, 1).

    Returns:
        (N,C,H,W), not clipped.

    Raises:
        UsageError: the blur differs over the image, or is larger than it.
    """
    kernel, canvas, fidelity = uniform(blur), Canvas.around(image, blur), FIDELITY / noise**2
    scene = taper(canvas.grow(image), kernel)
    operator = kernel.on(scene)
    projected = operator.project(scene)
    for beta in BETAS:
        across, down = (shrink(values, beta, alpha) for values in gradient(scene))
        scene = operator.solve(projected, divergence(across, down), fidelity / beta, 1.0, scene)
    return canvas.cut(scene)


def shrink(values: Tensor, beta: float, alpha: float) -> Tensor:
    """The w that minimises |w|^alpha + beta/2 (w - v)^2, for every v.

    Zuo, Meng, Zhang, Feng, Zhang, A generalized iterated shrinkage algorithm for non-convex sparse coding, ICCV 2013.
    """
    weight = 1 / beta
    kept = (2 * weight * (1 - alpha)) ** (1 / (2 - alpha))  # what the smallest v that is not set to 0 becomes
    threshold = kept + weight * alpha * kept ** (alpha - 1)
    size = values.abs()
    above = size > threshold
    large = size[above]
    shrunk = large
    for _ in range(THRESHOLD_STEPS):
        shrunk = large - weight * alpha * shrunk ** (alpha - 1)
    result = torch.zeros_like(values)
    result[above] = shrunk
    return result.copysign_(values)


def tv(image: Tensor, blur: Blur, noise: float, *, iterations: int = ITERATIONS) -> Tensor:
    """Minimise mu/2 |M (A x - B)|^2 + sum |D x| by ADMM, what is beyond the edges (M = 0) being unknown.

    Total variation is isotropic. The splitting s = A x, g = D x keeps the mask out of the linear system: Almeida &
    Figueiredo, Deconvolving images with unknown boundaries using the alternating direction method of multipliers, TIP 2013.

    Args:
        image: (N,C,H,W) in 0..1.
        blur: of any kind.
        noise: standard deviation of the noise; mu is 0.2 over its square.
        iterations: of ADMM.

    Returns:
        (N,C,H,W), not clipped.

    Raises:
        UsageError: the blur is larger than the image.
    """
    canvas, fidelity = Canvas.around(image, blur), FIDELITY / noise**2
    penalty = DATA_PENALTY * fidelity
    scene = canvas.grow(image)
    operator = canvas.move(blur).on(scene)
    blurred, d = operator.forward(scene), torch.zeros_like(image)  # d, e: scaled multipliers; beyond the image d is 0
    e_across, e_down = gradient(scene)
    for _ in range(iterations):
        # s is between A x + d and the image, and A x + d beyond it; `blurred` becomes s - d.
        inside = canvas.cut(blurred)
        d += inside
        split = torch.lerp(d, image, fidelity / (fidelity + penalty))
        d -= split
        torch.sub(split, d, out=inside)
        # g is D x + e, its length shortened by t. What is left is the next e = k (D x + e); so g - e = (1 - 2 k) (D x + e).
        kept = torch.addcmul(e_across.square(), e_down, e_down).rsqrt_().div_(EDGE_PENALTY).clamp_(max=1)
        spread = 1 - 2 * kept
        prior = divergence(e_across * spread, e_down * spread)
        scene = operator.solve(operator.project(blurred), prior, penalty, EDGE_PENALTY, scene)
        blurred = operator.forward(scene)
        across, down = gradient(scene)
        e_across, e_down = across.addcmul_(e_across, kept), down.addcmul_(e_down, kept)
    return canvas.cut(scene)
