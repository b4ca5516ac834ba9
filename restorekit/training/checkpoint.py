"""checkpoint.pt: all that a run needs to go on as if it had not been stopped."""

import json
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

MOST_DIFFERENCES = 4  # that are told
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
            raise UsageError(
                f"The folder holds a run with another recipe: {_differences(begun_with, recipe)}.",
                "Repeat its settings, or choose another folder.",
                path.parent,
            )
        return checkpoint


def _differences(begun_with: Recipe, recipe: Recipe) -> str:
    """The first settings in which two recipes differ, in words."""
    there, here = (_flat(json.loads(one.to_json())) for one in (begun_with, recipe))
    unlike = [name for name in there | here if there.get(name) != here.get(name)]
    order = [field.name for field in fields(Recipe)]
    unlike.sort(key=lambda name: order.index(name.partition(".")[0]))
    told = [f"{name} {_shown(there, name)} instead of {_shown(here, name)}" for name in unlike[:MOST_DIFFERENCES]]
    more = len(unlike) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def _flat(settings: dict[str, Any], before: str = "") -> dict[str, object]:
    """Settings by names with dots, such as blur.length."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


def _shown(settings: dict[str, object], name: str) -> str:
    return json.dumps(settings[name]).strip('"') if name in settings else "the default"
