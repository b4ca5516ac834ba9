"""Run a network over pictures of any size, tile by tile, on whatever device there is."""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.allocator import keep_buffers
from restorekit.depth import RANGES, from_unit
from restorekit.errors import RestorekitError, UsageError
from restorekit.inference.tiles import Span, best_tile, spans
from restorekit.models.spec import Spec

Precision = Literal["auto", "fp32", "bf16", "fp16"]
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BUDGET = 440 << 20  # bytes of activations on a CPU: larger tiles gain little and fall out of the cache
GPU_SHARE = 0.6  # of the memory that is free
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
    batch: int | None = None
    """Tiles that go through the network together; None is 1 on a CPU, where more is slower, else as many as fit."""


@dataclass
class Notes:
    """What the engine did to one picture."""

    tile: tuple[int, int] = (0, 0)
    """Height and width of the largest tile in pixels."""
    tiles: int = 0
    overlap: int = 0
    redone: int = 0
    """Tiles that were not finite in half precision and ran again in float32."""
    halvings: int = 0
    """How often a tile did not fit into the device's memory."""
    exact: bool = True
    """Whether the result is, up to rounding, that of the whole picture at once."""


class Restorer:
    """A network with its device, ready for pictures of any size and depth.

    Args:
        model: the network; it is moved to the device and put into evaluation mode.
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
        self.model = model.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pixels = self._affordable_pixels()
        self.halvings = 0
        self.notes = Notes()

    def __call__(self, rgb: NDArray[Any]) -> NDArray[Any]:
        """Restore one picture.

        Args:
            rgb: (H,W,3) uint8, uint16, or float32 in 0..1.

        Returns:
            The restored picture in the same shape and type. `notes` tells how it was done.

        Raises:
            RestorekitError: even the smallest tile does not fit into the device's memory.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in RANGES or 0 in rgb.shape:
            raise UsageError(
                f"A picture is (H,W,3) uint8, uint16 or float32, not {rgb.shape} {rgb.dtype}.",
                "Repeat a grey picture's channel three times.",
            )
        self.notes = Notes()
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
        if self.spec.tiling == "whole" and self.settings.tile is None and not self.halvings:
            return (height, width), 0
        overlap = self.spec.reach if self.settings.overlap is None else self.settings.overlap
        if self.settings.tile is not None:
            side = max(1, self.settings.tile // 2**self.halvings)
            return (side, side), overlap
        if self.halvings:  # the memory decides now, not the overlap's cost
            overlap = min(overlap, int(self.pixels**0.5) // 3)
        return best_tile(height, width, self.pixels, overlap, self.spec.divisor), overlap

    def _restore(self, rgb: NDArray[Any]) -> NDArray[Any]:
        height, width = rgb.shape[:2]
        (tile_height, tile_width), overlap = self.shape(height, width)
        divisor, exact = self.spec.divisor, overlap >= self.spec.reach and self.spec.tiling == "exact"
        fade = 0 if exact else overlap // 2
        rows = spans(height, tile_height, overlap, divisor, fade)
        columns = spans(width, tile_width, overlap, divisor, fade)
        self.notes.tile = (max(s.stop - s.start for s in rows), max(s.stop - s.start for s in columns))
        self.notes.tiles, self.notes.overlap = len(rows) * len(columns), overlap
        self.notes.exact = exact or self.notes.tiles == 1

        restored = np.empty_like(rgb)
        strip = np.zeros((0, width, 3), np.float32)  # rows that later tiles may still add to, from `done` on
        done = 0
        for index, row in enumerate(rows):
            grown = np.zeros((row.stop - done, width, 3), np.float32)
            grown[: len(strip)] = strip
            strip = grown
            for column, tile in self._tiles(rgb, row, columns):
                weight = row.weight[:, None, None] * column.weight[None, :, None]
                # Rows above `done` are finished: this tile's weight is zero there.
                skip = max(0, done - row.start)
                place = strip[row.start + skip - done : row.stop - done, column.start : column.stop]
                place += (tile * weight)[skip:]
            finished = rows[index + 1].start if index + 1 < len(rows) else height
            finished = max(done, min(finished, row.stop))
            restored[done:finished] = from_unit(strip[: finished - done], rgb.dtype)
            strip, done = strip[finished - done :], finished
        return restored

    def _tiles(self, rgb: NDArray[Any], row: Span, columns: list[Span]) -> list[tuple[Span, NDArray[np.float32]]]:
        """Restored tiles of one row, in batches of equal shape."""
        height, width = self.notes.tile
        room = 1 if self.device.type == "cpu" else self.pixels // (height * width)
        most = self.settings.batch or max(1, min(MOST_TOGETHER, room))
        results: list[tuple[Span, NDArray[np.float32]]] = []
        waiting: list[Span] = []
        for column in columns:
            if waiting and (len(waiting) == most or waiting[0].stop - waiting[0].start != column.stop - column.start):
                results += self._forward(rgb, row, waiting)
                waiting = []
            waiting.append(column)
        return results + self._forward(rgb, row, waiting)

    def _forward(self, rgb: NDArray[Any], row: Span, columns: list[Span]) -> list[tuple[Span, NDArray[np.float32]]]:
        tiles = np.stack([rgb[row.start : row.stop, column.start : column.stop] for column in columns])
        if tiles.dtype == np.uint16:
            tiles = tiles.astype(np.float32)  # torch has little arithmetic for uint16
        # (N,H,W,3) in memory is already what torch calls channels-last.
        batch = torch.from_numpy(tiles).to(self.device).permute(0, 3, 1, 2).float() / RANGES[rgb.dtype]
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
            return torch.float16 if self.device.type == "cuda" and self.spec.half_safe else torch.float32
        if precision != "fp32" and not self.spec.half_safe:
            raise UsageError(f"{self.spec.name} is not safe in half precision.", "Use --precision fp32.")
        return TYPES[precision]

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
