"""The manifest of weight files, weights.toml: what exists, where it came from, how well it does."""

import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from restorekit.errors import WeightsError

PACKAGE = Path(__file__).parent.parent
SHIPPED = PACKAGE / "weights"


@dataclass(frozen=True)
class BundledWeights:
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
    best_for: Sequence[int] = ()
    """Scales for which these weights score best of all that ship, a final resize included where it is needed."""
    default: bool = False
    """Whether the model uses this file when none is named."""
    scale: int = 0
    """Output pixels for one input pixel that the weights are for; 0 where they serve every scale, or for deblurring."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Measured scores by protocol."""

    hint = "Install restorekit again."
    """What to do where the file is absent or damaged."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        return SHIPPED / self.file

    @property
    def expected(self) -> str:
        """The hash that the file must have."""
        return self.sha256


@dataclass(frozen=True)
class RemoteWeights:
    """One weight file that others publish and that can be fetched."""

    model: str
    tag: str
    file: str
    """Name in the cache."""
    licence: str
    page: str
    """Where a person finds it."""
    paper: str
    url: str = ""
    """Where a program finds it; empty where a browser is needed."""
    sha256: str = ""
    """Empty where it is not known: the hash of the first download is then recorded and compared, but not verified."""
    size: int = 0
    """Bytes; 0 where it is not known."""
    scale: int = 0
    """Output pixels for one input pixel that the weights are for; 0 where they serve every scale, or for deblurring."""
    note: str = ""

    @property
    def name(self) -> str:
        """As `models fetch` takes it."""
        return f"{self.model}:{self.tag}"

    @property
    def path(self) -> Path:
        """Where the file is once it has been fetched."""
        return cache_folder() / "weights" / self.model / self.file

    @property
    def record(self) -> Path:
        """Beside the file: the hash it had when it came, where no other is known."""
        return self.path.with_name(self.path.name + ".sha256")

    @property
    def expected(self) -> str:
        """The hash that the file must have; empty where none is known yet."""
        return self.sha256 or (self.record.read_text().strip() if self.record.is_file() else "")

    @property
    def hint(self) -> str:
        """What to do where the file is absent or damaged."""
        return f"Bring it with `restorekit models fetch {self.name}`."


def cache_folder() -> Path:
    """Where fetched files are kept: $RESTOREKIT_CACHE, or the system's place for such files."""
    if chosen := os.environ.get("RESTOREKIT_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "restorekit" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "restorekit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restorekit"


def manifest_path() -> Path:
    """weights.toml: inside an installed package, or at the top of a checkout."""
    inside = PACKAGE / "weights.toml"
    return inside if inside.exists() else PACKAGE.parent / "weights.toml"


@cache
def _manifest() -> tuple[tuple[BundledWeights, ...], tuple[RemoteWeights, ...]]:
    path = manifest_path()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return (
            tuple(BundledWeights(**entry) for entry in found.get("weights", [])),
            tuple(RemoteWeights(**entry) for entry in found.get("published", [])),
        )
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise WeightsError(f"The weights manifest is damaged ({error}).", "Install restorekit again.", path) from None


def bundled() -> tuple[BundledWeights, ...]:
    """All weight files that ship, in the manifest's order.

    Raises:
        WeightsError: the manifest is absent or damaged.
    """
    return _manifest()[0]


def remote() -> tuple[RemoteWeights, ...]:
    """All weight files that can be fetched, in the manifest's order.

    Raises:
        WeightsError: the manifest is absent or damaged.
    """
    return _manifest()[1]


def ships(model: str) -> bool:
    """Whether any weights of the model ship."""
    return any(entry.model == model for entry in bundled())


def _suits(entry: BundledWeights | RemoteWeights, scale: int | None) -> bool:
    return scale is None or entry.scale in (0, scale)


def shipped(model: str, tag: str | None = None, scale: int | None = None) -> BundledWeights:
    """The shipped weights of a model, by tag or the default ones (of a scale, if one is asked for).

    Raises:
        WeightsError: the model ships none, or none of that tag or scale.
    """
    own = [entry for entry in bundled() if entry.model == model]
    for entry in own:
        if (entry.default and tag is None and _suits(entry, scale)) or entry.tag == tag:
            return entry
    elsewhere = [entry for entry in remote() if entry.model == model]
    if own and tag is None:
        there = ", ".join(sorted({str(entry.scale) for entry in own}))
        raise WeightsError(f"No weights of '{model}' that ship enlarge by {scale}.", f"There are some for {there}.")
    if own:
        tags = ", ".join([entry.tag for entry in own] + [f"{entry.tag} (to be fetched)" for entry in elsewhere])
        raise WeightsError(f"'{tag}' is neither a file nor a tag of {model}'s weights.", f"The tags are {tags}.")
    bring = "".join(f" Published ones: restorekit models fetch {entry.name}." for entry in elsewhere)
    raise WeightsError(
        f"No trained weights of '{model}' ship with restorekit.{bring}",
        f"Use a model that has some ({', '.join(sorted({entry.model for entry in bundled()}))}), give your own with "
        f"--weights FILE, or train them: restorekit train --model {model}.",
    )


def choose(model: str, tag: str | None = None, scale: int | None = None) -> BundledWeights | RemoteWeights:
    """The weights of a model that are at hand, shipped or fetched.

    Args:
        model: a system.
        tag: which of them; by default the shipped default, else the first in the manifest that has been fetched.
        scale: without a tag, only weights that enlarge so much are considered.

    Raises:
        WeightsError: there are none, or none of that tag, or they have not been fetched.
    """
    for other in remote():
        if other.model != model:
            continue
        fits = tag is None and not ships(model) and _suits(other, scale)
        if other.path.is_file() and (other.tag == tag or fits):
            return other
        if other.tag == tag:
            raise WeightsError(
                f"The weights '{tag}' of {model} are published elsewhere and not fetched yet.", other.hint
            )
    return shipped(model, tag, scale)


def enlarging(factor: float) -> BundledWeights:
    """The best weights that ship for enlarging by any factor.

    Raises:
        WeightsError: none ship at all.
    """
    scales = sorted({scale for entry in bundled() for scale in entry.best_for})
    if not scales:
        raise WeightsError("No weights for enlarging ship with restorekit.", "Choose --model and --weights.")
    scale = next((scale for scale in scales if scale >= factor), scales[-1])
    return next(entry for entry in bundled() if scale in entry.best_for)


def network_scale(model: str, factor: float) -> int:
    """The scale of the smallest of a system's networks that enlarges by at least `factor`, else of its largest.

    Args:
        model: a system for super-resolution.
        factor: what is wanted.
    """
    known: list[BundledWeights | RemoteWeights] = [*bundled(), *remote()]
    own = [entry.scale for entry in known if entry.model == model and entry.path.is_file()]
    scales = sorted(own) if own and 0 not in own else [2, 3, 4, 8]
    return next((scale for scale in scales if scale >= factor), scales[-1])


def fetchable(name: str) -> RemoteWeights:
    """What `models fetch NAME` means.

    Args:
        name: MODEL:TAG, or MODEL for the first of its weights in the manifest.

    Raises:
        WeightsError: nobody publishes such weights.
    """
    model, _, tag = name.partition(":")
    for entry in remote():
        if entry.model == model and tag in ("", entry.tag):
            return entry
    own = [entry.name for entry in remote() if entry.model == model]
    raise WeightsError(
        f"Nothing called '{name}' can be fetched.",
        f"There are {', '.join(own or [entry.name for entry in remote()])}.",
    )
