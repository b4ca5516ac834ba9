"""Whyte: a camera turned during the exposure; for how long it was in which orientation is found, and undone.

Whyte, Sivic, Zisserman, Ponce. Non-uniform Deblurring for Shaken Images. IJCV 98(2), 2012, with the steps of its authors'
code of 2014, which follow Cho & Lee, Fast motion deblurring, SIGGRAPH Asia 2009: at every level of a pyramid, five times,
sharp edges are predicted, the weights of orientations are fitted to them, and the image is restored. Nothing is learned.

Ours: predicted edges are softened, and those of texture left out, see `deconvolution.prediction`; an image whose edges are
too steep for the blur that is found comes back as it is; the fit is by FISTA where theirs is by LARS, with the same minimum;
a PSF in each cell of a grid stands for the rotations in both steps, and in the last one, a hyper-Laplacian deconvolution.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
import pydantic
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage, sparse
from torch import Tensor

from restorekit.deconvolution import Blur, Kernel, Shake, Windows, as_psf, hyper_laplacian, richardson_lucy, tv, wiener
from restorekit.deconvolution.blurs import cell_middles
from restorekit.deconvolution.cells import cells_of, restore_cells
from restorekit.deconvolution.estimation import centre
from restorekit.deconvolution.fourier import fast_size, transform, transform_back
from restorekit.deconvolution.prediction import edges_of, keep_large, sharpen_edges, soften, usefulness
from restorekit.deconvolution.steepness import may_be_blurred
from restorekit.models.blind_deconvolution import NO_BLUR, BlindDeconvolution, is_flat
from restorekit.models.known_blur import Noise
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

spec = Spec(
    name="whyte",
    task="deblur",
    summary="rotations of a shaken camera, found by predicted edges",
    paper="Whyte et al., IJCV 98(2), 2012",
    parameters=0,
    macs_per_pixel=0,
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="pixel",
    bytes_per_pixel=300,
    half_precision=False,  # Fourier transforms
    blur="any",
    estimates=True,
)

LARGEST = 1024  # px of the longest side at the finest level
FOCAL = 2.0  # times the longest side, where nobody knows: a lens of 72 mm on 35 mm film
SHRINK = math.sqrt(0.5)  # from level to level
LEVELS = 9
SMALLEST = 25  # px of the shorter side at the coarsest level
ROUNDS = 5
CELLS = (8, 6)  # along the longer and the shorter side
ROOM = 3  # sides of an image are at least as many of the PSF's
FIRST_DIFFERENCES, SECOND_DIFFERENCES = 0.5, 0.25  # how much they count in the fit
SPARSE = 1.0  # weight of the sum of all weights; the code has 2.5, which finds nothing in small images
FIT_STEPS = 100
POWER_STEPS = 10
FAINT = 0.05  # of the largest weight: what is below becomes 0
SMOOTH = 0.015  # of the restoration within a level, as a standard deviation of noise
CLEAN = 0.005  # least standard deviation of noise in the last restoration: 8000 weighs its data
ALPHA = 0.5
PRODUCTS = 50  # of Richardson and Lucy
SATURATED = 235.5 / 256


@dataclass(frozen=True)
class Config:
    """What decides the result."""

    side: Annotated[int, pydantic.Field(ge=3, le=255)] = 35
    """Pixels that the blur may measure, in an image of which the longest side has at most 1024."""
    motion: Literal["rotation", "shift"] = "rotation"
    """shift: one PSF for the whole image, in a tenth of the time."""
    focal: Annotated[float, pydantic.Field(gt=0)] = FOCAL
    """Focal length as a multiple of the longest side."""
    light: Literal["srgb", "stored"] = "srgb"
    """srgb: light is blurred, as in a camera; stored: the values of the file are."""
    last: Literal["hyper-laplacian", "richardson-lucy"] = "hyper-laplacian"
    """The method that undoes the blur; richardson-lucy knows that lamps saturate the sensor, for scenes at night."""
    noise: Noise = 0.0
    """Standard deviation in 0..1; 0 measures it. richardson-lucy does not ask."""


class Whyte(BlindDeconvolution[Config]):
    """The method."""

    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Find the weights of orientations from coarse to fine."""
        image = self._to_light(rgb).mean(1, keepdim=True).float().cpu()
        height, width = image.shape[-2:]
        scale = min(1.0, LARGEST / max(height, width))
        shortest = int(min(height, width) * scale)
        if shortest < SMALLEST or is_flat(image):
            return NO_BLUR
        side = min(self.config.side, shortest // ROOM)
        levels = levels_of(height, width, side, self.config.focal, self.config.motion == "rotation")
        finest, weights = levels[-1], find_weights(image, levels, listener)
        windows = finest.windows(weights)
        if not may_be_blurred(finest.reduce(image), windows):
            return NO_BLUR
        blur = finest.shake(weights) if finest.rotates else Kernel(centre(windows.psfs[0, 0]))
        return blur if scale == 1 else blur.enlarge(1 / scale, height, width)

    def deconvolve(self, rgb: Tensor, blur: Blur, noise: float, listener: Listener = PATIENT) -> Tensor:
        """As `Config.last` says; where the blur is of neither kind that is found here, expect few edges."""
        noise, light = max(self.config.noise or noise, CLEAN), self._to_light(rgb)
        if isinstance(blur, Shake):
            blur = windows_of(blur, grid_of(blur.height, blur.width, 2 * blur.radius + 1))
        if self.config.last == "richardson-lucy":
            return self._from_light(richardson_lucy(light, blur, iterations=PRODUCTS, saturation=True))
        if isinstance(blur, Kernel):
            return self._from_light(_sharpen(light, blur, noise, listener))
        if isinstance(blur, Windows):
            return self._from_light(restore_cells(light, blur, partial(_sharpen, noise=noise, listener=listener)))
        return self._from_light(tv(light, blur, noise, tell=listener.begin))

    def _to_light(self, rgb: Tensor) -> Tensor:
        if self.config.light == "stored":
            return rgb
        return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0) + 0.055) / 1.055) ** 2.4)

    def _from_light(self, light: Tensor) -> Tensor:
        if self.config.light == "stored":
            return light
        light = light.clamp(0, 1)
        return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def build(config: Config) -> Whyte:
    """Make the method."""
    return Whyte(config)


