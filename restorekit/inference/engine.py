"""Run a network over pictures of any size, tile by tile, on whatever device there is."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.errors import RestorekitError, UsageError
from restorekit.imaging.dtypes import RANGES, from_unit
from restorekit.inference.context import UNCHANGED, ImageStatistics
from restorekit.inference.folding import fold
from restorekit.inference.tiling import Span, best_tile, spans
from restorekit.models.spec import Spec
from restorekit.runtime.memory import keep_buffers, total_memory

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Statistics = Literal["fast", "exact"]
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BUDGET = 440 << 20  # bytes of activations on a CPU: larger tiles gain little and fall out of the cache
GPU_SHARE = 0.6  # of the memory that is free
WHOLE_SHARE = 0.25  # of a machine's memory, for networks that gain from seeing the image whole
MOST_TOGETHER = 8  # tiles in a batch that is chosen automatically


@dataclass(frozen=True)
class Settings:
    """How to run; every "auto" is decided when the network is loaded and told in the report."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N"""
    precision: Precision = "auto"
    """auto is fp16 on a GPU where the system allows it, else fp32. bf16 on a CPU is about twice as fast and inexact."""
    tile: int | None = None
    """Side of square tiles in pixels; None chooses the shape that costs least."""
    overlap: int | None = None
    """Context around a tile in pixels; None takes the network's reach, which makes tiles invisible."""
    statistics: Statistics = "fast"
    """For networks that normalise by the picture's statistics, where it does not fit as a whole: "fast" gathers them in one
    pass, approximately; "exact" repeats that until they are those of the whole picture."""
    batch: int | None = None
    """Tiles that go through the network together; None is 1 on a CPU, where more is slower, else as many as fit."""


@dataclass
class TilingInfo:
    """What the engine did to one picture."""

    tile: tuple[int, int] = (0, 0)
    """Height and width of the largest tile in pixels."""
    tiles: int = 0
    overlap: int = 0
    redone: int = 0
    """Tiles that were not finite in half precision and ran again in float32."""
    halvings: int = 0
    """How often a tile did not fit into the device's memory."""
    approximation: str = ""
    """Why the result is not, up to rounding, that of the whole picture at once; empty if it is."""
    passes: int = 0
    """Passes over the picture that gathered its statistics, for networks that normalise by them."""


