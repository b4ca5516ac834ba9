"""restorekit: restore blurred or small images, one at a time or by the folder.

import restorekit

sharp = restorekit.restore_image(blurred)               # (H,W,3) array in, the same out
summary = restorekit.restore_folder(["in"], "out")      # what `restorekit deblur in -o out` does
model = restorekit.load_model("gggan-lite")             # model(batch), model.spec, model.module
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from restorekit._version import __version__

if TYPE_CHECKING:
    from restorekit.degradation.frames import FrameSettings, synthesize_frames
    from restorekit.degradation.pairs import synthesize_pairs
    from restorekit.degradation.synthetic_blur import BlurSettings
    from restorekit.errors import ExitCode, RestorekitError, UnreadableImage, UnwritableOutput, UsageError, WeightsError
    from restorekit.inference.engine import Engine
    from restorekit.inference.image import Size, restore_image
    from restorekit.inference.settings import Settings
    from restorekit.metrics import psnr, ssim
    from restorekit.models.model import Model
    from restorekit.models.spec import Spec
    from restorekit.pipeline.files import restore_folder
    from restorekit.weights.load import load_model

_HOMES = {
    "BlurSettings": "degradation.synthetic_blur",
    "Engine": "inference.engine",
    "ExitCode": "errors",
    "FrameSettings": "degradation.frames",
    "Model": "models.model",
    "RestorekitError": "errors",
    "Settings": "inference.settings",
    "Size": "inference.image",
    "Spec": "models.spec",
    "UnreadableImage": "errors",
    "UnwritableOutput": "errors",
    "UsageError": "errors",
    "WeightsError": "errors",
    "load_model": "weights.load",
    "psnr": "metrics",
    "restore_folder": "pipeline.files",
    "restore_image": "inference.image",
    "ssim": "metrics",
    "synthesize_frames": "degradation.frames",
    "synthesize_pairs": "degradation.pairs",
}
"""Where each public name lives. It is imported when it is first used: `import restorekit` loads neither torch nor OpenCV."""

__all__ = [
    "BlurSettings",
    "Engine",
    "ExitCode",
    "FrameSettings",
    "Model",
    "RestorekitError",
    "Settings",
    "Size",
    "Spec",
    "UnreadableImage",
    "UnwritableOutput",
    "UsageError",
    "WeightsError",
    "__version__",
    "load_model",
    "psnr",
    "restore_folder",
    "restore_image",
    "ssim",
    "synthesize_frames",
    "synthesize_pairs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'restorekit' has no attribute '{name}'")
    return getattr(import_module(f"restorekit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
