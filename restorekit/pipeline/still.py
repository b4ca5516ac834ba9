"""Restore one image that is in memory, and look whether its result is a failure; for pipes from bytes to bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from restorekit.errors import RestorekitError, UnreadableImage, UsageError
from restorekit.imaging.doubt import find_doubt
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine
from restorekit.inference.image import RestoredImage, Size, restore_to_size
from restorekit.inference.settings import Settings
from restorekit.inference.tiling import Limits
from restorekit.media.animation import is_animation
from restorekit.media.decode import decode_image
from restorekit.media.encode import check_storable, encode_image
from restorekit.media.image import Image
from restorekit.media.limits import MOST_PIXELS
from restorekit.media.sniff import Format
from restorekit.models.spec import Task
from restorekit.pipeline.report import FileResult, RunInfo
from restorekit.runtime.progress import PATIENT, SILENT, Event, Listener, Progress, Work
from restorekit.weights.network import Network, load_network

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur

OnDoubt = Literal["keep", "copy"]


def restore_still(
    image: Image,
    engine: Engine,
    size: Size,
    limits: Limits | None,
    on_doubt: OnDoubt,
    blur: Blur | None = None,
    listener: Listener = PATIENT,
) -> tuple[RestoredImage, str]:
    """Restore an image; see `restore_to_size`.

    Returns:
        The result, or the input at its size where there is doubt and that is to be copied; and the doubt, in words.
    """
    restored = restore_to_size(image, engine, size, limits, blur, listener)
    doubt = find_doubt(image.rgb(), restored.image.rgb(), _side(restored.blur))
    if doubt and on_doubt == "copy":
        restored = replace(restored, image=_at_size(image, restored.image.size))
    return restored, doubt


def _side(blur: Blur | None) -> int:
    return 0 if blur is None else 2 * blur.radius + 1


def restore_bytes(
    data: bytes,
    source: Path,
    output: Path,
    format: Format | None = None,
    *,
    model: str = "gggan-lite",
    weights: str | Path | None = "auto",
    scale: int | None = None,
    task: Task | None = None,
    config: Mapping[str, object] = MappingProxyType({}),
    settings: Settings = Settings(),
    size: Size = Size(),
    max_pixels: int = MOST_PIXELS,
    on_doubt: OnDoubt = "keep",
    progress: Progress = SILENT,
) -> tuple[bytes, FileResult]:
    """Restore the bytes of an image's file.

    Args:
        data: PNG, JPEG, WebP, TIFF or BMP; no animation.
        source, output: what messages and the result call both; neither is opened.
        format: of the result; None for that of `data`.
        model, weights, scale, task, config, settings, size, max_pixels, on_doubt, progress: see `restore_folder`.

    Returns:
        The bytes of the result's file, and what became of it.

    Raises:
        UnreadableImage: no image, damaged, too large, or an animation.
        UnwritableOutput: the format cannot hold the result.
        UsageError, WeightsError: see `restore_folder`.
        RestorekitError: see `restore_to_size`.
    """
    network = load_network(model, weights, scale, config, int8=settings.precision == "int8")
    check_task(network, task)
    engine = Engine(network, settings)
    try:
        if is_animation(data):
            raise UnreadableImage("It is an animation, not one image.", "Name its file and a folder for the result.")
        image = decode_image(data, max_pixels)
        image = replace(image, format=format or image.format)
        height, width = image.size
        check_storable(image.format, *size.of(height, width, engine.spec.scale))
        info = RunInfo.of(network, engine)
        progress.begin(Work(1, height * width / 1e6, "MP", str(info)))
        progress.step(Event(str(source), 0, 0.0, "started"))
        begun = time.monotonic()
        restored, doubt = restore_still(image, engine, size, None, on_doubt)
        seconds = time.monotonic() - begun
        encoded = encode_image(restored.image)
    except RestorekitError as error:
        error.path = source
        raise
    megapixels = height * width / 1e6
    result = FileResult(source, output, "done", megapixels, seconds, info=restored.info, lost=encoded.lost, doubt=doubt)
    progress.step(Event(str(source), 1, megapixels, "done", result))
    return encoded.data, result


def check_task(network: Network, task: Task | None) -> None:
    """Check that a network is for a task; None is any.

    Raises:
        UsageError: it is for another.
    """
    spec = network.spec
    if task is not None and spec.task != task:
        does, other = ("enlarges", "sr") if spec.task == "sr" else ("does not enlarge", "deblur")
        raise UsageError(f"{spec.name} {does} images.", f"Its command is `restorekit {other}`.")


def _at_size(image: Image, size: tuple[int, int]) -> Image:
    if image.size == size:
        return image
    return image.with_rgb(from_unit(resize(to_unit(image.rgb()), size), image.pixels.dtype))
