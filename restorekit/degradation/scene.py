"""A scene during an exposure: a camera that shakes, and objects that move in front of what is behind them.

The image is the mean of what the sensor sees at many instants, in light. An object hides the background at every instant
anew, so its edges mix with what they pass over, as no convolution can do.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from restorekit.degradation import motion
from restorekit.degradation.light import Curve, from_light, raise_highlights, to_light
from restorekit.degradation.motion import Matrices, Path
from restorekit.degradation.ranges import Range
from restorekit.errors import UsageError
from restorekit.imaging.dtypes import to_unit

OBJECTS = (1, 3)  # in a drawn scene
RADIUS = (0.1, 0.25)  # of an object, in parts of the image's shorter side
CORNERS = 48  # of an object's outline
SMALLEST = 16  # pixels: in smaller images objects would leave nothing

MOMENTS = np.linspace(0, 1, 257)  # of an exposure, at which motion is measured: eight for each piece of a drawn path
BAND = 2**14  # pixels that are exposed together: few enough for a processor's cache


@dataclass(frozen=True)
class MovingObject:
    """A piece of an image that moves in front of another."""

    outline: NDArray[np.float32]
    """(P,2): x and y of its corners in the image that is shown, at rest."""
    source: tuple[int, int]
    """Left and top of its texture in the image that it is cut from."""
    path: Path
    """Its own motion about its middle; that of the camera is added."""

    @classmethod
    def draw(
        cls, rng: np.random.Generator, shown: tuple[int, int], texture: tuple[int, int], length: float, sweep: float
    ) -> "MovingObject":
        """Draw an object.

        Args:
            rng: source of its place, size and shape, of its texture and path.
            shown: height and width of the image that it appears in.
            texture: height and width of the image that it is cut from, not smaller.
            length, sweep: of its path, see `draw_path`.
        """
        middle = rng.uniform((0, 0), (shown[1], shown[0]))
        angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        radii = np.ones(CORNERS)
        for waves in (2, 3, 4):
            radii += rng.uniform(0, 0.15) * np.cos(waves * angles + rng.uniform(0, 2 * np.pi))
        radii *= rng.uniform(*RADIUS) * min(shown)
        outline = middle + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        drawn = cls(outline.astype(np.float32), (0, 0), motion.draw_path(rng, length, sweep))
        _, _, width, height = drawn.box
        source = (int(rng.integers(texture[1] - width + 1)), int(rng.integers(texture[0] - height + 1)))
        return cls(drawn.outline, source, drawn.path)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the whole pixels that hold it at rest."""
        left, top = np.floor(self.outline.min(axis=0)).astype(int)
        right, bottom = np.ceil(self.outline.max(axis=0)).astype(int)
        return int(left), int(top), int(right - left) + 1, int(bottom - top) + 1

    @property
    def middle(self) -> tuple[float, float]:
        """The centre (x, y) of its box."""
        left, top, width, height = self.box
        return left + (width - 1) / 2, top + (height - 1) / 2

    def cut_texture(self, image: NDArray[Any]) -> NDArray[Any]:
        """Its texture out of an image (H,W,C): what its box holds."""
        (left, top), (_, _, width, height) = self.source, self.box
        return image[top : top + height, left : left + width]

    def cover(self) -> NDArray[np.float32]:
        """(height,width) of its box, 0..1: how much of each pixel it covers at rest."""
        left, top, width, height = self.box
        mask = np.zeros((height, width), np.uint8)
        sixteenths = np.rint((self.outline - (left, top)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [sixteenths], 255, cv2.LINE_AA, shift=4)
        return mask.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Scene:
    """What moves while an image is exposed. The image at rest, at the mean pose of all paths, is the sharp one."""

    camera: Path
    objects: tuple[MovingObject, ...] = ()
    """From the farthest to the nearest."""

    def with_objects(
        self,
        rng: np.random.Generator,
        shown: tuple[int, int],
        texture: tuple[int, int],
        length: Range,
        sweep: Range,
    ) -> "Scene":
        """The scene with a few objects, see `MovingObject.draw`; each has a length and a sweep of its own.

        Raises:
            UsageError: the image is too small for objects.
        """
        if min(shown) < SMALLEST:
            raise UsageError(
                f"The image shows {shown[1]}x{shown[0]} px, too few for moving objects.", f"Give {SMALLEST} or more."
            )
        count = rng.integers(OBJECTS[0], OBJECTS[1] + 1)
        drawn = (
            MovingObject.draw(rng, shown, texture, rng.uniform(*length), rng.uniform(*sweep)) for _ in range(count)
        )
        return replace(self, objects=tuple(drawn))

    def margin(self, height: int, width: int) -> int:
        """Pixels around an image that the camera's path brings into it."""
        return motion.reach(self.camera, math.hypot(height - 1, width - 1) / 2)

    def photograph(
        self, around: NDArray[np.float32], margin: int, texture: NDArray[Any], curve: Curve, highlights: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Expose values of a file, and as they were at rest.

        Args:
            around: (H,W,C) float32 in 0..1, see `background` of `expose`.
            margin: see `expose`.
            texture: (H,W,C) uint8, uint16 or float32: what objects are cut from.
            curve: what the values mean.
            highlights: see `raise_highlights`.

        Returns:
            Blurred and sharp, float32 in 0..1.
        """
        background = to_light(around, curve)
        textures = [to_light(to_unit(item.cut_texture(texture)), curve) for item in self.objects]
        sharp = self.rest(background, margin, textures)
        bright = [raise_highlights(light, highlights) for light in (background, *textures)]
        return from_light(self.expose(bright[0], margin, bright[1:]), curve), from_light(sharp, curve)

    def expose(
        self, background: NDArray[np.float32], margin: int = 0, textures: Sequence[NDArray[np.float32]] = ()
    ) -> NDArray[np.float32]:
        """The mean of all instants.

        Args:
            background: (H,W,C) float32, light of any range.
            margin: pixels of it around what is shown; beyond them it is mirrored.
            textures: light of every object's box, see `MovingObject.cut_texture`.

        Returns:
            (H-2*margin,W-2*margin,C) float32.
        """
        height, width = background.shape[0] - 2 * margin, background.shape[1] - 2 * margin
        ends = self._sections(height, width)
        shares = np.diff(ends)
        camera = self._maps(ends[:-1] + shares / 2, height, width)[0]
        quarters = (ends[:-1, None] + shares[:, None] * (0.25, 0.75)).ravel()
        _, *moved = self._maps(quarters, height, width)
        opaque = _with_cover(background, np.ones(background.shape[:2], np.float32))
        missing = max(0, self.margin(height, width) - margin)
        if 4 * missing <= min(height, width):  # mirrored once, and not in every pose, where that takes little memory
            sides = missing, missing, missing, missing
            opaque = np.asarray(cv2.copyMakeBorder(opaque, *sides, cv2.BORDER_REFLECT_101), np.float32)
            margin += missing
        views = _shift_origin(camera, (-margin, -margin))
        fronts = [
            (_with_cover(texture, item.cover()), _shift_origin(maps, item.box[:2]))
            for item, texture, maps in zip(self.objects, textures, moved, strict=True)
        ]
        total = np.zeros((height, width, opaque.shape[2]), np.float32)
        rows = max(1, BAND // width)
        for top in range(0, height, rows):
            band = total[top : top + rows]
            layers = [_Layer.of(texture, _shift(maps, (0, -top)), band.shape[:2]) for texture, maps in fronts]
            seen = np.empty_like(band)
            for section, (view, share) in enumerate(zip(_shift(views, (0, -top)), shares, strict=True)):
                _warp(opaque, view, seen, cv2.BORDER_REFLECT_101)
                for layer in layers:
                    layer.hide(seen, section)
                cv2.scaleAdd(seen, share, band, dst=band)
        return total[..., :-1]

    def _maps(self, times: NDArray[np.float64], height: int, width: int) -> list[Matrices]:
        """Where the image's content, then each object, has moved to at (N,) instants."""
        camera = motion.matrices(motion.sample(self.camera, times), ((width - 1) / 2, (height - 1) / 2))
        own = (motion.matrices(motion.sample(item.path, times), item.middle) for item in self.objects)
        return [camera, *(motion.chain(camera, moved) for moved in own)]

    def _sections(self, height: int, width: int) -> NDArray[np.float64]:
        """See `motion.sections`. Objects, of which two poses are rendered in each, may move twice as far as the image."""
        camera, *objects = self._maps(MOMENTS, height, width)
        steps = motion.steps(camera, _corners(0, 0, width, height))
        for item, maps in zip(self.objects, objects, strict=True):
            steps = np.maximum(steps, motion.steps(maps, _corners(*item.box)) / 2)
        return motion.sections(np.append(0, np.cumsum(steps)))

    def rest(
        self, background: NDArray[np.float32], margin: int = 0, textures: Sequence[NDArray[np.float32]] = ()
    ) -> NDArray[np.float32]:
        """The sharp image, where nothing moves; arguments and result as `expose`."""
        shown = background[margin : background.shape[0] - margin, margin : background.shape[1] - margin].copy()
        for item, texture in zip(self.objects, textures, strict=True):
            left, top, width, height = item.box
            first, begin = max(top, 0), max(left, 0)
            behind = shown[first : max(top + height, 0), begin : max(left + width, 0)]
            part = np.s_[first - top :, begin - left :]
            rows, columns = behind.shape[:2]
            cover = item.cover()[part][:rows, :columns, None]
            behind[:] = texture[part][:rows, :columns] * cover + behind * (1 - cover)
        return shown

    def to_record(self) -> dict[str, Any]:
        """All of it, ready for JSON; paths as base64 of their float32 values, row by row."""
        objects = [
            {"outline": _encode(item.outline), "source": item.source, "path": _encode(item.path)}
            for item in self.objects
        ]
        return {"camera": _encode(self.camera), **({"objects": objects} if objects else {})}


@dataclass(frozen=True)
class _Layer:
    """A moving object, ready to be laid over the background."""

    halved: NDArray[np.float32]
    """Half of its texture, see `_with_cover`: two of them are laid over each other."""
    corners: NDArray[np.intp]
    """(N,2,2): left and top, then right and bottom (not included) of the pixels that it touches in each section."""
    views: Matrices
    """(N,2,2,3): from its box to them, twice in each section."""

    @classmethod
    def of(cls, texture: NDArray[np.float32], maps: Matrices, shown: tuple[int, int]) -> "_Layer":
        height, width = texture.shape[:2]
        linear = maps[:, :, :2]
        middle = linear @ ((width - 1) / 2, (height - 1) / 2) + maps[:, :, 2]
        reach = np.abs(linear) @ ((width + 1) / 2, (height + 1) / 2)  # a pixel more: its edge is interpolated
        first = np.floor(middle - reach).reshape(-1, 2, 2).min(axis=1).astype(int)
        last = np.ceil(middle + reach).reshape(-1, 2, 2).max(axis=1).astype(int) + 1
        first = np.clip(first, 0, shown[::-1])
        last = np.clip(last, first, shown[::-1])
        views = _shift(maps, -first.repeat(2, axis=0))
        return cls(texture / np.float32(2), np.stack([first, last], axis=1), views.reshape(-1, 2, 2, 3))

    def hide(self, seen: NDArray[np.float32], section: int) -> None:
        """Hide what is behind the object, in place."""
        (left, top), (right, bottom) = self.corners[section]
        behind = seen[top:bottom, left:right]
        if behind.size:
            early, late = self.views[section]
            front = _warp(self.halved, early, np.empty_like(behind), cv2.BORDER_CONSTANT)
            cv2.add(front, _warp(self.halved, late, np.empty_like(behind), cv2.BORDER_CONSTANT), dst=front)
            channels = front.shape[2]
            uncover = np.zeros((channels, channels + 1), np.float32)
            uncover[:, -2:] = -1, 1
            cv2.multiply(behind, cv2.transform(front, uncover), dst=behind)  # NumPy is slow in spreading over channels
            cv2.add(behind, front, dst=behind)


def _with_cover(light: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H,W,C+1): light where it covers, and how much it does. (Four channels also warp twice as fast as three.)"""
    return np.asarray(
        cv2.merge([*cv2.split(light * cover[..., None]), cover]), np.float32
    )  # dstack takes thrice as long


def _warp(image: NDArray[np.float32], view: Matrices, to: NDArray[np.float32], border: int) -> NDArray[np.float32]:
    # On camera images bicubic poses come closer to a true shift by 0.04 grey levels and take three times as long.
    return np.asarray(cv2.warpAffine(image, view, to.shape[1::-1], to, cv2.INTER_LINEAR, border), np.float32)


def _corners(left: float, top: float, width: float, height: float) -> NDArray[np.float64]:
    """(2,4): x and y of the pixels in the corners of a box."""
    right, bottom = left + width - 1, top + height - 1
    return np.array([[left, right, left, right], [top, top, bottom, bottom]], float)


def _shift_origin(maps: Matrices, origin: tuple[int, int]) -> Matrices:
    """The same maps for positions that are counted from `origin` (x, y)."""
    return _shift(maps, maps[:, :, :2] @ np.asarray(origin, float))


def _shift(maps: Matrices, by: ArrayLike) -> Matrices:
    """The same maps to positions that are shifted by (x, y), or by (N,2) of them."""
    shifted = maps.copy()
    shifted[:, :, 2] += np.asarray(by, float)
    return shifted


def _encode(values: NDArray[Any]) -> str:
    return base64.b64encode(values.astype(np.float32).tobytes()).decode()
