"""Time and memory of one network, measured in a process of its own: nothing else has warmed up or grown there."""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restorekit.errors import RestorekitError
from restorekit.runtime.memory import keep_buffers


@dataclass(frozen=True)
class Speed:
    """Of this machine; after a warm-up, median of the repeats."""

    seconds: float
    """For one picture."""
    megapixels: float
    """Of that picture (input)."""
    peak_mb: float
    """On a CPU of the whole process, on a GPU of the tensors there."""
    device: str
    precision: str


def measure(
    model: str, weights: str, scale: int | None, settings: dict[str, Any], size: tuple[int, int], repeats: int = 3
) -> Speed:
    """Run a network on a picture of noise in a new process.

    Args:
        model, weights, scale: as for `weights.loading.load`.
        settings: fields of `inference.engine.Settings`.
        size: height and width of the input.
        repeats: timed runs after the first.

    Raises:
        RestorekitError: the process failed.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    request = json.dumps([model, weights, scale, settings, list(size), repeats])
    done = subprocess.run(
        [sys.executable, "-m", "restorekit.evaluation.speed", request],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RestorekitError(f"The speed of {model} could not be measured ({last}).")
    return Speed(**json.loads(done.stdout))


def _here(
    model: str, weights: str, scale: int | None, settings: dict[str, Any], size: tuple[int, int], repeats: int
) -> Speed:
    import numpy as np
    import torch

    from restorekit.inference.engine import Engine
    from restorekit.inference.settings import Settings
    from restorekit.weights.load import load_model

    engine = Engine(load_model(model, weights, scale), Settings(**settings))
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        engine(picture)  # the result is on the CPU: nothing is still running
        times.append(time.perf_counter() - begun)
    gpu = engine.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(engine.device) / 1e6 if gpu else _peak_mb()
    kind = torch.cuda.get_device_name(engine.device) if gpu else "cpu"
    return Speed(statistics.median(times[1:]), size[0] * size[1] / 1e6, peak, kind, engine.precision)


def _peak_mb() -> float:
    """Largest resident memory of this process. Linux's getrusage would count the parent's from before the start too."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) / 1e3
    except (OSError, IndexError):
        import resource  # absent on Windows

        unit = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    keep_buffers()
    sys.stdout.write(json.dumps(asdict(_here(*json.loads(sys.argv[1])))))
