"""What preparing samples costs a training run: steps on batches that come from the loader, against steps on one fixed batch.

Both train the same network with its recipe on photographs of 1349x1079 pixels, in this process, in turns. The ratio of times
is above 0.95 where loading costs less than 5 %. Batches that are ready when a turn begins are thrown away: they would
flatter it. It takes about a minute on two idle cores.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import torch
from common import in_turns, parser, photo, record
from torch import Tensor

from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.runtime.device import choose_device
from restorekit.runtime.memory import keep_buffers
from restorekit.runtime.precision import choose_dtype, name_of
from restorekit.training.loading import PREFETCHED, load_batches, numbers_of_batches
from restorekit.training.recipe import Recipe
from restorekit.training.samples import Samples, find_training_pairs
from restorekit.training.trainer import Trainer

IMAGES = 8
ENDLESS = 1 << 40  # batches
WARM_UP = 2  # steps


def train(trainer: Trainer, batches: Iterator[tuple[Tensor, Tensor]], steps: int, ready: int = 0) -> None:
    for degraded, sharp in islice(batches, ready, ready + steps):
        trainer.step(degraded, sharp)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    options = parser(__doc__, rounds=3)
    options.add_argument("model", nargs="?", default="gggan-lite", help="a system (%(default)s)")
    options.add_argument("--steps", type=int, default=20, help="in a round (%(default)s)")
    options.add_argument("--workers", type=int, default=1, help="processes that prepare samples (%(default)s)")
    options.add_argument("--device", default="auto")
    asked = options.parse_args()
    keep_buffers()
    recipe, device = Recipe.of_paper(asked.model), choose_device(asked.device)
    dtype = choose_dtype(recipe.precision, device, "training")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(IMAGES):
            write_image(Image(np.roll(photo(1349, 1079), 100 * number, axis=1)), Path(folder) / f"{number}.png")
        samples = Samples(find_training_pairs(Path(folder)), recipe.crop, recipe.degradation(), 0, recipe.augment)
        trainer = Trainer.build(recipe, device, dtype)
        numbers = numbers_of_batches(0, ENDLESS, recipe.batch)
        with closing(load_batches(samples, numbers, device, asked.workers)) as loaded:
            train(trainer, loaded, WARM_UP)
            sides = {
                "fixed": partial(train, trainer, repeat(next(loaded)), asked.steps),
                "loaded": partial(train, trainer, loaded, asked.steps, PREFETCHED * asked.workers),
            }
            taken = in_turns(asked.rounds, sides, warm_up=False)
        case = f"{asked.model} on {device.type} in {name_of(dtype)}, {recipe.batch} crops of {recipe.crop} px"
        record(asked.history, f"{case}, {asked.workers} workers", taken, "fixed", "loaded")


if __name__ == "__main__":
    main()
