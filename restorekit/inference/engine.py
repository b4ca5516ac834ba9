"""Run a network over images of any size, tile by tile, on whatever device there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import RestorekitError, UsageError
from restorekit.imaging.dtypes import RANGES, from_unit
from restorekit.inference.backends import Backend, LeanBackend, NotFinite, OutOfDeviceMemory
from restorekit.inference.backends.choice import open_backend
from restorekit.inference.context import Context, observe_blur, refined
from restorekit.inference.settings import Settings
from restorekit.inference.tiling import Limits, Place, Span, TilePlan, plan_tiles
from restorekit.media.rows import ArrayReader, ResizedReader, RowReader
from restorekit.models import registry
from restorekit.models.spec import Spec
from restorekit.runtime.memory import total_memory
from restorekit.runtime.precision import name_of
from restorekit.runtime.progress import PATIENT, Listener
from restorekit.weights.graph import Graph
from restorekit.weights.network import Network

if TYPE_CHECKING:
    from restorekit.deconvolution import Blur

ALGORITHM = 4
"""Version of what decides pixels here: raised when the same network, settings and image give other pixels than before."""

CPU_TILE_BYTES = 440 << 20  # of activations: larger tiles gain little and fall out of the cache
GPU_SHARE = 0.5  # of a GPU's memory, for activations
MOST_ON_GPU = 8  # images on their way through a GPU and the checks behind it
OVERLAP = 5  # sides of a PSF that tiles see around them; neighbours fade into each other over half of it
LOOKED_AT = 1 << 21  # pixels in which a blur is looked for at most: larger images are reduced first
SMALLEST_LOOK = 1 << 16  # pixels; a device that has no room for as many is of no use
STRIP = 64  # rows that are reduced at once
WHOLE_SHARE = 0.25  # of a machine's memory, for networks that gain from seeing an image whole


@dataclass(frozen=True)
class TilingInfo:
    """How an image was restored. Infos of several passes over the same image add up."""

    tile: tuple[int, int] = (0, 0)
    """Height and width of the largest tile in pixels."""
    tiles: int = 0
    overlap: int = 0
    """Context around a tile in pixels."""
    surplus: float = 0.0
    """Share of the pixels computed that lie in the tiles' overlaps."""
    redone: int = 0
    """Tiles that were not finite in half precision and ran again in float32."""
    halvings: int = 0
    """How often a tile did not fit into the device's memory."""
    passes: int = 0
    """Passes over the image that gathered its statistics, for networks that normalise by them."""
    blur: str = ""
    """What was undone, in words, where the system was told."""
    approximation: str = ""
    """Why the result is not, up to rounding, that of the whole image at once; empty if it is."""

    def __add__(self, later: TilingInfo) -> TilingInfo:
        """What both passes did."""
        return TilingInfo(
            tile=max(self.tile, later.tile, key=lambda tile: tile[0] * tile[1]),
            tiles=self.tiles + later.tiles,
            overlap=max(self.overlap, later.overlap),
            surplus=max(self.surplus, later.surplus),
            redone=self.redone + later.redone,
            halvings=self.halvings + later.halvings,
            passes=self.passes + later.passes,
            blur=self.blur or later.blur,
            approximation=self.approximation or later.approximation,
        )


@dataclass(frozen=True)
class Restoration:
    """A restored image."""

    pixels: NDArray[Any]
    """(sH,sW,3) of the input's type, s being the network's scale."""
    info: TilingInfo
    limits: Limits
    """Those that its tiles kept; pass them on to spare the next image what did not fit."""
    blur: Blur | None = None
    """What was undone, told or found."""


@dataclass(frozen=True)
class Band:
    """Finished rows of a restored image."""

    top: int
    """Place of the first row in the restored image."""
    pixels: NDArray[Any]
    """(rows,sW,3) of the input's type."""
    redone: int = 0
    """Tiles behind these rows that ran again in float32."""


