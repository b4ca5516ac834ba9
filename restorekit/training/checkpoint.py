"""checkpoint.pt: all that a run needs to go on as if it had not been stopped."""

from dataclasses import field, fields
from pathlib import Path
from typing import Any, cast

import torch
from pydantic.dataclasses import dataclass

from restorekit.errors import UsageError
from restorekit.runtime import fingerprints
from restorekit.runtime.atomic import replacing
from restorekit.runtime.precision import Precision
from restorekit.runtime.regular import read_regular
from restorekit.training.objectives.base import LossTerms
from restorekit.training.recipe import Recipe
from restorekit.weights import torch_file

LARGEST = 1 << 36
"""Bytes; the networks that ship a recipe need up to 1 GiB."""


@dataclass(frozen=True, config={"strict": True, "extra": "forbid", "arbitrary_types_allowed": True})
class Checkpoint:
    """A run after one of its steps."""

    recipe: str
    """As JSON."""
    precision: Precision
    seconds: float
    """Training time so far, all sittings."""
    trainer: dict[str, Any]
    """See `Trainer.state`."""
    trained_on: str = ""
    """Fingerprints of the images; see `runtime.fingerprints`."""
    losses: list[LossTerms] = field(default_factory=list)
    """Of steps that are not in the log yet."""
    batches_skipped: int = 0
    """Batches passed over so far, because the loss was not finite after them."""

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all.

        Raises:
            UnwritableOutput: no permission, no space.
        """
        with replacing(path) as beside, beside.open("wb") as file:
            try:
                torch.save({field.name: getattr(self, field.name) for field in fields(self)}, file)
            except RuntimeError as error:  # PyTorch's own, raised while it handles that of a full disk
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    @classmethod
    def read(cls, path: Path, recipe: Recipe) -> "Checkpoint | None":
        """What `write` wrote, or None if there is nothing. As of weights, no code in it is run.

        Raises:
            UsageError: it is of another recipe, or cannot be read.
        """
        if not path.exists():
            return None
        try:
            checkpoint = cls(**cast(dict[str, Any], torch_file.read_plain(read_regular(path, LARGEST))))
            begun_with = Recipe.from_json(checkpoint.recipe)
            fingerprints.unpack(checkpoint.trained_on)
        except Exception as error:  # a crafted file can make this fail in any way
            raise UsageError("The checkpoint cannot be read.", "Choose another folder for the run.", path) from error
        if begun_with != recipe:
            hint = "Repeat its settings, or choose another folder."
            raise UsageError("The folder holds a run with another recipe.", hint, path.parent)
        return checkpoint
