"""restorekit: restore blurred pictures, one at a time or by the folder.

import restorekit

sharp = restorekit.restore(blurred)                      # (H,W,3) array in, the same out
summary = restorekit.restore_folder(["in"], "out")       # what `restorekit deblur in -o out` does
network = restorekit.load_model("gggan-lite")            # an nn.Module
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from restorekit._version import __version__

if TYPE_CHECKING:
    from restorekit.degradation.pairs import synthesize
    from restorekit.inference.image import restore
    from restorekit.metrics import psnr, ssim
    from restorekit.pipeline.folder import restore_folder
    from restorekit.weights.load import load_model

__all__ = ["__version__", "load_model", "psnr", "restore", "restore_folder", "ssim", "synthesize"]

_HOMES = {
    "load_model": "restorekit.weights.load",
    "psnr": "restorekit.metrics",
    "restore": "restorekit.inference.image",
    "restore_folder": "restorekit.pipeline.folder",
    "ssim": "restorekit.metrics",
    "synthesize": "restorekit.degradation.pairs",
}


def __getattr__(name: str) -> Any:
    """Import a public function when it is first used: `import restorekit` alone loads neither torch nor OpenCV."""
    if name not in _HOMES:
        raise AttributeError(f"module 'restorekit' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
