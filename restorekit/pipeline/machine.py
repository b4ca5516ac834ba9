"""What restores on this machine, in words, for reports of defects: also where a runtime is missing or broken."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

import av

from restorekit.inference.backends.choice import remembered
from restorekit.inference.backends.openvino import the_core
from restorekit.media.encoding import ENCODERS
from restorekit.runtime.memory import free_memory, total_memory
from restorekit.runtime.provenance import cpu_features, environment
from restorekit.weights.cache import cache_folder

HARDWARE = ("_amf", "_nvenc", "_qsv", "_vaapi", "_videotoolbox")
"""How FFmpeg's names of encoders end that may use a GPU, if there is one."""


def describe_machine() -> dict[str, list[str]]:
    """Lines of text by topic. Nothing is measured or changed."""
    versions = environment()
    free = free_memory()
    return {
        "versions": [f"{name} {versions[name]}" for name in versions if name not in ("cpu", "system", "torch")],
        "system": [platform.platform()],
        "processor": [versions["cpu"], f"{os.cpu_count()} cores", " ".join(cpu_features())],
        "memory": [f"{total_memory() / 2**30:.1f} GiB", *([] if free is None else [f"{free / 2**30:.1f} GiB free"])],
        "PyTorch": _told(_torch),
        "ONNX Runtime": _told(_onnxruntime),
        "OpenVINO": _told(_openvino),
        "auto": [f"{choice.model}, {choice}" for choice in remembered()],
        "cache": _cache(),
        "FFmpeg": [av.ffmpeg_version_info, " ".join(_encoders())],
    }


def _told(describe: Callable[[], list[str]]) -> list[str]:
    """What a runtime tells, or why it cannot."""
    try:
        return describe()
    except ModuleNotFoundError:
        return ["not installed"]
    except Exception as error:  # a broken installation raises anything, and is what this is for
        return [f"broken ({type(error).__name__}: {' '.join(str(error).split())})"]


def _torch() -> list[str]:
    import torch

    from restorekit.runtime.device import choose_device

    threads = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    names = [f"{gpu.name}, {gpu.total_memory / 2**30:.1f} GiB" for gpu in gpus]
    return [str(torch.__version__), threads, *names, f"--device auto is {choose_device('auto')}"]


def _onnxruntime() -> list[str]:
    import onnxruntime

    return [onnxruntime.__version__, " ".join(onnxruntime.get_available_providers())]


def _openvino() -> list[str]:
    import openvino

    able = the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [openvino.__version__, " ".join(able)]


def _cache() -> list[str]:
    """The folder, and how much is in each part of it."""
    folder = cache_folder()
    sizes = []
    for part in sorted(path for path in folder.glob("*") if path.is_dir()):
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
        sizes.append(f"{part.name} {size / 1e6:.1f} MB")
    return [str(folder).replace(str(Path.home()), "~"), *(sizes or ["empty"])]


def _encoders() -> list[str]:
    """FFmpeg's encoders of videos that `--codec` takes by a short name, and those that may use a GPU."""
    short = {*ENCODERS.values(), "ffv1"}
    names = sorted(name for name in av.codecs_available if name in short or name.endswith(HARDWARE))
    return [name for name in names if _encodes(name)]


def _encodes(name: str) -> bool:
    """Not only decodes."""
    try:
        return bool(av.Codec(name, "w").is_encoder)
    except ValueError:
        return False
