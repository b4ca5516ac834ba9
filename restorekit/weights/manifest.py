"""The manifest of weight files, weights.toml: what exists, where it came from, how well it does."""

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from restorekit.errors import UsageError, WeightsError
from restorekit.weights.cache import recorded_sha256, weights_path
from restorekit.weights.loss import Loss

PACKAGE = Path(__file__).parent.parent

FileName = Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]
"""A name without a folder."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Table(BaseModel):
    """A table of the manifest. A misspelt key or a value of another type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Weights(_Table, ABC):
    """One weight file."""

    model: str
    """System that the weights are for."""
    tag: str
    """Name of the weights within the system, as `--weights` takes it."""
    file: FileName
    """Name inside `restorekit/weights/` or the cache."""
    licence: str
    """Terms of use, in one sentence."""
    sha256: Sha256 | None = None
    """Of the whole file; None if its publisher states none."""
    size: PositiveInt | None = None
    """Bytes; None if not known."""
    scale: PositiveInt | None = None
    """Output pixels for one input pixel; None if the weights serve every scale, or for deblurring."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """Where the file is, or will be once it has been fetched."""

    @property
    @abstractmethod
    def expected_sha256(self) -> str | None:
        """Hash that the file must have; None if not known."""

    @property
    @abstractmethod
    def hint(self) -> str:
        """What helps where the file is absent or damaged."""

    @property
    def parts(self) -> "tuple[Weights, ...]":
        """The files one by one, where the weights are a folder of several; else these weights themselves."""
        return (self,)

    @property
    def is_here(self) -> bool:
        """Whether all files are on this machine."""
        return all(part.path.is_file() for part in self.parts)

    @property
    def name(self) -> str:
        """Model and tag, as `models fetch` takes them."""
        return f"{self.model}:{self.tag}"

    def serves(self, scale: int | None) -> bool:
        """Whether the weights enlarge by `scale`; None asks for no scale in particular."""
        return scale is None or self.scale in (None, scale)


class Quantized(_Table):
    """The graph of a network that computes in int8, beside the file with its weights."""

    model_config = ConfigDict(strict=False)  # else `loss` could be no table

    file: FileName
    """Name inside `restorekit/weights/`."""
    sha256: Sha256
    size: PositiveInt
    """Bytes."""
    data: str
    """Which images found the scales, and which measured the loss."""
    loss: Loss

    @property
    def path(self) -> Path:
        """Inside the package."""
        return PACKAGE / "weights" / self.file


class BundledWeights(Weights):
    """One weight file that ships with the package."""

    sha256: Sha256
    size: PositiveInt
    domain: str
    """What kind of images and degradation the weights are for, in one sentence."""
    weakness: str
    """What they are bad at, with figures; `WEIGHTS.md` shows a picture of it."""
    data: str
    """What they were trained on."""
    hours: float
    """Duration of the training."""
    hardware: str
    """What they were trained with."""
    recipe: Mapping[str, Any]
    """How to train them again, as fields of `training.recipe.Recipe`; what is left out does not concern the system."""
    command: str = ""
    """What makes them again where `restorekit train` does not."""
    start: str | None = None
    """Tag, or a description, of the weights that the training began with."""
    best_for: Sequence[int] = ()
    """Scales at which `sr` takes these weights where none are named, a final resize included where it is needed."""
    default: bool = False
    """Whether the model takes these weights where none are named."""
    scores: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    """Measured scores by data set and protocol."""
    repeat: Sequence[str] = ()
    """Commands that measure the scores again."""
    int8: Quantized | None = None
    """None where int8 costs too much, or is not wanted."""

    @property
    def path(self) -> Path:
        """Inside the package."""
        return PACKAGE / "weights" / self.file

    @property
    def expected_sha256(self) -> str:
        """The one of the manifest."""
        return self.sha256

    @property
    def hint(self) -> str:
        """The package itself is damaged."""
        return "Install restorekit again."


class RemoteFile(_Table):
    """One file of weights that are published as several."""

    file: FileName
    sha256: Sha256
    size: PositiveInt
    """Bytes."""


class RemoteWeights(Weights):
    """Weights that others publish, to be fetched: one file, or a folder of `files`.

    A folder's `url` ends with a slash, its `sha256` is that of all files one after the other, in the order of their names.
    Where no `sha256` is stated, that of the first download is recorded: it finds later damage, and verifies nothing.
    """

    page: str
    """Address for people."""
    paper: str
    """Citation."""
    url: str | None = None
    """Address of the file itself; None if it can only be had with a browser."""
    note: str | None = None
    """What a user should know beforehand."""
    instead_of: Sequence[str] = ()
    """Names of bundled weights that these surpass by far, on the images that both are for."""
    files: Annotated[tuple[RemoteFile, ...], Field(strict=False)] = ()
    """Empty for a single file."""

    @property
    def parts(self) -> "tuple[RemoteWeights, ...]":
        """See `Weights.parts`."""
        return tuple(
            self.model_copy(
                update={
                    "file": f"{self.file}/{part.file}",
                    "url": self.url and self.url + part.file,
                    "sha256": part.sha256,
                    "size": part.size,
                    "files": (),
                }
            )
            for part in self.files
        ) or (self,)

    @property
    def path(self) -> Path:
        """In the cache."""
        return weights_path(self.model, self.file)

    @property
    def expected_sha256(self) -> str | None:
        """The publisher's, else the one that a fetch recorded; None if there is neither."""
        return self.sha256 or recorded_sha256(self.path)

    @property
    def hint(self) -> str:
        """The command that fetches it."""
        return f"Fetch it: `restorekit models fetch {self.name}`."


