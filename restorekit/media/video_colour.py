"""Convert between a video's YCbCr planes and RGB, by the stream's own matrix, range, depth and chroma location.

FFmpeg's scaler could do it, but it takes BT.601 for what is not stated, ignores where chroma samples lie in most of its
paths, and rounds differently from version to version. This is the definition of ITU-T H.273, section 8.3, in float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.imaging.dtypes import RANGES, from_unit

ROWS = 32  # that are converted together
_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}
MATRICES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601 625 lines
    6: (0.299, 0.114),  # BT.601 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, not constant luminance
}
"""Luma's weights of red and blue by matrix coefficients' number, H.273 table 4."""
UNSTATED = 2


def matrix_or_default(matrix: int, height: int) -> int:
    """The matrix that players take where none is stated: BT.709 for high definition, else BT.601.

    Args:
        matrix: as the stream states it, a number of H.273 table 4.
        height: of a frame in pixels.
    """
    if matrix != UNSTATED:
        return matrix
    return 1 if height > 576 else 6


@dataclass(frozen=True)
class Colour:
    """How a video's planes stand for colours."""

    matrix: int
    """A key of `MATRICES`."""
    full_range: bool
    depth: int
    """Bits of a sample: uint8 planes for 8, uint16 for more."""
    steps: tuple[int, int] = (1, 1)
    """Rows and columns of luma for one of chroma, 1 or 2 each: (2,2) is 4:2:0, (1,2) is 4:2:2."""
    cosited: tuple[bool, bool] = (False, True)
    """Whether chroma samples lie on the first of their rows and columns of luma, or midway between the two.

    Midway between rows, on the first column: "left", what MPEG means where nothing is stated."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the planes."""
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    def to_rgb(self, planes: list[NDArray[Any]]) -> NDArray[Any]:
        """Planes to RGB.

        Args:
            planes: Y (H,W), Cb and Cr (H/rows,W/columns, rounded up) of type `dtype`; Y alone for grey.

        Returns:
            (H,W,3), or (H,W,1) for Y alone: uint8 from 8 bits, uint16 from more, each over its whole range.
        """
        dtype = np.dtype(np.uint8 if self.depth == 8 else np.uint16)
        gains, offsets = self._codes()
        luma = planes[0]
        if len(planes) == 1:
            grey = luma[..., None].astype(np.float32)
            return from_unit((grey - np.float32(offsets[0])) / np.float32(gains[0]), dtype)
        cb, cr = (self._upsample(plane, luma.shape) for plane in planes[1:])
        inverse = np.linalg.inv(self._from_rgb()) / gains * RANGES[dtype]
        red, green, blue = np.column_stack([inverse, -inverse @ offsets])
        rgb = np.empty((*luma.shape, 3), dtype)
        for rows in _blocks(len(luma)):  # red has nothing of Cb, blue nothing of Cr
            green_of_chroma = cv2.addWeighted(cb[rows], green[1], cr[rows], green[2], green[3])
            channels = [
                cv2.addWeighted(luma[rows], red[0], cr[rows], red[2], red[3], dtype=_DEPTHS[dtype]),
                cv2.addWeighted(luma[rows], green[0], green_of_chroma, 1, 0, dtype=_DEPTHS[dtype]),
                cv2.addWeighted(luma[rows], blue[0], cb[rows], blue[1], blue[3], dtype=_DEPTHS[dtype]),
            ]
            cv2.merge(channels, rgb[rows])
        return rgb

    def to_planes(self, rgb: NDArray[Any]) -> list[NDArray[Any]]:
        """RGB to Y, Cb and Cr, rounded; the inverse of `to_rgb`.

        Args:
            rgb: (H,W,3) uint8 or uint16.
        """
        gains, offsets = self._codes()
        matrix = self._from_rgb() * gains[:, None] / RANGES[rgb.dtype]
        affine = np.column_stack([matrix, offsets]).astype(np.float32)
        whole = np.empty((3, *rgb.shape[:2]), np.float32)
        for rows in _blocks(len(rgb)):
            # OpenCV rounds the last pixels that it transforms in another way: a row more is dropped with them.
            values = rgb[rows.start : rows.stop + 1].astype(np.float32)
            for plane, weights in zip(whole, affine, strict=True):  # together, and split, they take longer
                plane[rows] = cv2.transform(values, weights[None])[:ROWS]
        luma, cb, cr = whole
        planes = [_rounded(plane, self.dtype) for plane in (luma, self._downsample(cb), self._downsample(cr))]
        if self.depth == 8:  # no sample is beyond
            return planes
        return [np.minimum(plane, self.dtype.type(2**self.depth - 1), out=plane) for plane in planes]

    def alpha_to_samples(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A plane of alpha, which has the full range, to samples as `to_rgb` gives them."""
        return plane if self.depth == 8 else _rescaled(plane, 2**self.depth - 1, 65535)

    def samples_to_alpha(self, samples: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `alpha_to_samples`."""
        return samples if self.depth == 8 else _rescaled(samples, 65535, 2**self.depth - 1)

    def _from_rgb(self) -> NDArray[np.float64]:
        """(3,3): RGB in 0..1 to Y in 0..1 and Cb, Cr in -0.5..0.5, H.273 equations 38 to 40."""
        red, blue = MATRICES[self.matrix]
        luma = np.array([red, 1 - red - blue, blue])
        return np.stack([luma, ([0, 0, 1] - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])

    def _codes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gains and offsets from Y, Cb and Cr to samples, H.273 equations 23 to 37."""
        half = 2 ** (self.depth - 1)
        if self.full_range:
            return np.full(3, 2.0 * half - 1), np.array([0.0, half, half])
        unit = 2 ** (self.depth - 8)
        return np.array([219.0, 224, 224]) * unit, np.array([16.0 * unit, half, half])

    def _upsample(self, plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Linear, from where the samples lie; edges are repeated."""
        upsampled: NDArray[Any] = plane.astype(np.float32)
        if self.steps[0] == 2:
            rows = np.empty((2 * plane.shape[0], plane.shape[1]), np.float32)
            for start, window in enumerate(_BETWEEN[self.cosited[0]]):
                _filtered(upsampled, _WHOLE, window, into=rows[start::2])
            upsampled = rows[: shape[0]]
        if self.steps[1] == 2:
            windows = _BETWEEN[self.cosited[1]]
            halves = [upsampled if window is _WHOLE else _filtered(upsampled, window, _WHOLE) for window in windows]
            upsampled = cv2.merge(halves).reshape(shape[0], -1)[:, : shape[1]]
        return upsampled

    def _downsample(self, plane: NDArray[Any]) -> NDArray[Any]:
        """The mean of the samples that lie nearest."""
        rows, columns = (_WINDOWS[axis] for axis in zip(self.steps, self.cosited, strict=True))
        return _filtered(plane, columns, rows)[:: self.steps[0], :: self.steps[1]]


def _blocks(height: int) -> Iterator[slice]:
    """Rows whose values stay in a processor's cache from one step to the next."""
    return (slice(top, top + ROWS) for top in range(0, height, ROWS))


def _rescaled(samples: NDArray[Any], top: int, target: int) -> NDArray[Any]:
    """Round samples of 0..top to 0..target."""
    return ((samples.astype(np.uint32) * target + top // 2) // top).astype(np.uint16)


def _filtered(
    plane: NDArray[Any], columns: NDArray[Any], rows: NDArray[Any], into: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Weighted sums of neighbours along both axes; edges are repeated."""
    return cv2.sepFilter2D(plane, -1, columns, rows, into, borderType=cv2.BORDER_REPLICATE)


def _rounded(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Clipped to the range of an integer type and rounded; in one pass, of which NumPy takes four."""
    nothing: Any = 0.0  # OpenCV's types leave out numbers
    rounded: NDArray[Any] = cv2.add(values, nothing, dtype=_DEPTHS[dtype])
    return rounded


_WHOLE = np.array([0.0, 1, 0])
_WINDOWS = {
    (1, False): _WHOLE,
    (1, True): _WHOLE,
    (2, False): np.array([0.0, 0.5, 0.5]),
    (2, True): np.array([0.25, 0.5, 0.25]),
}
"""Weights of the sample before, the one on the place, and the one behind, by step and cosited."""
_BETWEEN = {
    False: (np.array([0.25, 0.75, 0]), np.array([0, 0.75, 0.25])),
    True: (_WHOLE, np.array([0, 0.5, 0.5])),
}
"""The same for both samples of luma at one of chroma, by cosited."""
