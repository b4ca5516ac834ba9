"""Richardson-Lucy: the most likely image under Poisson noise, approached by products, so never negative."""

import torch
from torch import Tensor

from restorekit.deconvolution.blurs import Blur, Operator
from restorekit.deconvolution.edges import Canvas

ITERATIONS = 30  # more are sharper, and noisier
EPSILON = 1e-6  # below it an estimate's blur counts as black, and divides nothing
STEEPNESS = 50.0  # of a sensor's response where it saturates


def richardson_lucy(image: Tensor, blur: Blur, *, iterations: int = ITERATIONS, saturation: bool = False) -> Tensor:
    """Deconvolve by Richardson-Lucy; what is beyond the edges learns only from what is seen.

    Richardson, Bayesian-based iterative method of image restoration, JOSA 62(1), 1972; Lucy, An iterative technique for
    the rectification of observed distributions, AJ 79, 1974.

    Args:
        image: (N,C,H,W) in 0..1.
        blur: of any kind.
        iterations: more are sharper, and noisier.
        saturation: whether the sensor cut off at 1 what was brighter, as lamps are (Whyte, Sivic, Zisserman, Deblurring
            shaken and partially saturated images, IJCV 110(2), 2014). It needs about 50 iterations.

    Returns:
        (N,C,H,W), at least 0, not clipped.

    Raises:
        UsageError: the blur is larger than the image.
    """
    canvas = Canvas.around(image, blur)
    grown = canvas.grow(image)
    return canvas.cut(iterate(grown, canvas.move(blur).on(grown), canvas.mask(grown), iterations, saturation))


def iterate(image: Tensor, operator: Operator, mask: Tensor, iterations: int, saturation: bool) -> Tensor:
    """Repeat x <- x (1 + A'((B / A x - 1) M)), from x = B on, on a canvas (N,C,H,W).

    With saturation (B / R(A x) - 1) R'(A x) stands for the bracket, R being the sensor's response.
    """
    scene = image.clone()
    for _ in range(iterations):
        blurred = operator.forward(scene).clamp_(min=EPSILON)
        if saturation:
            # R(z) = z - log(1 + exp(a (z - 1))) / a: straight, then 1; its slope is a sigmoid.
            steep = STEEPNESS * (blurred - 1)
            error = (image / (blurred - torch.nn.functional.softplus(steep) / STEEPNESS) - 1).mul_(
                torch.sigmoid(-steep)
            )
        else:
            error = torch.div(image, blurred, out=blurred).sub_(1)
        scene.addcmul_(scene, operator.adjoint(error.mul_(mask)))
        scene.clamp_(min=0)  # rounding may leave a trace below
    return scene
