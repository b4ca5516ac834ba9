"""Restore one array."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.inference.engine import Engine, Settings
from restorekit.inference.size import Size, restored
from restorekit.media.image import Image
from restorekit.weights.load import load


@lru_cache(maxsize=2)
def _restorer(model: str, weights: str | Path | None, scale: int | None, settings: Settings) -> Engine:
    loaded = load(model, weights, scale)
    return Engine(loaded.model, loaded.spec, settings)


def restore(
    picture: NDArray[Any],
    *,
    model: str = "gggan-lite",
    weights: str | Path | None = "auto",
    scale: int | None = None,
    settings: Settings = Settings(),
    size: Size = Size(),
) -> NDArray[Any]:
    """Restore one picture. The network is loaded once and kept for the next call.

    Args:
        picture: (H,W), (H,W,1), (H,W,3) or (H,W,4) uint8, uint16, or float32 in 0..1; RGB order, alpha is kept.
        model: name of a system.
        weights: "auto", a tag, a file, or None for an untrained network.
        scale: of the network, for super-resolution; None for that of the weights.
        settings: device, precision and tiles.
        size: of the result; by default what the network gives.

    Returns:
        The same channels and type.

    Raises:
        UsageError: another shape or type.
        WeightsError: see `load_model`.
    """
    picture = np.asarray(picture)
    samples = picture[..., None] if picture.ndim == 2 else picture
    if samples.ndim != 3 or samples.shape[2] not in (1, 3, 4):
        raise UsageError(f"A picture is (H,W), (H,W,1), (H,W,3) or (H,W,4), not {picture.shape}.")
    alpha = samples[..., 3] if samples.shape[2] == 4 else None
    found = restored(Image(samples[..., :3], alpha), _restorer(model, weights, scale, settings), size)
    planes = found.pixels if found.alpha is None else np.dstack([found.pixels, found.alpha])
    return planes[..., 0] if picture.ndim == 2 else planes
