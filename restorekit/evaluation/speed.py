"""Time and memory of one network, measured in a process of its own: nothing else has warmed up or grown there.

`python -m restorekit.evaluation.speed` reads a request as JSON from stdin and writes the measurement to stdout.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from restorekit.errors import RestorekitError
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings


@dataclass(frozen=True)
class SpeedRequest:
    """What to measure."""

    model: str
    weights: str
    scale: int | None
    """See `weights.load.load_model`."""
    settings: Settings
    size: tuple[int, int]
    """Height and width of the input."""
    repeats: int
    """Timed runs after the first."""
    psf_side: int = 0
    """Pixels along the PSF that a system is told; 0 where it is told none. Its values do not matter."""


@dataclass(frozen=True)
class SpeedMeasurement:
    """Of this machine; after a warm-up, median of the repeats."""

    seconds: float
    """For one image."""
    megapixels: float
    """Of that image (input)."""
    peak_mb: float
    """On a CPU of the whole process, on a GPU of the tensors there."""
    device: str
    precision: str

    @property
    def megapixels_per_second(self) -> float:
        """Input pixels by time."""
        return self.megapixels / self.seconds


def measure_speed(request: SpeedRequest) -> SpeedMeasurement:
    """Run a network on an image of noise in a new process.

    Raises:
        RestorekitError: the process failed.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(asdict(request)),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise RestorekitError(f"The speed of {request.model} could not be measured ({last}).")
    return SpeedMeasurement(**json.loads(process.stdout))


def measure_here(request: SpeedRequest) -> SpeedMeasurement:
    """Run a network on an image of noise in this process."""
    import numpy as np
    import torch

    from restorekit.deconvolution import Kernel
    from restorekit.weights.load import load_model

    engine = Engine(load_model(request.model, request.weights, request.scale), request.settings)
    image = np.random.default_rng(0).integers(0, 256, (*request.size, 3), np.uint8)
    side = request.psf_side
    blur = Kernel(np.full((side, side), 1 / side**2, np.float32)) if side else None
    times = []
    for _ in range(request.repeats + 1):
        begun = time.perf_counter()
        engine(image, blur=blur)  # the result is on the CPU: nothing is still running
        times.append(time.perf_counter() - begun)
    gpu = engine.on_gpu
    return SpeedMeasurement(
        seconds=statistics.median(times[1:]),
        megapixels=request.size[0] * request.size[1] / 1e6,
        peak_mb=torch.cuda.max_memory_allocated(engine.device) / 1e6 if gpu else _peak_mb(),
        device=torch.cuda.get_device_name(engine.device) if gpu else "cpu",
        precision=engine.precision,
    )


def _peak_mb() -> float:
    """Largest resident memory of this process. Linux's getrusage would count the parent's from before the start too."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) / 1e3
    except (OSError, IndexError):
        import resource  # absent on Windows

        unit = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> int:
    """Answer one request."""
    from restorekit.runtime.memory import keep_buffers

    keep_buffers()
    fields = json.load(sys.stdin)
    request = SpeedRequest(**(fields | {"settings": Settings(**fields["settings"]), "size": tuple(fields["size"])}))
    try:
        measurement = measure_here(request)
    except RestorekitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(asdict(measurement)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
