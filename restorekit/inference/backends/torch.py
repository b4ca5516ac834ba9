"""Run a network with PyTorch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.deconvolution import Blur
from restorekit.imaging.dtypes import RANGES
from restorekit.inference.backends import OutOfDeviceMemory
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
    full = TorchBackend(network, device, torch.float32)
    return (full if dtype == torch.float32 else TorchBackend(network, device, dtype)), full


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

    def __call__(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> NDArray[np.float32]:
        """Restore a batch of tiles; see `Backend`."""
        source = None if context is None else KnownMoments(context, self.norms)
        blur = None if context is None else context.blur
        with self._running(source):
            batch = self._batch(tiles)
            restored = (self.network(batch) if blur is None else self._undone(batch, blur, at)).float()
            channels_last: NDArray[np.float32] = restored.permute(0, 2, 3, 1).cpu().numpy()
            return channels_last

    def measure(self, tiles: NDArray[Any], context: Context | None, at: Sequence[Place]) -> Sums:
        """What a tile adds to the statistics of its image; see `Backend`."""
        (place,) = at
        measurement = Measurement(context, self.norms, place)
        with self._running(measurement):
            self.network(self._batch(tiles))
        return measurement.sums

    def estimate(self, image: NDArray[Any], listener: Listener) -> Blur:
        """What blurred an image; see `Backend`."""
        network = cast(BlindDeconvolution[Any], self.network)
        with self._running(None):
            return network.find(self._batch(image[None]).contiguous(), listener)

    def _undone(self, batch: Tensor, observed: ObservedBlur, at: Sequence[Place]) -> Tensor:
        """Restore (N,3,h,w), each tile with its part of the blur."""
        network, height, width = cast(Deconvolution[Any], self.network), batch.shape[2], batch.shape[3]
        return torch.cat(
            [
                network.restore(tile[None], observed.blur.crop(row.start, column.start, height, width), observed.noise)
                for tile, (row, column) in zip(batch.contiguous(), at, strict=True)
            ]
        )

    @contextmanager
    def _running(self, source: MomentSource | None) -> Iterator[None]:
        mixed = torch.autocast(self.device.type, self.dtype) if self.dtype != torch.float32 else nullcontext()
        token = moments_of_image.set(source)
        try:
            with torch.inference_mode(), mixed:
                yield
        except torch.OutOfMemoryError as error:
            raise OutOfDeviceMemory(str(error)) from None
        finally:
            moments_of_image.reset(token)

    def _batch(self, tiles: NDArray[Any]) -> Tensor:
        top = RANGES[tiles.dtype]
        if tiles.dtype == np.uint16:
            tiles = tiles.astype(np.float32)  # torch has little arithmetic for uint16
        # (N,H,W,3) in memory is already what torch calls channels-last.
        batch = torch.from_numpy(tiles).to(self.device).permute(0, 3, 1, 2).float()
        return batch.div_(top)  # float32, the only type that is not copied, stays as it is: its top is 1