def _sharpen(image: Tensor, kernel: Kernel, noise: float, listener: Listener) -> Tensor:
    """The last restoration, of a cell or of the image."""
    listener.go_on()
    return image if kernel.is_identity else hyper_laplacian(image, kernel, noise, alpha=ALPHA)


def find_weights(image: Tensor, levels: list["Level"], listener: Listener = PATIENT) -> NDArray[np.float64]:
    """Five rounds at every level, each of which predicts sharp edges, fits weights to them, and restores the image.

    Args:
        image: (1,1,H,W) in 0..1.
        levels: from coarse to fine.
        listener: hears of every level.

    Returns:
        The weights (side,side,side or 1) of the finest level.
    """
    scene = image
    weights = np.full(levels[0].shape, 1 / math.prod(levels[0].shape))
    for number, level in enumerate(levels):
        listener.begin(f"level {number + 1} of {len(levels)}")
        reduced = level.reduce(image)
        scene = F.interpolate(scene, reduced.shape[-2:], mode="bicubic") if number else reduced
        weights = clean(refine(weights, levels[number - 1], level)) if number else weights
        useful = usefulness(edges_of(reduced))
        seen = mask_of(reduced, level.side) & (useful > useful.median())
        for round_ in range(ROUNDS):
            predicted = keep_large(edges_of(soften(sharpen_edges(scene, round_))), level.side, round_, seen)
            active = ndimage.binary_dilation(weights > 0, np.ones((3, 3, 3)))
            weights = clean(fit_weights(level, predicted, edges_of(reduced), active, weights, listener))
            scene = restore_cells(reduced, level.windows(weights), partial(_draft, listener=listener))
    return weights


def _draft(image: Tensor, kernel: Kernel, listener: Listener) -> Tensor:
    """The restoration of a cell within a level."""
    listener.go_on()
    return wiener(image, kernel, SMOOTH)


