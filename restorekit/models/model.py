"""A network with all that is known of it. What restores by a graph takes the facts and leaves PyTorch alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from restorekit.models.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Provenance:
    """Where a network's numbers come from."""

    weights: str = "none"
    """Tag or file name; "none" for an untrained network, "none needed" for a system that has nothing to learn."""
    sha256: str = ""
    """Of the weights file; empty where there is none."""
    config: Mapping[str, object] = field(default_factory=dict)
    """Options of the system that differ from its defaults."""
    without_features: str = ""
    """The layer of VGG that the loss in its paper compares, where it was trained without; empty where nothing is missing."""
    trained_on: frozenset[bytes] = field(default=frozenset(), repr=False)
    """Fingerprints of the images that it was trained on, see `runtime.fingerprints`; empty where the file does not say."""
    seconds_per_sample: float | None = None
    """Training time by crops trained on, on whatever machine that was; None where the file does not say."""
    recipe: str = field(default="", repr=False)
    """What it was trained by, as JSON, spelt as in the version that wrote it; empty where the file does not say."""


@dataclass(frozen=True)
class Model:
    """A network that can be called, and states its facts.

    `model(batch)` maps RGB (N,3,H,W) in 0..1 to (N,3,sH,sW) in 0..1, s being `spec.scale`.
    """

    module: nn.Module
    """The network itself, in evaluation mode; training it is the caller's business."""
    spec: Spec
    """Facts of this configuration."""
    provenance: Provenance = Provenance()

    def __call__(self, batch: Tensor) -> Tensor:
        """Restore a batch (N,3,H,W)."""
        restored: Tensor = self.module(batch)
        return restored

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Model:
        """The same model with its network on a device, in a type. As with `nn.Module.to`, the network itself moves."""
        return replace(self, module=self.module.to(device=device, dtype=dtype))

    @property
    def parameters(self) -> int:
        """Number of learned parameters."""
        return sum(parameter.numel() for parameter in self.module.parameters())