AnyWeights = TypeVar("AnyWeights", bound=Weights)


def is_path(weights: str | Path) -> bool:
    """Whether a choice of weights is a file or folder, and no tag: it has a slash or an ending, or is there."""
    text = str(weights)
    return isinstance(weights, Path) or "/" in text or bool(Path(text).suffix) or _is_file(Path(text))


def check_kept(weights: str | Path | None, written: Iterable[Path], what: str) -> None:
    """Check that nothing that is written replaces weights that are read: those of a run of days may exist but once.

    Args:
        weights: a choice of weights.
        written: files that will be written.
        what: what these are, for the message.

    Raises:
        UsageError: one of them is the file of the weights, or one in their folder.
    """
    if weights is None or not is_path(weights):
        return
    path = Path(weights)
    read = list(path.iterdir()) if path.is_dir() else [path]
    for place in written:
        if place.exists() and any(file.exists() and place.samefile(file) for file in read):
            raise UsageError(f"The {what} would replace the weights.", "Choose another place for it.", place)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


class Manifest(_Table):
    """All weights that are known, in the order of the file."""

    bundled: Annotated[tuple[BundledWeights, ...], Field(strict=False)] = ()
    remote: Annotated[tuple[RemoteWeights, ...], Field(strict=False)] = ()

    def bundled_for(self, model: str) -> list[BundledWeights]:
        """The bundled weights of a model."""
        return [entry for entry in self.bundled if entry.model == model]

    def remote_for(self, model: str) -> list[RemoteWeights]:
        """The remote weights of a model."""
        return [entry for entry in self.remote if entry.model == model]

    def choose(self, model: str, tag: str | None = None, scale: int | None = None) -> Weights:
        """Choose weights of a model that are on this machine.

        Args:
            model: a system.
            tag: which of its weights; None for the default of the bundled ones or, if the model has none bundled, the
                first that has been fetched.
            scale: without a tag, the weights must enlarge by this; None for any.

        Raises:
            WeightsError: there are no such weights, or they have not been fetched.
        """
        bundled, remote = self.bundled_for(model), self.remote_for(model)
        if tag is not None:
            return self._find(model, tag, [*bundled, *remote])
        defaults: list[Weights] = [entry for entry in bundled if entry.default]
        defaults = defaults or [entry for entry in remote if entry.is_here]
        if not defaults:
            raise self._absence(model)
        for entry in defaults:
            if entry.serves(scale):
                return entry
        scales = ", ".join(sorted({str(entry.scale) for entry in defaults}))
        raise WeightsError(f"None of the weights of '{model}' enlarge by {scale}.", f"There are some for {scales}.")

    def choose_int8(self, model: str, tag: str | None = None, scale: int | None = None) -> Quantized:
        """As `choose`, the graph in int8 that ships beside these weights.

        Raises:
            WeightsError: see `choose`, or there is none.
        """
        entry = self.choose(model, tag, scale)
        if isinstance(entry, BundledWeights) and entry.int8:
            return entry.int8
        raise WeightsError(f"{entry.name} does not ship in int8.", "`restorekit quantize` makes a file for `weights`.")

    def find_bundled(self, model: str, tag: str | None = None) -> BundledWeights:
        """Find bundled weights of a model by tag, or the default ones.

        Raises:
            WeightsError: there are none, or none of that tag.
        """
        bundled = self.bundled_for(model)
        return self._find(model, tag or next((entry.tag for entry in bundled if entry.default), ""), bundled)

    def stronger(self, model: str, tag: str) -> RemoteWeights | None:
        """Weights that could be fetched, and are not here yet, to be used instead of bundled ones."""
        entries = [entry for entry in self.remote if f"{model}:{tag}" in entry.instead_of]
        return None if any(entry.is_here for entry in entries) else next(iter(entries), None)

    def _find(self, model: str, tag: str, entries: Sequence[AnyWeights]) -> AnyWeights:
        """The entry of a tag.

        Raises:
            WeightsError: there are no entries, none has the tag, or it has not been fetched.
        """
        if not entries:
            raise self._absence(model)
        absent = [entry for entry in entries if isinstance(entry, RemoteWeights) and not entry.is_here]
        for entry in entries:
            if entry.tag == tag and entry in absent:
                raise WeightsError(f"The weights '{tag}' of {model} have not been fetched yet.", entry.hint)
            if entry.tag == tag:
                return entry
        tags = (f"{entry.tag} (to be fetched)" if entry in absent else entry.tag for entry in entries)
        raise WeightsError(
            f"'{tag}' is neither a file nor a tag of {model}'s weights.", f"The tags are {', '.join(tags)}."
        )

    def _absence(self, model: str) -> WeightsError:
        """The error for a model of which no weights are on this machine."""
        commands = " or ".join(f"`restorekit models fetch {entry.name}`" for entry in self.remote_for(model))
        fetch = f"Fetch some: {commands}. " if commands else ""
        return WeightsError(
            f"No trained weights of '{model}' are bundled with restorekit.",
            f"{fetch}Take a model that has some (`restorekit models` lists them), name a file of your own, or train them: "
            f"`restorekit train --model {model}`.",
        )

    def choose_upscaler(self, factor: float) -> BundledWeights:
        """Choose the bundled weights for enlarging by any factor.

        Raises:
            WeightsError: none are bundled.
        """
        scales = sorted({scale for entry in self.bundled for scale in entry.best_for})
        if not scales:
            raise WeightsError("No weights for enlarging are bundled with restorekit.", "Name a model and its weights.")
        scale = next((scale for scale in scales if scale >= factor), scales[-1])
        return next(entry for entry in self.bundled if scale in entry.best_for)

    def choose_scale(self, model: str, factor: float) -> int:
        """Choose the scale of the smallest of a system's networks that enlarges by at least `factor`, else of its largest.

        Args:
            model: a system for super-resolution.
            factor: output pixels for one input pixel that are wanted.
        """
        entries = [*self.bundled_for(model), *self.remote_for(model)]
        scales = {entry.scale for entry in entries if entry.is_here}
        known = sorted(scale for scale in scales if scale is not None) if None not in scales else []
        known = known or [2, 3, 4, 8]  # the system serves every scale
        return next((scale for scale in known if scale >= factor), known[-1])

    def find_remote(self, model: str, tag: str | None = None) -> RemoteWeights:
        """Find remote weights of a model by tag, or the first ones. They need not have been fetched.

        Raises:
            WeightsError: there are none, or none of that tag.
        """
        entries = self.remote_for(model)
        if not entries:
            raise WeightsError(
                f"No weights of '{model}' can be fetched.", "`restorekit models` tells of which some can."
            )
        for entry in entries:
            if tag in (None, entry.tag):
                return entry
        tags = ", ".join(entry.tag for entry in entries)
        raise WeightsError(f"'{tag}' is no tag of {model}'s remote weights.", f"The tags are {tags}.")