@dataclass(frozen=True)
class Level:
    """The image at one scale, and the steps in which the camera moves there: none moves a pixel by more than one."""

    height: int
    width: int
    focal: float
    """In pixels."""
    side: int
    """Steps that the camera may take along each axis, odd."""
    rotates: bool
    """Whether it turns, or shifts in the plane of the image."""

    @property
    def steps(self) -> NDArray[np.float64]:
        """(3,): radians about x, y and z."""
        corner = math.hypot(self.height - 1, self.width - 1) / 2
        tilt = self.focal / (self.focal**2 + corner**2)
        return np.array([tilt, tilt, 1 / corner])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the weights: steps along x, y and z."""
        return self.side, self.side, self.side if self.rotates else 1

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells in which the blur counts as one PSF."""
        return grid_of(self.height, self.width, self.side) if self.rotates else (1, 1)

    def reduce(self, image: Tensor) -> Tensor:
        """The image (1,1,H,W) at this scale."""
        size = (self.height, self.width)
        return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)

    def shake(self, weights: NDArray[np.float64]) -> Shake:
        """What weights (side,side,side) mean, about their mean."""
        shares = weights[weights > 0] / weights.sum()
        angles = (np.argwhere(weights > 0) - self.side // 2) * self.steps
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        return Shake(angles - shares @ angles, shares, self.focal, self.height, self.width, middle)

    def moves(self, poses: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(P,R,2): how far, x and y, what the middle of a cell shows lies from it, in each of P poses."""
        places = np.argwhere(poses) - self.side // 2
        if not self.rotates:
            return places[:, None, :2].astype(float)
        middle = ((self.width - 1) / 2, (self.height - 1) / 2)
        every = np.full(len(places), 1 / len(places))
        return moves_of(Shake(places * self.steps, every, self.focal, self.height, self.width, middle), self.cells)

    def windows(self, weights: NDArray[np.float64]) -> Windows:
        """The PSF of every cell, for weights that sum to 1."""
        splat = Splat(self.moves(weights > 0))
        psfs = splat.psfs(torch.from_numpy(weights[weights > 0]).float()).numpy()
        return Windows(as_psf(psfs.reshape(*self.cells, splat.side, splat.side)), self.height, self.width)


def grid_of(height: int, width: int, side: int) -> tuple[int, int]:
    """Rows and columns of cells, none smaller than a PSF."""
    rows, columns = CELLS if height > width else CELLS[::-1]
    return max(1, min(rows, height // side)), max(1, min(columns, width // side))


def moves_of(shake: Shake, cells: tuple[int, int]) -> NDArray[np.float64]:
    """(P,R,2), see `Level.moves`."""
    y, x = np.meshgrid(cell_middles(cells[0], shake.height), cell_middles(cells[1], shake.width), indexing="ij")
    middles = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    seen = shake.homographies() @ middles
    moves = np.asarray(seen[:, :2] / seen[:, 2:] - middles[:2], np.float64)
    return moves.transpose(0, 2, 1)


def windows_of(shake: Shake, cells: tuple[int, int]) -> Windows:
    """The PSFs in the middles of cells, as a grid."""
    splat = Splat(moves_of(shake, cells))
    psfs = splat.psfs(torch.from_numpy(shake.weights).float()).numpy()
    return Windows(as_psf(psfs.reshape(*cells, splat.side, splat.side)), shake.height, shake.width)


class Splat:
    """The PSF of every cell as a linear map of the weights of P poses.

    Args:
        moves: (P,R,2), see `Level.moves`.
    """

    def __init__(self, moves: NDArray[np.float64]) -> None:
        poses, cells = moves.shape[:2]
        radius = math.ceil(np.abs(moves).max())
        self.side = 2 * radius + 1
        at = torch.from_numpy(radius - moves)  # y(p) = x(p + d) is a PSF at -d
        base = at.floor()
        rest = at - base
        pose, cell = torch.meshgrid(torch.arange(poses), torch.arange(cells), indexing="ij")
        entries = []
        for right in (0, 1):
            for down in (0, 1):
                share = (1 - right - rest[..., 0]).abs() * (1 - down - rest[..., 1]).abs()
                x, y = (base[..., 0] + right).long(), (base[..., 1] + down).long()
                used = share > 1e-9
                entries.append((((cell * self.side + y) * self.side + x)[used], pose[used], share[used]))
        rows, columns, shares = (torch.cat(part) for part in zip(*entries, strict=True))
        size = (cells * self.side**2, poses)
        self.matrix = sparse.csr_array((shares.float(), (rows, columns)), shape=size)
        self.transposed = self.matrix.T.tocsr()

    def psfs(self, weights: Tensor) -> Tensor:
        """(R,K,K) of (P,)."""
        return torch.from_numpy(self.matrix @ weights.numpy()).view(-1, self.side, self.side)

    def adjoint(self, psfs: Tensor) -> Tensor:
        """(P,) of (R,K,K)."""
        return torch.from_numpy(self.transposed @ psfs.reshape(-1).numpy())


def fit_weights(
    level: Level,
    scene: Tensor,
    image: Tensor,
    active: NDArray[np.bool_],
    start: NDArray[np.float64],
    listener: Listener = PATIENT,
) -> NDArray[np.float64]:
    """Minimise sum_g o_g |A_g w - b_g|^2 / 2 + beta sum w over w >= 0, by FISTA in the space of the cells' PSFs.

    Args:
        scene, image: gradients (2,H,W) of what is predicted and of what is seen.
        active: poses that may have weight.
        start: their weights in the last round.
        listener: may end it.

    Returns:
        Weights like `active`.
    """
    splat = Splat(level.moves(active))
    identity = np.zeros((*level.cells, 1, 1), np.float32) + 1
    cells = list(cells_of(Windows(identity, level.height, level.width), scene))
    largest = [max(cell.weight.shape[axis] for _, cell in cells) + splat.side - 1 for axis in (0, 1)]
    size = fast_size(*largest)
    small = fast_size(2 * splat.side - 1, 2 * splat.side - 1)
    across, down = _differences(size)
    autos, crosses = [], []
    for _, cell in cells:
        listener.go_on()
        (px, py), (bx, by) = (transform(cell.cut(edges) * cell.weight, size) for edges in (scene, image))
        first = torch.stack([px, py]), torch.stack([bx, by])
        second = (torch.stack([x * across, y * down, (x * down + y * across) / 2]) for x, y in ((px, py), (bx, by)))
        auto, cross = torch.zeros(()), torch.zeros(())
        for order, (p, b) in ((FIRST_DIFFERENCES, first), (SECOND_DIFFERENCES, second)):
            auto = auto + order * p.abs().square().sum(0)
            cross = cross + order * (p.conj() * b).sum(0)
        autos.append(_middle(transform_back(auto, size), 2 * splat.side - 1))
        crosses.append(_middle(transform_back(cross, size), splat.side))
    radius = splat.side - 1
    placed = F.pad(torch.stack(autos), (0, small[1] - 2 * splat.side + 1, 0, small[0] - 2 * splat.side + 1))
    spectrum = transform(placed.roll((-radius, -radius), (1, 2)))
    wanted = splat.adjoint(torch.stack(crosses))

    def normal(weights: Tensor) -> Tensor:
        blurred = transform_back(transform(splat.psfs(weights), small) * spectrum, small)
        return splat.adjoint(blurred[:, : splat.side, : splat.side])

    probe = torch.ones(wanted.shape)
    for _ in range(POWER_STEPS):
        listener.go_on()
        probe = normal(probe / probe.norm().clamp(min=1e-30))
    step = 1 / max(1e-9, 1.1 * float(probe.norm()))  # no edges: nothing is fitted
    weights = momentum = torch.from_numpy(start[active]).float()
    speed = 1.0
    for _ in range(FIT_STEPS):
        listener.go_on()
        before = weights
        weights = (momentum - step * (normal(momentum) - wanted + SPARSE)).clamp(min=0)
        faster = (1 + math.sqrt(1 + 4 * speed**2)) / 2
        momentum = weights + (speed - 1) / faster * (weights - before)
        speed = faster
    fitted = np.zeros(active.shape)
    fitted[active] = weights.numpy()
    return fitted


def _differences(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Transfer functions of differences to the right and down."""
    delta = torch.zeros(2, *size)
    delta[:, 0, 0] = -1
    delta[0, 0, -1] = delta[1, -1, 0] = 1
    across, down = transform(delta)
    return across, down


def _middle(correlation: Tensor, side: int) -> Tensor:
    """The part of a correlation that is within side // 2 of no shift."""
    return correlation.roll((side // 2, side // 2), (0, 1))[:side, :side]


def clean(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop what is faint, put the centre of gravity in the middle; the sum becomes 1."""
    if not weights.max() > 0:
        weights = np.zeros_like(weights)
        weights[tuple(side // 2 for side in weights.shape)] = 1
        return weights
    weights = np.where(weights < FAINT * weights.max(), 0, weights)
    middle = ndimage.center_of_mass(weights)
    away = [round(side // 2 - at) for side, at in zip(weights.shape, middle, strict=True)]
    shifted = ndimage.shift(weights, away, order=0)
    return np.asarray(shifted / shifted.sum())


def refine(weights: NDArray[np.float64], coarse: Level, fine: Level) -> NDArray[np.float64]:
    """The weights at the next level: steps are smaller there, and there are more of them."""
    shape = fine.shape
    ratio = fine.steps / coarse.steps if fine.rotates else np.full(3, coarse.width / fine.width)
    places = np.indices(shape, float)
    for axis in range(3):
        places[axis] = (places[axis] - shape[axis] // 2) * ratio[axis] + weights.shape[axis] // 2
    larger = ndimage.map_coordinates(weights, places, order=1, mode="grid-constant")
    return np.asarray(larger)


def levels_of(height: int, width: int, side: int, focal: float, rotates: bool) -> list[Level]:
    """From coarse to fine; see `Config`."""
    levels = []
    scale = min(1.0, LARGEST / max(height, width))
    for number in range(LEVELS):
        rows, columns = round(height * scale), round(width * scale)
        if number and min(rows, columns) < SMALLEST:
            break
        odd = max(3, 2 * round((side * SHRINK**number - 1) / 2) + 1)
        levels.append(Level(rows, columns, focal * max(rows, columns), odd, rotates))
        scale *= SHRINK
    return levels[::-1]


def mask_of(image: Tensor, side: int) -> Tensor:
    """(H,W): where an image (1,1,H,W) is not saturated, and nothing was blurred in from beyond its edges."""
    dark = F.max_pool2d((image > SATURATED).to(image), 3, 1, 1)[0, 0] == 0
    margin = min(side, min(dark.shape) // 4)
    inside = torch.zeros_like(dark)
    inside[margin : dark.shape[0] - margin, margin : dark.shape[1] - margin] = True
    return dark & inside
