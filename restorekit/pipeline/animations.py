"""Restore animations: every frame as an image of its own, equal ones once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from restorekit.inference.engine import Engine, TilingInfo
from restorekit.inference.image import Size, restore_to_size
from restorekit.inference.tiling import Limits
from restorekit.media.animation import Animation
from restorekit.media.image import Image
from restorekit.runtime.progress import Listener

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur


@dataclass(frozen=True)
class RestoredAnimation:
    """An animation at its final size."""

    image: Animation
    info: TilingInfo
    """Of all frames together."""
    limits: Limits
    """Of tiles that fitted, for the next image."""
    repeated: int
    """Frames equal to the one before them, whose result was taken."""
    blur: Blur | None = None
    """What was found in the first frame."""


def restore_animation(
    animation: Animation, engine: Engine, size: Size, limits: Limits | None, listener: Listener
) -> RestoredAnimation:
    """Restore an animation and bring it to its size; see `restore_to_size`."""
    first, *others = animation.frames
    last = restore_to_size(first, engine, size, limits, listener=listener)
    frames, info, before, repeated, blur = [last.image], last.info, first, 0, last.blur
    for frame in others:
        if _equal(frame, before):
            repeated += 1
        else:
            last, before = restore_to_size(frame, engine, size, last.limits, listener=listener), frame
            info += last.info
        frames.append(last.image)
    return RestoredAnimation(replace(animation, frames=tuple(frames)), info, last.limits, repeated, blur)


def _equal(one: Image, two: Image) -> bool:
    return np.array_equal(one.to_array(), two.to_array())
