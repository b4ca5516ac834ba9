"""What made a result: digests of settings, stamps of files, versions and machine."""

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from restorekit._version import __version__

PACKAGES = {
    "torch": ("torch",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "scikit-image": ("scikit-image",),
    "pillow": ("pillow",),
}
"""Distributions that give each package; the first that is installed counts."""

VECTORS = ("amx", "asimd", "avx", "bf16", "f16c", "fma", "i8mm", "sse4", "sve")
"""How names of instructions begin that networks are computed with."""


def canonical(value: object) -> str:
    """JSON that is the same text for the same value: sorted keys, no spaces; what JSON does not know is written as text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_stamp(path: Path) -> dict[str, int]:
    """Tell whether a file has changed without reading it: its size in bytes and the time of its last change in ns.

    Raises:
        OSError: there is no such file.
    """
    state = path.stat()
    return {"bytes": state.st_size, "modified": state.st_mtime_ns}


def environment() -> dict[str, str]:
    """Versions of restorekit and of what it computes with, and the machine, for reports and histories."""
    return {
        "restorekit": __version__,
        "python": platform.python_version(),
        **{name: installed for name, names in PACKAGES.items() if (installed := _installed(names))},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
    }


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """The processor's instructions for vectors and matrices by Linux's names, e.g. avx2; none where nobody tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    told = next((line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return sorted(name for name in told if name.startswith(VECTORS))


def _installed(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""
