"""Run a network with PyTorch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor, nn

from restorekit.deconvolution import Blur
from restorekit.imaging.dtypes import RANGES
from restorekit.inference.backends import OutOfDeviceMemory, finished
from restorekit.inference.context import Context, KnownMoments, Measurement, ObservedBlur, Sums, names_of_norms
from restorekit.inference.folding import folded
from restorekit.inference.settings import Settings
from restorekit.inference.tiling import Place
from restorekit.models.blind_deconvolution import BlindDeconvolution
from restorekit.models.image_norm import MomentSource, moments_of_image
from restorekit.models.known_blur import Deconvolution
from restorekit.models.model import Model
from restorekit.runtime.device import choose_device
from restorekit.runtime.precision import choose_dtype
from restorekit.runtime.progress import Listener

TOPS = {torch.from_numpy(np.empty(0, dtype)).dtype: top for dtype, top in RANGES.items()}
"""The largest value of every type that pixels have."""


def prepared(network: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a network for inference: folded, frozen, on its device, in the layout that convolutions like best."""
    network = folded(network).requires_grad_(False)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def open_torch(model: Model, settings: Settings) -> tuple["TorchBackend", "TorchBackend"]:
    """Make a network ready in the precision asked for, and in float32; both are one where that is the same.

    Raises:
        UsageError: no such device, or the precision does not suit the network.
    """
    assert settings.precision != "int8"  # graphs alone compute in it
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.precision, device, half_precision=model.spec.half_precision)
    network = prepared(model.module, device)
    kind = TorchBackend
    if device.type == "cuda":
        from restorekit.inference.backends.cuda import CudaBackend  # which is one of these itself

        kind = CudaBackend
    full = kind(network, device, torch.float32)
    return (full if dtype == torch.float32 else kind(network, device, dtype)), full


class TorchBackend:
    """A network in one type on one device.

    Args:
        network: as `prepared` gives it.
        device: where it is.
        dtype: what its convolutions compute in; anything but float32 by autocast.
    """

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.network, self.device, self.dtype = network, device, dtype
        self.norms = names_of_norms(network)

    def __call__(
        self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place], dtype: DTypeLike = np.float32
    ) -> NDArray[Any]:
        """Restore a batch of tiles; see `Backend`."""
        with self._running(self._known(context)):
            restored = self._restore(to_batch(torch.from_numpy(tiles)), context, at)
            return finished(restored.permute(0, 2, 3, 1).numpy(), dtype)

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """What a tile adds to the statistics of its image; see `Backend`."""
        (place,) = at
        measurement = Measurement(context, self.norms, place)
        with self._running(measurement):
            self.network(to_batch(torch.from_numpy(tiles).to(self.device)))
        return measurement.sums

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """What blurred an image; see `Backend`."""
        network = cast(BlindDeconvolution[Any], self.network)
        with self._running(None):
            batch = to_batch(torch.from_numpy(image[None]).to(self.device))
            return network.find(batch.contiguous(), listener)

    def _known(self, context: Context | None) -> MomentSource | None:
        return None if context is None else KnownMoments(context, self.norms)

    def _restore(self, batch: Tensor, context: Context | None, at: Sequence[Place]) -> Tensor:
        """(N,3,h,w) to (N,3,sh,sw) in float32."""
        if context is None or context.blur is None:
            restored: Tensor = self.network(batch)
            return restored.float()
        return self._undone(batch, context.blur, at).float()

    def _undone(self, batch: Tensor, observed: ObservedBlur, at: Sequence[Place]) -> Tensor:
        """Restore (N,3,h,w), each tile with its part of the blur."""
        network, height, width = cast(Deconvolution[Any], self.network), batch.shape[2], batch.shape[3]
        restore = cast(BlindDeconvolution[Any], network).restore_found if observed.found else network.restore
        noise, listener = observed.noise, observed.listener
        return torch.cat(
            [
                restore(tile[None], observed.blur.crop(row.start, column.start, height, width), noise, listener)
                for tile, (row, column) in zip(batch.contiguous(), at, strict=True)
            ]
        )

    @contextmanager
    def _running(self, source: MomentSource | None) -> Iterator[None]:
        mixed = torch.autocast(self.device.type, self.dtype) if self.dtype != torch.float32 else nullcontext()
        token = moments_of_image.set(source)
        try:
            with fitting(), torch.inference_mode(), mixed:
                yield
        finally:
            moments_of_image.reset(token)


@contextmanager
def fitting() -> Iterator[None]:
    """Tell the engine, in its own words, that the device is full."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfDeviceMemory(str(error)) from None


def to_batch(tiles: Tensor) -> Tensor:
    """Tiles (N,h,w,3) of any pixel type as (N,3,h,w) in 0..1, where they are."""
    # (N,h,w,3) in memory is already what torch calls channels-last.
    batch = tiles.permute(0, 3, 1, 2).float()
    return batch.div_(TOPS[tiles.dtype])  # float32, the only type that is not copied, stays as it is: its top is 1
