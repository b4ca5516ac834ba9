"""What a table compares: networks, folders that were restored elsewhere, and classical baselines.

A `Method` is a small value that says what was asked for. Loading it gives a `Restorer`: only then are weights read and
folders listed, and only then is known what decides the pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from restorekit.deconvolution import Kernel
from restorekit.errors import UsageError
from restorekit.evaluation.baselines import Baseline, bicubic
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.preparation import Degraded, Rgb, crop_center
from restorekit.inference.engine import Engine
from restorekit.inference.settings import Settings
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import find_images
from restorekit.models import registry
from restorekit.weights.load import load_model

Kind = Literal["network", "folder", "baseline"]


@dataclass(frozen=True)
class MethodFacts:
    """What tables and reports say of a method."""

    name: str
    """Unique in a table."""
    kind: Kind
    system: str
    """The name that published rows use."""
    paper: str = ""
    """Where it is described; of a baseline, what it does."""
    weights: str = ""
    """Tag or file."""
    config: Mapping[str, object] = field(default_factory=dict)
    """Options of the system that differ from its defaults."""
    parameters: int | None = None
    seconds_per_sample: float | None = None
    """Training time by crop; None where the weights do not say."""
    precision: str = ""
    device: str = ""


class Restorer(Protocol):
    """A method that is ready to restore. A value that pickles."""

    @property
    def facts(self) -> MethodFacts:
        """What tables say of it."""
        ...

    @property
    def identity(self) -> Mapping[str, object]:
        """All that decides its pixels besides the input, as JSON knows it."""
        ...

    @property
    def keeps_images(self) -> bool:
        """Whether its results are worth keeping: they cost time, and are nowhere else."""
        ...

    @property
    def trained_on(self) -> frozenset[bytes]:
        """Fingerprints of the images that it has learned from; empty where none are known."""
        ...

    def source(self, item: Item) -> Path | None:
        """The file that its result comes from, if it does not restore itself."""
        ...

    def restore(self, item: Item, degraded: Degraded | None) -> Rgb:
        """Restore one image.

        Args:
            item: names the image.
            degraded: the input; None where the data set has none, which only folders can do without.
        """
        ...


class Method(Protocol):
    """One row of the table, as asked for. A value that pickles."""

    @property
    def name(self) -> str:
        """Unique in a table."""
        ...

    @property
    def kind(self) -> Kind:
        """Where its images come from."""
        ...

    @property
    def needs_psf(self) -> bool:
        """Whether it can only restore where the PSF is known."""
        ...

    def load(self) -> Restorer:
        """Make it ready to restore."""
        ...


@dataclass(frozen=True)
class BaselineMethod:
    """A classical method. There is nothing to load."""

    baseline: Baseline
    kind: Kind = field(default="baseline", init=False)
    trained_on: frozenset[bytes] = field(default=frozenset(), init=False)

    @property
    def name(self) -> str:
        """The baseline's."""
        return self.baseline.name

    @property
    def needs_psf(self) -> bool:
        """Whether it deconvolves."""
        return self.baseline.needs_psf

    def load(self) -> Restorer:
        """Itself."""
        return self

    @property
    def facts(self) -> MethodFacts:
        """With the first line of the function's documentation."""
        summary = (self.baseline.function.__doc__ or "").split("\n")[0]
        return MethodFacts(self.name, self.kind, self.name, paper=summary)

    @property
    def identity(self) -> Mapping[str, object]:
        """The function's name, and what it does: its parameters are constants."""
        return {"baseline": self.baseline.function.__name__, "does": self.facts.paper}

    @property
    def keeps_images(self) -> bool:
        """All but the input itself."""
        return self.name != "identity"

    def source(self, item: Item) -> Path | None:
        """No file."""
        return None

    def restore(self, item: Item, degraded: Degraded | None) -> Rgb:
        """Call the function."""
        assert degraded is not None
        return self.baseline.function(degraded)


@dataclass(frozen=True)
class FolderMethod:
    """Images that something else restored: files below a folder by the items' paths, or by their names alone.

    Args:
        name: row of the table.
        folder: where the files are.
        center_crop: side of the central square that the protocol compares; 0 for whole images.
    """

    name: str
    folder: Path
    center_crop: int = 0
    kind: Kind = field(default="folder", init=False)
    needs_psf: bool = field(default=False, init=False)

    def load(self) -> Restorer:
        """List the folder.

        Raises:
            UsageError: there is no such folder.
        """
        by_path: dict[str, Path] = {}
        by_stem: dict[str, list[Path]] = {}
        for job in find_images([self.folder]):
            by_path[job.relative.with_suffix("").as_posix()] = job.source
            by_stem.setdefault(job.source.stem, []).append(job.source)
        unique = {stem: paths[0] for stem, paths in by_stem.items() if len(paths) == 1}
        return FolderRestorer(self, by_path, unique)


