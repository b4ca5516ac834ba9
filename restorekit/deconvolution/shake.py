"""A camera that turns during the exposure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restorekit.deconvolution.blurs import Blur, Operator
from restorekit.errors import UsageError

BILINEAR, REPEAT_EDGE = 0, 1  # as PyTorch numbers its modes


@dataclass(frozen=True, eq=False)
class Shake(Blur):
    """The weighted mean of what a camera sees in several orientations: y = sum_k w_k x(H_k .), H = C R C^-1.

    Whyte, Sivic, Zisserman, Ponce. Non-uniform deblurring for shaken images. IJCV 98(2), 2012.

    Raises:
        UsageError: shapes that do not fit, weights that are negative, not finite, or do not sum to 1.
    """

    angles: NDArray[np.float64]
    """(P,3): rotation vectors in radians about the axes x (right), y (down) and z (into the scene)."""
    weights: NDArray[np.float64]
    """(P,): share of the exposure."""
    focal: float
    """Focal length in pixels."""
    height: int
    width: int
    """Of the image."""
    centre: tuple[float, float]
    """x and y of the optical axis; (width - 1) / 2 and (height - 1) / 2 for an image that was not cut."""

    def __post_init__(self) -> None:
        if self.angles.ndim != 2 or self.angles.shape != (len(self.weights), 3) or not len(self.weights):
            raise UsageError(f"Angles of shape {self.angles.shape} do not fit {len(self.weights)} weights.")
        if not (np.isfinite(self.angles).all() and self.weights.min() >= 0 and abs(self.weights.sum() - 1) <= 1e-3):
            raise UsageError("Orientations need finite angles, and weights of at least 0 that sum to 1.")

    def __str__(self) -> str:
        return f"shake of {len(self.weights)} orientations"

    @property
    def radius(self) -> int:
        """The farthest that a corner moves, and a pixel for the interpolation."""
        corners = np.array([(x, y, 1) for x in (0, self.width - 1) for y in (0, self.height - 1)], float).T
        moved = self.homographies() @ corners
        return math.ceil(float(np.abs(moved[:, :2] / moved[:, 2:] - corners[:2]).max())) + 1

    def crop(self, top: int, left: int, height: int, width: int) -> "Shake":
        """The same motion about the same optical axis."""
        return replace(self, height=height, width=width, centre=(self.centre[0] - left, self.centre[1] - top))

    def enlarge(self, factor: float, height: int, width: int) -> "Shake":
        """The same rotations, seen through a lens that is longer in pixels."""
        x, y = ((middle + 0.5) * factor - 0.5 for middle in self.centre)
        return replace(self, focal=self.focal * factor, height=height, width=width, centre=(x, y))

    def on(self, canvas: Tensor) -> "ShakeOperator":
        """Prepare the homographies."""
        return ShakeOperator(self, canvas)

    def homographies(self) -> NDArray[np.float64]:
        """(P,3,3): from a pixel (x, y, 1) of the image to where it looks in the scene."""
        (x, y), angles = self.centre, torch.from_numpy(self.angles)
        cross = torch.zeros(len(angles), 3, 3, dtype=torch.float64)
        cross[:, 2, 1], cross[:, 0, 2], cross[:, 1, 0] = angles.T
        rotation = torch.matrix_exp(cross - cross.mT).numpy()
        camera = np.array([[self.focal, 0, x], [0, self.focal, y], [0, 0, 1]])
        return np.asarray(camera @ rotation @ np.linalg.inv(camera))


class ShakeOperator(Operator):
    """Bilinear sampling for every orientation, and its adjoint; the canvas's edge is repeated."""

    def __init__(self, shake: Shake, canvas: Tensor) -> None:
        height, width = canvas.shape[-2:]
        self.weights = shake.weights.tolist()
        # From homogeneous pixel coordinates to the -1..1 of grid_sample.
        scale = np.array([[2 / max(1, width - 1), 0, -1], [0, 2 / max(1, height - 1), -1], [0, 0, 1]])
        self.maps = torch.from_numpy(scale @ shake.homographies())
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        self.pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).double().to(canvas.device)

    def forward(self, scene: Tensor) -> Tensor:
        """The mean over all orientations."""
        total = torch.zeros_like(scene)
        for weight, grid in self._grids(scene):
            seen = F.grid_sample(scene, grid, mode="bilinear", padding_mode="border", align_corners=True)
            total.add_(seen, alpha=weight)
        return total

    def adjoint(self, image: Tensor) -> Tensor:
        """Every pixel is spread over what it looked at."""
        total = torch.zeros_like(image)
        for weight, grid in self._grids(image):
            spread, _ = torch.ops.aten.grid_sampler_2d_backward(
                image, image, grid, BILINEAR, REPEAT_EDGE, True, [True, False]
            )
            total.add_(spread, alpha=weight)
        return total

    def _grids(self, like: Tensor) -> Iterator[tuple[float, Tensor]]:
        for weight, homography in zip(self.weights, self.maps, strict=True):
            seen = self.pixels @ homography.to(self.pixels).T
            grid = (seen[..., :2] / seen[..., 2:]).to(like.dtype)
            yield weight, grid.expand(len(like), -1, -1, -1)