@cache
def load_manifest() -> Manifest:
    """Read the manifest that comes with restorekit.

    Raises:
        WeightsError: the manifest is absent or damaged.
    """
    inside = PACKAGE / "weights.toml"  # of an installed package; in a checkout the file lies at the top
    return read_manifest(inside if inside.exists() else PACKAGE.parent / "weights.toml")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        WeightsError: the file is absent or damaged; the message names entry and key.
    """
    hint = "Install restorekit again."
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # no such file, no UTF-8, no TOML
        raise WeightsError(f"The weights manifest cannot be read ({error}).", hint, path) from None
    try:
        return Manifest.model_validate(tables)
    except ValidationError as error:
        faults = "; ".join(_describe(fault["loc"], fault["msg"], tables) for fault in error.errors())
        raise WeightsError(f"The weights manifest is damaged: {faults}.", hint, path) from None


def _describe(location: tuple[int | str, ...], message: str, tables: Mapping[str, Any]) -> str:
    """One fault: which entry, which key, what is wrong."""
    kind, *rest = location
    entry = ""
    if rest and isinstance(rest[0], int):
        fields = tables[str(kind)][rest.pop(0)]
        entry = f" {fields.get('model', '?')}:{fields.get('tag', '?')}" if isinstance(fields, dict) else ""
    return f"{kind}{entry}{''.join(f', {key}' for key in rest)}: {message}"
