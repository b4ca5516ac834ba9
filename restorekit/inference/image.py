"""Restore one image to its final size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import RestorekitError, UsageError
from restorekit.imaging.dtypes import RANGES
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine, TilingInfo
from restorekit.inference.settings import Settings
from restorekit.inference.tiling import Limits
from restorekit.media.image import Image
from restorekit.runtime.progress import PATIENT, Listener
from restorekit.runtime.provenance import file_stamp
from restorekit.weights.network import load_network

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur

FLAT = 0.02  # of the range: an image whose values differ no more may become one of a single colour


@dataclass(frozen=True)
class Size:
    """How large a result gets: by a factor, or a size in pixels; by default what the network gives."""

    factor: float | None = None
    pixels: tuple[int, int] | None = None
    """Height and width."""

    def __post_init__(self) -> None:
        if self.factor is not None and self.pixels is not None:
            raise UsageError("A factor and a size in pixels exclude each other.", "Give one of them.")
        if (self.factor is not None and not 0 < self.factor <= 64) or (self.pixels and min(self.pixels) < 1):
            raise UsageError("A result cannot have that size.", "Give a factor of at most 64, or height and width.")

    def of(self, height: int, width: int, scale: int) -> tuple[int, int]:
        """Height and width of an image's result from a network of that scale; a factor rounds half up."""
        if self.pixels:
            return self.pixels
        factor = self.factor or scale
        return max(1, math.floor(height * factor + 0.5)), max(1, math.floor(width * factor + 0.5))


@dataclass(frozen=True)
class RestoredImage:
    """An image at its final size."""

    image: Image
    info: TilingInfo
    """Of all passes through the network together."""
    limits: Limits
    """Of tiles that fitted, for the next image."""
    blur: Blur | None = None
    """What was undone, told or found."""


def restore_to_size(
    image: Image,
    engine: Engine,
    size: Size = Size(),
    limits: Limits | None = None,
    blur: Blur | None = None,
    listener: Listener = PATIENT,
) -> RestoredImage:
    """Restore an image and bring it to its size.

    A network that enlarges runs as often as it takes to reach the size; one antialiased bicubic resize does the rest.

    Args:
        image: any depth; alpha is resized along.
        engine: the network.
        size: of the result.
        limits: of tiles that fitted the image before.
        blur: what blurred the image, for systems that can be told.
        listener: hears how a blur is found and undone, and may end both.

    Raises:
        RestorekitError: see `Engine`; or the result is all of one colour and the image is not.
    """
    height, width = size.of(*image.size, engine.spec.scale)
    restoration = engine(image.rgb(), limits, blur, listener)
    _check_not_blank(image.pixels, restoration.pixels)
    blur = restoration.blur
    pixels, info = restoration.pixels, restoration.info
    while engine.spec.scale > 1 and (pixels.shape[0] < height or pixels.shape[1] < width):
        restoration = engine(pixels, restoration.limits)
        pixels, info = restoration.pixels, info + restoration.info
    if pixels.shape[:2] != (height, width):
        resized = resize(pixels, (height, width))
        pixels = resized if pixels.dtype != np.float32 else np.clip(resized, 0, 1).astype(np.float32)
    return RestoredImage(image.with_rgb(pixels), info, restoration.limits, blur)


def _check_not_blank(before: NDArray[Any], after: NDArray[Any]) -> None:
    if is_one_colour(after, after[0, 0]):
        check_flat(before.min(axis=(0, 1)), before.max(axis=(0, 1)))


def is_one_colour(pixels: NDArray[Any], colour: NDArray[Any]) -> bool:
    """Whether all of (H,W,3) have it."""
    return all((row == colour).all() for row in pixels)


def check_flat(low: NDArray[Any], high: NDArray[Any]) -> None:
    """Refuse what weights make of every image that have diverged in training: black, or one colour.

    Args:
        low, high: of each channel of an image of which the result is of one colour.

    Raises:
        RestorekitError: the image is not.
    """
    if np.subtract(high, low, dtype=np.float64).max() > FLAT * RANGES[low.dtype]:
        raise RestorekitError(
            "The network's result is all of one colour, the image is not.", "Its weights do not suit this image."
        )


def restore_image(
    array: NDArray[Any],
    *,
    model: str = "gggan-lite",
    weights: str | Path | None = "auto",
    scale: int | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
    settings: Settings = Settings(),
    size: Size = Size(),
    blur: Blur | None = None,
) -> NDArray[Any]:
    """Restore one array. The network is loaded once and kept for the next call.

    Args:
        array: (H,W), (H,W,1), (H,W,3) or (H,W,4) uint8, uint16, bool, or floating point in 0..1; RGB order, alpha is
            kept.
        model: name of a system.
        weights: "auto", a tag, a file, or None for an untrained network.
        scale: of the network, for super-resolution; None for that of the weights.
        config: options of the system that differ from those of the weights, e.g. ``{"variant": "lanczos"}``.
        settings: device, precision and tiles.
        size: of the result; by default what the network gives.
        blur: what blurred the image, e.g. ``restorekit.Kernel(psf)``, for systems that can be told, as "tv".

    Returns:
        The same channels and type; bool becomes float32.

    Raises:
        UsageError: another shape or type, or values outside 0..1.
        WeightsError: see `load_model`.
    """
    array = np.asarray(array)
    engine = _engine(model, weights, _stamp(weights), scale, _Hashable(config), settings)
    restored = restore_to_size(Image.from_array(array), engine, size, blur=blur).image
    result = restored.pixels if restored.alpha is None else np.dstack([restored.pixels, restored.alpha])
    result = result.astype(array.dtype, copy=False) if array.dtype.kind == "f" else result
    return result[..., 0] if array.ndim == 2 else result


class _Hashable(dict[str, object]):
    """Options as a key of a cache; they may hold lists."""

    def __init__(self, config: Mapping[str, object]) -> None:
        super().__init__(config)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items())))


def _stamp(weights: str | Path | None) -> tuple[int, ...]:
    """Tells a weights file that was written anew from the one that is loaded."""
    path = Path(weights or "")
    return tuple(file_stamp(path).values()) if path.is_file() else ()


@lru_cache(maxsize=2)
def _engine(
    model: str,
    weights: str | Path | None,
    stamp: tuple[int, ...],
    scale: int | None,
    config: _Hashable,
    settings: Settings,
) -> Engine:
    return Engine(load_network(model, weights, scale, config, int8=settings.precision == "int8"), settings)
