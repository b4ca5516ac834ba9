"""Run the command as a user does, and see what it says, takes and leaves behind."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ENLARGE = ("sr", "--model", "bicubic", "--scale", "2", "--device", "cpu")
"""The quickest command that restores images."""


@dataclass(frozen=True)
class Run:
    """What became of a command."""

    code: int
    out: bytes
    err: bytes
    megabytes: float
    """Resident at most."""
    seconds: float


def restorekit(*arguments: str | os.PathLike[str]) -> Run:
    """Run a command of restorekit in a process of its own, with the strict UTF-8 that terminals have."""
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "restorekit", *arguments], stdout=out, stderr=err, env=environment
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        taken = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
        return Run(child.returncode, out.read(), err.read(), taken, time.monotonic() - begun)


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, but for what runs keep for themselves."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".restorekit" not in path.parts)
    return {path.relative_to(folder): path.read_bytes() for path in files}