@dataclass(frozen=True)
class FolderRestorer:
    """A folder whose content is known."""

    method: FolderMethod
    by_path: Mapping[str, Path]
    """Files by their path below the folder, without suffix."""
    by_stem: Mapping[str, Path]
    """Files by their name without suffix, where it is unique."""
    keeps_images: bool = field(default=False, init=False)
    trained_on: frozenset[bytes] = field(default=frozenset(), init=False)

    @property
    def facts(self) -> MethodFacts:
        """The folder's name may be that of a published system."""
        return MethodFacts(self.method.name, self.method.kind, self.method.name)

    @property
    def identity(self) -> Mapping[str, object]:
        """The folder; each file's stamp is among its result's facts."""
        return {"folder": str(self.method.folder.resolve()), "center_crop": self.method.center_crop}

    def source(self, item: Item) -> Path | None:
        """The file of an item."""
        return self.by_path.get(item.name) or self.by_stem.get(item.name.rsplit("/", 1)[-1])

    def restore(self, item: Item, degraded: Degraded | None) -> Rgb:
        """Read the file.

        Raises:
            UsageError: there is none of that name.
            UnreadableImage: it cannot be read.
        """
        path = self.source(item)
        if path is None:
            raise UsageError("No restored image of that name.", f"{item.name} is expected.", self.method.folder)
        image = read_rgb8(path)
        smaller = min(image.shape[:2]) < self.method.center_crop  # then the comparison says which sizes differ
        return image if smaller else crop_center(image, self.method.center_crop)


@dataclass(frozen=True)
class NetworkMethod:
    """A network with its weights.

    Args:
        model: name of a system.
        weights: "auto", a tag or a file.
        scale: enlargement, for systems that enlarge.
        settings: device, precision and tiles.
        label: name of the row; by default the model and its weights.
    """

    model: str
    weights: str = "auto"
    scale: int | None = None
    settings: Settings = Settings()
    label: str = ""
    kind: Kind = field(default="network", init=False)

    @property
    def needs_psf(self) -> bool:
        """Whether the system must be told the blur."""
        return registry.spec_of(self.model).must_be_told

    @property
    def name(self) -> str:
        """The label, `MODEL` or `MODEL:WEIGHTS`; of a file its name alone, where it lies is of no interest."""
        if self.label:
            return self.label
        if self.weights == "auto":
            return self.model
        path = Path(self.weights)
        return f"{self.model}:{path.stem if path.suffix else self.weights}"

    def load(self) -> Restorer:
        """Read the weights and make the engine.

        Raises:
            UnknownModel, WeightsError: see `weights.load.load_model`.
            UsageError: see `inference.engine.Engine`.
        """
        model = load_model(self.model, self.weights, self.scale)
        engine = Engine(model, self.settings)
        facts = MethodFacts(
            self.name,
            self.kind,
            system=self.model,
            paper=model.spec.paper,
            weights=model.provenance.weights,
            config=model.provenance.config,
            seconds_per_sample=model.provenance.seconds_per_sample,
            parameters=model.parameters,
            precision=engine.precision,
            device=engine.device,
        )
        identity = {
            "model": self.model,
            "sha256": model.provenance.sha256,
            "config": dict(model.provenance.config),
            "device": "cuda" if engine.on_gpu else "cpu",
            **engine.identity(),
        }
        return NetworkRestorer(facts, identity, engine, model.provenance.trained_on)


@dataclass(frozen=True)
class NetworkRestorer:
    """A network on its device."""

    facts: MethodFacts
    identity: Mapping[str, object]
    engine: Engine
    trained_on: frozenset[bytes]
    keeps_images: bool = field(default=True, init=False)

    def source(self, item: Item) -> Path | None:
        """No file."""
        return None

    def restore(self, item: Item, degraded: Degraded | None) -> Rgb:
        """Run the network; where its scale does not give the size that is wanted, a bicubic resize does the rest."""
        assert degraded is not None
        spec = self.engine.spec
        psf = degraded.psf if spec.must_be_told else None  # those that find it are not told
        pixels = self.engine(degraded.pixels, blur=None if psf is None else Kernel(psf)).pixels
        if pixels.shape[:2] == degraded.target_size:
            return pixels
        return bicubic(Degraded(pixels, degraded.target_size))
