"""How fast the engine runs a network on this CPU, against the plain tiled loop that public tools use.

The loop cuts tiles of 512 px with 10 px of padding, runs them one by one in the default memory format and pastes the
results. 10 px is less than the receptive field, so the loop leaves seams; the engine leaves none unless --overlap is given,
which makes it as inexact as the loop. The engine runs as the command does, with freed buffers kept.
"""

import sys
from functools import partial

import numpy as np
import torch
from common import arguments_for_side, in_processes, parser, photo, record, take_turns, untrained
from numpy.typing import NDArray

from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.models.model import Model
from restorekit.runtime.memory import keep_buffers

TILE, PADDING = 512, 10  # px


def plain_loop(model: Model, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What public tools do: (H,W,3) to (H,W,3) in float32."""
    rgb = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    restored = torch.empty_like(rgb)
    height, width = image.shape[:2]
    with torch.no_grad():
        for y in range(0, height, TILE):
            for x in range(0, width, TILE):
                top, left = max(0, y - PADDING), max(0, x - PADDING)
                bottom, right = min(height, y + TILE + PADDING), min(width, x + TILE + PADDING)
                tile = model(rgb[..., top:bottom, left:right])
                tall, wide = min(TILE, height - y), min(TILE, width - x)
                restored[..., y : y + tall, x : x + wide] = tile[
                    ..., y - top : y - top + tall, x - left : x - left + wide
                ]
    pixels: NDArray[np.uint8] = (restored[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return pixels


def main() -> None:
    options = parser(__doc__, rounds=5)
    options.add_argument("model", nargs="?", default="gggan-lite", help="a deblurring system (%(default)s)")
    options.add_argument("--overlap", type=int, help="context of the engine's tiles, then of 512 px too")
    options.add_argument("--size", type=int, nargs=2, default=(1920, 1080), metavar=("WIDTH", "HEIGHT"))
    options.add_argument("--side", choices=("loop", "fp32", "bf16"), help="be one side: for the script itself")
    asked = options.parse_args()
    if asked.side:
        model, image = untrained(asked.model), photo(*asked.size)
        if asked.side == "loop":
            take_turns(partial(plain_loop, model, image))
        else:
            keep_buffers()
            tiles = {} if asked.overlap is None else {"tile": TILE, "overlap": asked.overlap}
            engine = Engine(model, Settings("cpu", asked.side, **tiles))
            take_turns(partial(engine, image))
        return
    sides = {side: arguments_for_side(side, sys.argv[1:]) for side in ("loop", "fp32", "bf16")}
    taken = in_processes(asked.rounds, sides)
    place = "" if asked.overlap is None else f", tiles of {TILE} px with {asked.overlap} px around"
    for precision in ("fp32", "bf16"):
        case = f"{asked.model} {asked.size[0]}x{asked.size[1]}{place}, {precision}"
        record(asked.history, case, taken, "loop", precision)


if __name__ == "__main__":
    main()
