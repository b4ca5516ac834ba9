"""Every system in the engine, against the bare forward of the same network as it was built.

The engine folds batch and weight normalisation, works in channels-last memory and keeps freed buffers as the command does;
the bare forward does none of this. Both see one image whole, in float32.
"""

from functools import partial

import numpy as np
import torch
from common import arguments_for_side, in_processes, parser, record, take_turns, untrained
from numpy.typing import NDArray

from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models import registry
from restorekit.models.model import Model
from restorekit.runtime.memory import keep_buffers


def bare_forward(model: Model, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H,W,3) through the network and nothing else."""
    with torch.no_grad():
        rgb = torch.from_numpy(image).permute(2, 0, 1)[None].float().contiguous() / 255
        restored = model(rgb)
    pixels: NDArray[np.uint8] = (restored[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return pixels


def main() -> None:
    options = parser(__doc__, rounds=5)
    options.add_argument("systems", nargs="*", help="all that learn, if none is named")
    options.add_argument("--size", type=int, default=256, help="height and width of the image (%(default)s)")
    options.add_argument("--side", choices=("bare", "engine"), help="be one side: for the script itself")
    asked = options.parse_args()
    if asked.side:
        model = untrained(asked.systems[0])
        image = (np.random.default_rng(0).random((asked.size, asked.size, 3)) * 255).astype(np.uint8)
        if asked.side == "bare":
            take_turns(partial(bare_forward, model, image))
        else:
            keep_buffers()
            engine = Engine(model, Settings("cpu", "fp32", tile=asked.size))
            take_turns(partial(engine, image))
        return
    for name in asked.systems or [name for name in registry.names() if registry.spec_of(name).parameters]:
        told = [name, "--size", str(asked.size)]
        taken = in_processes(asked.rounds, {side: arguments_for_side(side, told) for side in ("bare", "engine")})
        record(asked.history, f"{name} {asked.size}x{asked.size}, fp32", taken, "bare", "engine")


if __name__ == "__main__":
    main()