class Engine:
    """A network with its device, ready for pictures of any size and depth.

    Args:
        model: the network; it is moved to the device and folded (see `inference.folding`): training it is over.
        spec: its facts.
        settings: how to run it.

    Raises:
        UsageError: no such device, or the precision does not suit the network.
    """

    def __init__(self, model: nn.Module, spec: Spec, settings: Settings = Settings()) -> None:
        keep_buffers()
        self.spec, self.settings = spec, settings
        self.device = choose_device(settings.device)
        self.dtype = self._type(settings.precision)
        self.model = fold(model).requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pixels = self._affordable_pixels()
        self.statistics = ImageStatistics(self.model)
        self.halvings = 0
        self.notes = TilingInfo()

    def __call__(self, rgb: NDArray[Any]) -> NDArray[Any]:
        """Restore one picture.

        Args:
            rgb: (H,W,3) uint8, uint16, or float32 in 0..1.

        Returns:
            The restored picture, (sH,sW,3) of the same type, s being the network's scale. `notes` tells how it was done.

        Raises:
            RestorekitError: even the smallest tile does not fit into the device's memory.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in RANGES or 0 in rgb.shape:
            raise UsageError(
                f"A picture is (H,W,3) uint8, uint16 or float32, not {rgb.shape} {rgb.dtype}.",
                "Repeat a grey picture's channel three times.",
            )
        self.notes = TilingInfo()
        failed = math.inf  # pixels of the smallest tile that did not fit
        while True:
            try:
                with torch.inference_mode():
                    return self._restore(rgb)
            except torch.OutOfMemoryError:
                tile = self.notes.tile
                if tile[0] * tile[1] >= failed:  # it cannot get any smaller
                    raise RestorekitError(
                        f"Not even a tile of {tile[1]}x{tile[0]} px fits into the memory of {self.device}.",
                        "Close other programs on it, or use --device cpu.",
                    ) from None
                # Remembered for all pictures to come: what did not fit once will not fit again.
                failed = tile[0] * tile[1]
                self.pixels = failed // 2
                self.halvings += 1
                self.notes.halvings += 1
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def shape(self, height: int, width: int) -> tuple[tuple[int, int], int]:
        """The tile, (height, width), and the overlap that a picture of this size gets."""
        if self.spec.tiling != "exact" and self.settings.tile is None and height * width <= self._whole_pixels():
            return (height, width), 0
        natural = self.spec.overlap if self.spec.tiling == "approximate" else self.spec.receptive_field or 0
        overlap = natural if self.settings.overlap is None else self.settings.overlap
        if self.settings.tile is not None:
            side = max(1, self.settings.tile // 2**self.halvings)
            return (side, side), overlap
        if self.halvings:  # the memory decides now, not the overlap's cost
            overlap = min(overlap, int(self.pixels**0.5) // 3)
        return best_tile(height, width, self.pixels, overlap, self.spec.size_multiple), overlap

    def _restore(self, rgb: NDArray[Any]) -> NDArray[Any]:
        height, width = rgb.shape[:2]
        (tile_height, tile_width), overlap = self.shape(height, width)
        divisor = self.spec.size_multiple
        tiled = tile_height < height or tile_width < width
        if tiled and self.spec.tiling == "whole":
            # Continued here instead of in the network: every tile then covers whole cells of the deepest grid.
            rgb = np.pad(rgb, ((0, -height % divisor), (0, -width % divisor), (0, 0)), mode="reflect")
        seamless = self.spec.tiling != "approximate" and overlap >= (self.spec.receptive_field or 0)
        fade = 0 if seamless else overlap // 2
        rows = spans(rgb.shape[0], tile_height, overlap, divisor, fade)
        columns = spans(rgb.shape[1], tile_width, overlap, divisor, fade)
        self.notes.tile = (max(s.stop - s.start for s in rows), max(s.stop - s.start for s in columns))
        self.notes.tiles, self.notes.overlap = len(rows) * len(columns), overlap
        if self.notes.tiles > 1 and not seamless:
            self.notes.approximation = f"tiles see {overlap} px around them, less than the network's reach"
        self.statistics.forget()
        if self.notes.tiles > 1 and self.spec.tiling == "whole":
            self._gather(rgb, rows, columns)

        put_together = self._blend if fade else self._join
        return put_together(rgb, rows, columns, (height, width))

    def _join(self, rgb: NDArray[Any], rows: list[Span], columns: list[Span], size: tuple[int, int]) -> NDArray[Any]:
        """Put the tiles' own parts side by side."""
        scale = self.spec.scale
        height, width = size[0] * scale, size[1] * scale
        restored = np.empty((height, width, 3), rgb.dtype)
        for row in rows:
            for column, tile in self._tiles(rgb, row, columns):
                (top, bottom), (left, right) = row.own(), column.own()
                place = restored[top * scale : bottom * scale, left * scale : right * scale]
                y, x = (top - row.start) * scale, (left - column.start) * scale
                place[:] = from_unit(tile[y : y + place.shape[0], x : x + place.shape[1]], rgb.dtype)
        return restored

    def _blend(self, rgb: NDArray[Any], rows: list[Span], columns: list[Span], size: tuple[int, int]) -> NDArray[Any]:
        """Fade from tile to tile, for results that would not join exactly."""
        scale = self.spec.scale
        height, width = size[0] * scale, size[1] * scale
        restored = np.empty((height, width, 3), rgb.dtype)
        strip = np.zeros((0, width, 3), np.float32)  # rows that later tiles may still add to, from `done` on
        done = 0
        for index, row in enumerate(rows):
            start, stop = row.start * scale, min(row.stop * scale, height)
            grown = np.zeros((stop - done, width, 3), np.float32)
            grown[: len(strip)] = strip
            strip = grown
            for column, tile in self._tiles(rgb, row, columns):
                weight = row.weight[:, None, None] * column.weight[None, :, None]
                # Rows above `done` are finished: this tile's weight is zero there.
                skip = max(0, done - start)
                place = strip[start + skip - done : stop - done, column.start * scale : column.stop * scale]
                weighted = tile * weight.repeat(scale, axis=0).repeat(scale, axis=1)
                place += weighted[skip : skip + place.shape[0], : place.shape[1]]
            finished = min(rows[index + 1].start * scale, height) if index + 1 < len(rows) else height
            finished = max(done, min(finished, stop))
            restored[done:finished] = from_unit(strip[: finished - done], rgb.dtype)
            strip, done = strip[finished - done :], finished
        return restored

    def _gather(self, rgb: NDArray[Any], rows: list[Span], columns: list[Span]) -> None:
        """Find the statistics that the network's normalisations would have for the whole picture, tile by tile.

        A pass measures every layer while those before it use what the last pass found, so the first k layers are right
        after k passes. They are usually right much earlier.
        """
        most = 1 if self.settings.statistics == "fast" else len(self.statistics.norms)
        change = math.inf
        while self.notes.passes < most and change > UNCHANGED:
            with self.statistics.gathering():
                for row in rows:
                    for column in columns:
                        self.statistics.look_at(row, column)
                        # In float32: one tile that overflowed would spoil the sums of all.
                        self._network(self._batch(rgb, row, [column]), torch.float32)
            change = self.statistics.settle()
            self.notes.passes += 1
        if change > UNCHANGED and self.notes.passes < len(self.statistics.norms):
            self.notes.approximation = self.notes.approximation or (
                "the statistics of the whole picture were gathered in one pass (--statistics exact repeats it)"
            )

    def _tiles(self, rgb: NDArray[Any], row: Span, columns: list[Span]) -> Iterator[tuple[Span, NDArray[np.float32]]]:
        """Restored tiles of one row, in batches of equal shape."""
        height, width = self.notes.tile
        room = 1 if self.device.type == "cpu" else self.pixels // (height * width)
        most = self.settings.batch or max(1, min(MOST_TOGETHER, room))
        waiting: list[Span] = []
        for column in columns:
            if waiting and (len(waiting) == most or waiting[0].stop - waiting[0].start != column.stop - column.start):
                yield from self._forward(rgb, row, waiting)
                waiting = []
            waiting.append(column)
        yield from self._forward(rgb, row, waiting)

    def _batch(self, rgb: NDArray[Any], row: Span, columns: list[Span]) -> Tensor:
        tiles = np.stack([rgb[row.start : row.stop, column.start : column.stop] for column in columns])
        if tiles.dtype == np.uint16:
            tiles = tiles.astype(np.float32)  # torch has little arithmetic for uint16
        # (N,H,W,3) in memory is already what torch calls channels-last.
        return torch.from_numpy(tiles).to(self.device).permute(0, 3, 1, 2).float() / RANGES[rgb.dtype]

    def _forward(self, rgb: NDArray[Any], row: Span, columns: list[Span]) -> list[tuple[Span, NDArray[np.float32]]]:
        batch = self._batch(rgb, row, columns)
        output = self._network(batch, self.dtype)
        if self.dtype != torch.float32 and not bool(torch.isfinite(output).all()):
            self.notes.redone += len(columns)
            output = self._network(batch, torch.float32)
        restored = output.float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return list(zip(columns, restored, strict=True))

    def _network(self, batch: Tensor, dtype: torch.dtype) -> Tensor:
        mixed = torch.autocast(self.device.type, dtype) if dtype != torch.float32 else nullcontext()
        with mixed:
            return self.model(batch)  # type: ignore[no-any-return]

    def _type(self, precision: Precision) -> torch.dtype:
        if precision == "auto":
            return torch.float16 if self.device.type == "cuda" and self.spec.half_precision else torch.float32
        if precision != "fp32" and not self.spec.half_precision:
            raise UsageError(f"{self.spec.name} is not safe in half precision.", "Use --precision fp32.")
        return TYPES[precision]

    def _whole_pixels(self) -> int:
        """Pixels of the largest picture that goes through the network in one piece."""
        if self.device.type == "cuda" or self.halvings:
            return self.pixels
        return max(self.pixels, int(total_memory() * WHOLE_SHARE / self.spec.bytes_per_pixel))

    def _affordable_pixels(self) -> int:
        """Pixels of the largest tile by memory."""
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            return max(1, int(free * GPU_SHARE / self.spec.bytes_per_pixel / (self.settings.batch or 1)))
        return max(1, CPU_BUDGET // self.spec.bytes_per_pixel)


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU if there is one.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device called '{name}'.", "Use auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"PyTorch sees {torch.cuda.device_count()} GPUs here, so there is no '{name}'.",
            "Use --device cpu, or install a PyTorch build for your GPU.",
        )
    return device
