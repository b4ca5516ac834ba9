"""The manifest of weight files, weights.toml: what exists, where it came from, how well it does."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from restorekit.errors import WeightsError

PACKAGE = Path(__file__).parent.parent
SHIPPED = PACKAGE / "weights"


@dataclass(frozen=True)
class Entry:
    """One weight file that ships with the package."""

    model: str
    tag: str
    file: str
    """Name inside `restorekit/weights/`."""
    sha256: str
    size: int
    """Bytes."""
    licence: str
    domain: str
    """What kind of pictures and blur the weights are for, in one sentence."""
    recipe: str
    """The training recipe as the file's header holds it (JSON); `train --recipe` takes it."""
    data: str
    steps: int
    hours: float
    hardware: str
    start: str = ""
    """Tag of the weights that training began with, if any."""
    default: bool = False
    """Whether the model uses this file when none is named."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Measured scores by protocol."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        return SHIPPED / self.file


def manifest_path() -> Path:
    """weights.toml: inside an installed package, or at the top of a checkout."""
    inside = PACKAGE / "weights.toml"
    return inside if inside.exists() else PACKAGE.parent / "weights.toml"


@cache
def entries() -> tuple[Entry, ...]:
    """All weight files that ship, in the manifest's order.

    Raises:
        WeightsError: the manifest is absent or damaged.
    """
    path = manifest_path()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(Entry(**entry) for entry in found.get("weights", []))
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise WeightsError(f"The weights manifest is damaged ({error}).", "Install restorekit again.", path) from None


def ships(model: str) -> bool:
    """Whether any weights of the model ship."""
    return any(entry.model == model for entry in entries())


def choose(model: str, tag: str | None = None) -> Entry:
    """The shipped weights of a model, by tag or the default ones.

    Raises:
        WeightsError: the model ships none, or none of that tag.
    """
    own = [entry for entry in entries() if entry.model == model]
    if not own:
        shipped = ", ".join(sorted({entry.model for entry in entries()}))
        raise WeightsError(
            f"No trained weights of '{model}' ship with restorekit.",
            f"Use a model that has some ({shipped}), give your own with --weights FILE, or train them: "
            f"restorekit train --model {model}.",
        )
    for entry in own:
        if (entry.default and tag is None) or entry.tag == tag:
            return entry
    raise WeightsError(
        f"'{tag}' is neither a file nor a tag of {model}'s weights.",
        f"The tags are {', '.join(entry.tag for entry in own)}.",
    )
