"""Priors that expect few edges: hyper-Laplacian gradients, and total variation."""

from collections.abc import Callable

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

ITERATIONS = 7  # of total variation's ADMM: more bring nothing at 1 % of noise, 0.5 dB where there is hardly any
RELAXATION = 1.7  # 1 is plain ADMM, which needs 12 iterations for the same
DATA_PENALTY = 0.13  # times the weight of the data
EDGE_PENALTY = 32.0


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
    size = values.abs().flatten()  # places of one number are found, read and written faster than those of four
    above = torch.nonzero(size > threshold)[:, 0]
    large = size.index_select(0, above)
    shrunk = large
    for _ in range(THRESHOLD_STEPS):
        shrunk = large - shrunk.pow(alpha - 1).mul_(weight * alpha)
    return size.zero_().index_copy_(0, above, shrunk).view(values.shape).copysign_(values)


def tv(
    image: Tensor,
    blur: Blur,
    noise: float,
    *,
    iterations: int = ITERATIONS,
    tell: Callable[[str], object] | None = None,
) -> Tensor:
    """Minimise mu/2 |M (A x - B)|^2 + sum |D x| by ADMM, what is beyond the edges (M = 0) being unknown.

    Total variation is isotropic. The splitting s = A x, g = D x keeps the mask out of the linear system: Almeida &
    Figueiredo, Deconvolving images with unknown boundaries using the alternating direction method of multipliers, TIP 2013.
    Over-relaxed: Eckstein & Bertsekas, On the Douglas-Rachford splitting method, Mathematical Programming 55, 1992.

    Args:
        image: (N,C,H,W) in 0..1.
        blur: of any kind.
        noise: standard deviation of the noise; mu is 0.2 over its square.
        iterations: of ADMM.
        tell: is told of every iteration before it begins, and may end it by an exception.

    Returns:
        (N,C,H,W), not clipped.

    Raises:
        UsageError: the blur is larger than the image.
    """
    canvas, fidelity = Canvas.around(image, blur), FIDELITY / noise**2
    penalty = DATA_PENALTY * fidelity
    scene = canvas.grow(image)
    operator = canvas.move(blur).on(scene)
    # v = A x + d and (across, down) = D x + e, where d and e are the scaled multipliers.
    v, (across, down) = operator.forward(scene), gradient(scene)
    for step in range(iterations):
        if tell is not None:
            tell(f"step {step + 1} of {iterations}")
        # s is between v and the image, and v beyond it. The linear system takes s - d = 2 s - v.
        reflected = v.clone()
        canvas.cut(reflected).lerp_(image, 2 * fidelity / (fidelity + penalty))
        # g shortens (across, down) by t = 1 / EDGE_PENALTY, or to 0. The system takes g - e = 2 g - (across, down).
        inverse = torch.addcmul(across.square(), down, down).clamp_(min=1 / EDGE_PENALTY**2).rsqrt_()  # of their length
        spread = torch.rsub(inverse, 1, alpha=2 / EDGE_PENALTY)
        prior = divergence(across * spread, down * spread)
        projected = operator.project(reflected)
        scene, blurred = operator.solve_and_blur(projected, prior, penalty, EDGE_PENALTY, scene)
        # v += r (A x - s) and (across, down) += r (D x - g), r being the relaxation.
        v.mul_(1 - RELAXATION / 2).sub_(reflected, alpha=RELAXATION / 2).add_(blurred, alpha=RELAXATION)
        kept = torch.rsub(spread, 1 - RELAXATION / 2, alpha=RELAXATION / 2)
        right, below = gradient(scene)
        across.mul_(kept).add_(right, alpha=RELAXATION)
        down.mul_(kept).add_(below, alpha=RELAXATION)
    return canvas.cut(scene)
