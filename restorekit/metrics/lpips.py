"""LPIPS: distance of two images in the features of AlexNet, weighted as people judged. Lower is better, 0 is identical.

Zhang, Isola, Efros, Shechtman, Wang. The Unreasonable Effectiveness of Deep Features as a Perceptual Metric. CVPR 2018
(arXiv:1801.03924), version 0.1 of its weights, `net="alex"`. PyTorch is imported when the first distance is measured.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.errors import UsageError
from restorekit.imaging.dtypes import Pixels
from restorekit.metrics.fidelity import to_comparable

if TYPE_CHECKING:
    from restorekit.metrics.lpips_network import LPIPSNetwork

MIN_SIDE = 31  # px: below, AlexNet's last feature maps are empty


@lru_cache(maxsize=1)
def load_network(weights: Path) -> LPIPSNetwork:
    """The network with the weights of a folder; the last one is kept for this process.

    Raises:
        WeightsError: absent, incomplete or damaged.
    """
    from restorekit.metrics.lpips_network import LPIPSNetwork

    return LPIPSNetwork.from_folder(weights)


def lpips(restored: Pixels, sharp: Pixels, *, weights: Path) -> float:
    """The distance of one image.

    Args:
        restored, sharp: (H,W,3), or (H,W) and (H,W,1) taken as grey, of the same uint8, uint16 or float32 (in 0..1)
            type; at least 31 px on a side.
        weights: folder of the weights, see `LPIPSNetwork.from_folder`.

    Raises:
        UsageError: the images cannot be compared or are too small.
        WeightsError: the weights are absent, incomplete or damaged.
    """
    to_comparable(restored, sharp)
    if min(sharp.shape[:2]) < MIN_SIDE:
        raise UsageError(f"LPIPS needs at least {MIN_SIDE} px on a side, not {sharp.shape[1]}x{sharp.shape[0]}.")
    return load_network(weights).distance(restored, sharp)