class Engine:
    """A network with its device, ready for images of any size and depth.

    Nothing on it changes after it is made, so any number of threads may call it, and it may be sent to another process.

    Args:
        model: the network; the engine runs a copy of it and leaves it as it is.
        settings: how to run it.

    Raises:
        UsageError: no such device or back end, or the precision does not suit the network.
        RestorekitError: the back end's result differs from PyTorch's.
    """

    def __init__(self, model: Network, settings: Settings = Settings()) -> None:
        self.spec: Spec = model.spec
        self.settings = settings
        opened = open_backend(model, settings)
        self.runtime = opened.runtime
        self.note = opened.note
        """Why PyTorch computes although another back end was asked for."""
        self.device = "cpu"
        """PyTorch's name of it, e.g. cuda:1."""
        self.full_precision: Backend
        self.backend: Backend
        self.precision: str
        if opened.backend is not None:
            self.precision = opened.backend.precision
            self.backend = self.full_precision = opened.backend
        else:
            from restorekit.inference.backends.torch import open_torch  # with PyTorch, which graphs do without

            assert not isinstance(model, Graph)
            self.backend, self.full_precision = in_torch, _ = open_torch(model, settings)
            self.device, self.precision = str(in_torch.device), name_of(in_torch.dtype)
        self.limits = self._limits()

    def __call__(
        self,
        pixels: NDArray[Any],
        limits: Limits | None = None,
        blur: Blur | None = None,
        listener: Listener = PATIENT,
    ) -> Restoration:
        """Restore one image.

        Args:
            pixels: (H,W,3) uint8, uint16, or float32 in 0..1.
            limits: tiles to begin with, if not those of the engine; `Restoration.limits` of an earlier call.
            blur: what blurred the image, for systems that can be told; those that need not find it.
            listener: hears how a blur is found and undone, and may end both.

        Raises:
            UsageError: another shape or type; a blur that the system needs and was not given, or the other way round, or
                one that is larger than the image.
            RestorekitError: even the smallest tile does not fit into the device's memory, or the network's result is not
                finite.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in RANGES or 0 in pixels.shape:
            raise UsageError(
                f"An image is (H,W,3) uint8, uint16 or float32, not {pixels.shape} {pixels.dtype}.",
                "Repeat a grey image's channel three times.",
            )
        reader, tried = ArrayReader(pixels), limits or self.limits
        found = blur is None and self.spec.estimates
        blur = self.find_blur(reader, listener) if found else blur
        halvings = 0
        while True:
            plan = self.plan(reader.height, reader.width, tried, blur)
            try:
                restored, info = self._whole(reader, plan, blur, found, listener)
                return Restoration(restored, replace(info, halvings=halvings), tried, blur)
            except OutOfDeviceMemory:
                tried = self.smaller(plan, tried, blur)
                halvings += 1

    @property
    def on_gpu(self) -> bool:
        """Whether PyTorch computes on a GPU; what else may use one is a provider's business."""
        return self.device.startswith("cuda")

    @property
    def at_once(self) -> int:
        """Images that are best restored side by side.

        Two on a CPU with cores for both, which then wait less. On a GPU as many as keep it busy while others are looked at.
        """
        if self.runtime != "torch":  # other runtimes use all cores for one
            return 1
        import torch

        return min(MOST_ON_GPU if self.on_gpu else 2, torch.get_num_threads())

    @property
    def helpers(self) -> int:
        """Threads that best read images, and as many that write them: one each, but all cores where a GPU computes."""
        if not self.on_gpu:
            return 1
        import torch

        return torch.get_num_threads()

    @property
    def place(self) -> str:
        """Where the network is computed: PyTorch's device, or the provider of ONNX Runtime."""
        return self.settings.provider if self.runtime == "onnx" else self.device

    def lean(self) -> Engine:
        """The same engine, which holds little main memory between tiles and is a little slower."""
        if self.on_gpu:
            return self
        lean = copy(self)
        lean.full_precision = LeanBackend(self.full_precision)
        lean.backend = lean.full_precision if self.backend is self.full_precision else LeanBackend(self.backend)
        return lean

    def plan(self, height: int, width: int, limits: Limits | None = None, blur: Blur | None = None) -> TilePlan:
        """How an image of that size is cut up; see `__call__`."""
        return plan_tiles(self._told(blur), height, width, limits or self.limits)

    def find_blur(self, reader: RowReader, listener: Listener = PATIENT) -> Blur:
        """Find what blurred an image, for systems that do; it is told to all tiles. A large image is looked at reduced.

        Args:
            reader: the image.
            listener: see `__call__`.

        Raises:
            RestorekitError: not even a small copy of the image fits into the device's memory.
        """
        most = LOOKED_AT
        while True:
            factor = max(1.0, math.sqrt(reader.height * reader.width / most))
            height, width = (max(1, round(side / factor)) for side in (reader.height, reader.width))
            smaller: RowReader = reader if factor == 1 else ResizedReader(reader, (height, width))
            strips = [smaller.rows(top, min(top + STRIP, height)) for top in range(0, height, STRIP)]
            image = np.concatenate(strips)
            try:
                blur = self.full_precision.estimate(np.repeat(image, 3 // image.shape[2], axis=2), listener)
            except OutOfDeviceMemory:
                if most < SMALLEST_LOOK:
                    raise RestorekitError(
                        f"Not even {width}x{height} px of the image fit into the memory of {self.device}.",
                        "Close other programs on it, or use the device cpu.",
                    ) from None
                most //= 2
                continue
            return blur if factor == 1 else blur.enlarge(factor, reader.height, reader.width)

    def observe(
        self,
        reader: RowReader,
        plan: TilePlan,
        blur: Blur | None = None,
        found: bool = False,
        listener: Listener = PATIENT,
    ) -> Context | None:
        """Find out what must be known of the whole image before its tiles are restored; None if nothing.

        Args:
            reader: the image.
            plan: its tiles.
            blur: what blurred it, told or found, for systems that undo it.
            found: which of both.
            listener: hears how they do, and may end it.
        """
        if blur is not None:
            return Context({}, observe_blur(blur, reader, found, listener), settled=True)
        context: Context | None = None
        while plan.statistics is not None and (context is None or not context.settled):
            sums = (
                # In float32: one tile that overflowed would spoil the sums of all. Copied: images may be read-only.
                self.full_precision.measure(
                    strip[None, :, column.start : column.stop].copy(), context, [Place(row, column)]
                )
                for row, strip in self._strips(reader, plan)
                for column in plan.columns
            )
            context = refined(context, sums)
            if plan.statistics == "fast":
                break
        return context

    def bands(self, reader: RowReader, plan: TilePlan, context: Context | None) -> Iterator[Band]:
        """Restore an image from top to bottom. What is in memory is bounded by a row of tiles.

        Args:
            reader: the image.
            plan: its tiles.
            context: what `observe` returned for this image and this plan.

        Raises:
            OutOfDeviceMemory: a tile does not fit; another plan may.
            RestorekitError: the network's result is not finite.
        """
        yield from (self._blended if plan.rows[0].fade else self._joined)(reader, plan, context)

    def info(self, plan: TilePlan, context: Context | None) -> TilingInfo:
        """What a plan means for the result, before anything unforeseen happens."""
        approximation = plan.why
        if context is not None and not context.settled and not approximation:
            approximation = (
                "the statistics of the whole image were gathered in one pass (`statistics` exact repeats it)"
            )
        passes = 0 if context is None else context.passes
        blur = str(context.blur) if context is not None and context.blur is not None else ""
        return TilingInfo(
            plan.tile,
            plan.tiles,
            plan.overlap,
            round(plan.surplus, 3),
            passes=passes,
            blur=blur,
            approximation=approximation,
        )

    def identity(self) -> dict[str, object]:
        """All that decides pixels beside the network and the image, for journals.

        Where tiles are exact they do not count: whatever fits gives the same pixels up to rounding.
        """
        exact = self.spec.tiling == "exact" and self.limits.overlap is None
        return {
            "algorithm": ALGORITHM,
            "precision": self.precision,
            "backend": self.runtime,
            "provider": self.settings.provider,
            "limits": None if exact else asdict(self.limits),
        }

    def _told(self, blur: Blur | None) -> Spec:
        """The system's facts where it undoes this blur, which decides what tiles must see around them.

        Raises:
            UsageError: the system cannot be told, must be told, or takes another kind of blur.
        """
        spec = self.spec
        if blur is None:
            if spec.must_be_told:
                raise UsageError(f"{spec.name} must be told the blur.", "Give `blur`, or take another model.")
            return spec
        check_takes(spec, blur)
        return replace(spec, overlap=OVERLAP * (2 * blur.radius + 1))

    def _whole(
        self, reader: RowReader, plan: TilePlan, blur: Blur | None, found: bool, listener: Listener
    ) -> tuple[NDArray[Any], TilingInfo]:
        """All rows in one array, and how it was done."""
        context = self.observe(reader, plan, blur, found, listener)
        restored = np.empty((plan.height * self.spec.scale, plan.width * self.spec.scale, 3), reader.dtype)
        redone = 0
        for band in self.bands(reader, plan, context):
            if len(band.pixels) == len(restored):
                restored = band.pixels
            else:
                restored[band.top : band.top + len(band.pixels)] = band.pixels
            redone += band.redone
        return restored, replace(self.info(plan, context), redone=redone)

    def _joined(self, reader: RowReader, plan: TilePlan, context: Context | None) -> Iterator[Band]:
        """Put cores side by side."""
        for row, strip in self._strips(reader, plan):
            yield self._joined_row(row, strip, plan, context)
            del strip  # before the next one takes as much memory

    def _joined_row(self, row: Span, strip: NDArray[Any], plan: TilePlan, context: Context | None) -> Band:
        """The cores of one row of tiles."""
        scale = self.spec.scale
        top, bottom = row.core_start, min(row.core_stop, plan.height)
        band = np.empty(((bottom - top) * scale, plan.width * scale, 3), strip.dtype)
        redone = 0
        for columns in _batches(plan):
            tiles, again = self._restored(strip, row, columns, context, strip.dtype)
            redone += again
            for column, tile in zip(columns, tiles, strict=True):
                core = band[:, column.core_start * scale : column.core_stop * scale]
                y, x = (top - row.start) * scale, (column.core_start - column.start) * scale
                core[:] = tile[y : y + core.shape[0], x : x + core.shape[1]]
            del tiles, tile  # before the next ones take as much memory
        return Band(top * scale, band, redone)

    def _blended(self, reader: RowReader, plan: TilePlan, context: Context | None) -> Iterator[Band]:
        """Fade from tile to tile, for results that would not join exactly."""
        scale = self.spec.scale
        height, width = plan.height * scale, plan.width * scale
        sums = np.zeros((0, width, 3), np.float32)  # rows from `done` on, to which later tiles may still add
        done = redone = 0
        for index, (row, strip) in enumerate(self._strips(reader, plan)):
            start, stop = row.start * scale, min(row.stop * scale, height)
            sums = np.concatenate([sums, np.zeros((stop - done - len(sums), width, 3), np.float32)])
            for columns in _batches(plan):
                tiles, again = self._restored(strip, row, columns, context, np.dtype(np.float32))
                redone += again
                for column, tile in zip(columns, tiles, strict=True):
                    weight = row.weight()[:, None, None] * column.weight()[None, :, None]
                    # Rows above `done` are finished: this tile's weight is zero there.
                    skip = max(0, done - start)
                    area = sums[start + skip - done : stop - done, column.start * scale : column.stop * scale]
                    weighted = tile * weight.repeat(scale, axis=0).repeat(scale, axis=1)
                    area += weighted[skip : skip + area.shape[0], : area.shape[1]]
            finished = min(plan.rows[index + 1].start * scale, height) if index + 1 < len(plan.rows) else height
            finished = min(finished, stop)
            if finished > done:  # else the next row of tiles begins above all that is finished
                yield Band(done, from_unit(sums[: finished - done], reader.dtype), redone)
                sums, done, redone = sums[finished - done :], finished, 0

    def _strips(self, reader: RowReader, plan: TilePlan) -> Iterator[tuple[Span, NDArray[Any]]]:
        """Every row of tiles with the pixels (h,W,3) that it reads; beyond its ends the image is mirrored."""
        mirrored = np.pad(np.arange(plan.height), (0, plan.padded[0] - plan.height), mode="reflect")
        beyond = plan.padded[1] - plan.width
        for row in plan.rows:
            strip = reader.rows(row.start, min(row.stop, plan.height))
            extra = [reader.rows(at, at + 1) for at in mirrored[max(row.start, plan.height) : row.stop]]
            if extra:
                strip = np.concatenate([strip, *extra])
            if beyond:
                strip = np.pad(strip, ((0, 0), (0, beyond), (0, 0)), mode="reflect")
            yield row, np.broadcast_to(strip, (*strip.shape[:2], 3))
            del strip

    def _restored(
        self, strip: NDArray[Any], row: Span, columns: Sequence[Span], context: Context | None, dtype: np.dtype[Any]
    ) -> tuple[NDArray[Any], int]:
        """Restored tiles (N,sh,sw,3) of one row, and how many of them ran again in float32."""
        tiles = np.stack([strip[:, column.start : column.stop] for column in columns])
        places = [Place(row, column) for column in columns]
        try:
            return self.backend(tiles, context, places, dtype), 0
        except NotFinite:
            if self.backend is self.full_precision:
                raise
        return self.full_precision(tiles, context, places, dtype), len(columns)

    def _limits(self) -> Limits:
        """The largest tiles by the memory of the device: all of it, not what happens to be free."""
        bytes_per_pixel, chosen = self.spec.bytes_per_pixel, self.settings
        if self.on_gpu:
            import torch

            memory = torch.cuda.get_device_properties(self.device).total_memory
            whole = tile = max(1, int(memory * GPU_SHARE / bytes_per_pixel / (chosen.batch or 1)))
        else:
            tile = max(1, CPU_TILE_BYTES // bytes_per_pixel)
            whole = tile if self.spec.must_be_told else max(tile, int(total_memory() * WHOLE_SHARE / bytes_per_pixel))
        return Limits(tile, whole, chosen.tile, chosen.overlap, chosen.batch, self.on_gpu, chosen.statistics)

    def smaller(self, plan: TilePlan, limits: Limits, blur: Blur | None = None) -> Limits:
        """Limits for another try after `plan` did not fit; see `__call__`.

        Raises:
            RestorekitError: it cannot get any smaller.
        """
        halved = limits.halved(plan)
        again = self.plan(plan.height, plan.width, halved, blur)
        if again.tile[0] * again.tile[1] >= plan.tile[0] * plan.tile[1]:
            raise RestorekitError(
                f"Not even a tile of {plan.tile[1]}x{plan.tile[0]} px fits into the memory of {self.device}.",
                "Close other programs on it, or use the device cpu.",
            )
        return halved


def check_takes(spec: Spec, blur: Blur) -> None:
    """Check that a system can be told a blur.

    Raises:
        UsageError: it cannot.
    """
    if spec.blur == "none":
        raise cannot_be_told(spec)
    from restorekit.deconvolution import Kernel

    if spec.blur == "kernel" and not isinstance(blur, Kernel):
        raise UsageError(f"{spec.name} takes one PSF for the whole image.", "tv and richardson-lucy take any blur.")


def cannot_be_told(spec: Spec) -> UsageError:
    """The error of a system that is told a blur and has no use for it."""
    able = [other.name for other in registry.list_models("deblur") if other.blur != "none"]
    return UsageError(f"{spec.name} cannot be told the blur.", f"Those that can are {', '.join(able)}.")


def _batches(plan: TilePlan) -> Iterator[list[Span]]:
    """The tiles of a row in batches of equal shape."""
    batch: list[Span] = []
    for column in plan.columns:
        if batch and (len(batch) == plan.batch or batch[0].stop - batch[0].start != column.stop - column.start):
            yield batch
            batch = []
        batch.append(column)
    yield batch
