"""Build paired sets: every sharp image beside a blurred one, with a record of how it was made.

    OUT/<part>/blur/NAME.png  OUT/<part>/sharp/NAME.png  OUT/pairs.jsonl

pairs.jsonl is a `Journal`: one line of JSON for each pair, sorted by `key` when a run is over. A line holds

    key             <part>/NAME.png
    blur, sharp     paths of both images below OUT
    facts           source (path of the original below what was given), source_sha256 of its file, image_seed
    settings        all of `BlurSettings`
    kind, light     what was drawn, see `BlurSettings`; light is stored, gamma or srgb
    highlights      factor for light above 0.95
    length, angle, sweep         pixels and degrees, where the kind has them
    kernel_side, kernel          the PSF, base64 of float32 values row by row (linear, trajectory)
    camera          path of the camera: poses (x, y, roll) as the kernel (rotational, shake, scene), see `motion`
    objects         what moves in front: outline (x, y), source of its texture (left, top) and path (scene)
    blur_sha256, sharp_sha256    of the files of both images
    restorekit, algorithm        versions that made it
    identity        digest of algorithm and settings
"""

import base64
import hashlib
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit._version import __version__
from restorekit.degradation.pair_plan import NAMES, PlannedPair, plan_pairs
from restorekit.degradation.synthetic_blur import ALGORITHM, BlurSettings, DrawnBlur
from restorekit.errors import ExitCode, RestorekitError, UnreadableImage, UsageError
from restorekit.imaging.dtypes import PSF, from_unit, to_unit
from restorekit.imaging.resize import resize
from restorekit.media.decode import decode_image, read_content
from restorekit.media.encode import encode_image
from restorekit.media.image import Image
from restorekit.runtime import fingerprints
from restorekit.runtime.atomic import no_room_left, remove_leftovers, write_atomically
from restorekit.runtime.journal import Journal
from restorekit.runtime.lock import working_in
from restorekit.runtime.progress import SILENT, Event, Progress, Status, Work

RECORDS = "pairs.jsonl"


@dataclass(frozen=True)
class PairResult:
    """What became of one pair."""

    key: str
    """<part>/NAME.png"""
    status: Status
    reason: str = ""
    """Why it failed, with the file's name."""


@dataclass(frozen=True)
class PairsSummary:
    """What became of a set."""

    results: tuple[PairResult, ...]
    """One for every planned pair, in order."""

    @property
    def planned(self) -> int:
        """Pairs that the set should have: done, skipped and failed ones."""
        return len(self.results)

    def count(self, status: Status) -> int:
        """Pairs that ended so."""
        return sum(result.status == status for result in self.results)

    @property
    def exit_code(self) -> ExitCode:
        """OK, or SOME_FAILED."""
        return ExitCode.SOME_FAILED if self.count("failed") else ExitCode.OK


@dataclass(frozen=True)
class PairRecord:
    """What pairs.jsonl says of one pair."""

    key: str
    blur: Path
    sharp: Path
    original: bytes
    """Fingerprint of the file that the sharp image was read from, see `runtime.fingerprints`."""
    kernel: PSF | None
    """The PSF that the stored values were convolved with; None where the blur is none of that kind."""


def synthesize_pairs(
    inputs: Iterable[Path],
    out: Path,
    *,
    settings: BlurSettings = BlurSettings(),
    split: Mapping[str, int] | None = None,
    parts: Container[str] | None = None,
    per_image: int = 1,
    excluded: Iterable[Path] = (),
    workers: int | None = None,
    renderers: Executor | None = None,
    progress: Progress = SILENT,
) -> PairsSummary:
    """Build a paired set, or complete it: `OUT/<part>/{blur,sharp}/NAME.png` and `OUT/pairs.jsonl` (see the module).

    The bytes of a pair depend on the settings, its source and its path alone, not on order, workers, or what else is in the
    folder. A pair that is there as its record says is skipped. A source that fails never stops the set.

    Args:
        inputs: sharp images, folders of them, patterns.
        out: where the set goes.
        settings: how to blur.
        split: images of every part, e.g. ``{"train": 480, "test": 300}``, see `pair_plan.plan_pairs`; without it all go
            into the part "all".
        parts: of the split, those to make; all by default.
        per_image: differently blurred copies of each image.
        excluded: folders that are not searched for images, beside `out`.
        workers: threads; all cores by default.
        renderers: processes, say, where the threads let images be blurred; by default they do so themselves. Scenes are
            rendered in many small steps, between which threads wait for each other and processes do not.
        progress: told of every pair, in order, with its `PairResult`.

    Returns:
        What became of every pair.

    Raises:
        UsageError: no images, fewer than the split asks for, one that would be replaced, or `out` holds a pair in another
            part.
        UnwritableOutput: the record cannot be written, the disk is full, or another run works in `out`.
    """
    out = Path(out)
    planned = plan_pairs([Path(item) for item in inputs], out, split, per_image, settings.seed, excluded)
    planned = [pair for pair in planned if parts is None or pair.part in parts]
    return complete_set(out, planned, PairMaker(settings), workers, renderers, progress)


def complete_set(
    out: Path,
    planned: Sequence[PlannedPair],
    maker: "PairMaker",
    workers: int | None,
    renderers: Executor | None,
    progress: Progress,
) -> PairsSummary:
    """Make what is missing of a planned set, and record it; see `synthesize_pairs`.

    Args:
        out, workers, renderers, progress: see `synthesize_pairs`.
        planned: every pair.
        maker: makes them.
    """
    settings = maker.settings
    with working_in(out):
        journal = Journal(out / RECORDS, {"algorithm": ALGORITHM, "settings": asdict(settings)})
        _check_parts(planned, journal)
        journal.check()
        for folder in {(out / pair.path(half)).parent for pair in planned for half in settings.halves}:
            remove_leftovers(folder)
        work = _SetWork(out, maker, journal, renderers)
        progress.begin(Work(len(planned), len(planned), "pairs", f"{settings.kind} blur"))
        results = []
        threads = workers or os.cpu_count() or 1
        if renderers is not None:
            threads *= 2  # one of them reads and writes while the other waits
        with ThreadPoolExecutor(threads) as pool:
            for made in pool.map(work.make, planned):
                if made.record is not None:
                    journal.record(made.result.key, **made.record)
                results.append(made.result)
                progress.step(
                    Event(made.result.key, 1, float(made.result.status != "skipped"), made.result.status, made.result)
                )
        journal.compact()
    summary = PairsSummary(tuple(results))
    progress.end(summary)
    return summary


def read_pairs(folder: Path) -> list[PairRecord]:
    """What the pairs.jsonl of a set says of its pairs; empty if there is none. Damaged lines are passed over."""
    records = []
    for entry in Journal(folder / RECORDS, {}).entries():
        with suppress(
            LookupError, TypeError, ValueError, AttributeError
        ):  # whatever a damaged line makes of its values
            kernel = None
            if "kernel" in entry and entry["light"] == "stored":
                side = entry["kernel_side"]
                kernel = np.frombuffer(base64.b64decode(entry["kernel"]), np.float32).reshape(side, side)
            original = bytes.fromhex(entry["facts"]["source_sha256"])[: fingerprints.LENGTH]
            records.append(PairRecord(entry["key"], folder / entry["blur"], folder / entry["sharp"], original, kernel))
    return records


def find_records(folder: Path) -> dict[Path, PairRecord]:
    """By the real path of the sharp image, what the pairs.jsonl of a set, or of the set that a part belongs to, says."""
    return {
        record.sharp.resolve(): record
        for parent in (folder.resolve(), folder.resolve().parent)
        for record in read_pairs(parent)
    }


def fingerprint_sharp(sharp: Iterable[Path], records: Mapping[Path, PairRecord]) -> frozenset[bytes]:
    """Fingerprints of sharp images and, where a record names them, of the originals that they were read from.

    Args:
        sharp: their files.
        records: see `find_records`.

    Raises:
        UnreadableImage: a file cannot be read.
    """
    prints = set()
    for path in sharp:
        try:
            prints.add(fingerprints.fingerprint(path))
        except OSError as error:
            raise UnreadableImage(f"The file cannot be read ({error.strerror}).", "", path) from None
        if (record := records.get(path.resolve())) is not None:
            prints.add(record.original)
    return frozenset(prints)


def _check_parts(planned: Iterable[PlannedPair], journal: Journal) -> None:
    """Refuse to mix two splits: what one of them trains on the other may test on."""
    parts = {pair.job.relative.as_posix(): pair.part for pair in planned}
    for entry in journal.entries():
        part, facts = entry["key"].split("/")[0], entry.get("facts")
        source = facts.get("source") if isinstance(facts, dict) else None
        if isinstance(source, str) and parts.get(source, part) != part:
            raise UsageError(
                f"The folder holds {source} in the part {part}, but the split puts it into {parts[source]}.",
                "Choose another folder for the set.",
                journal.path.parent,
            )


@dataclass(frozen=True)
class _MadePair:
    result: PairResult
    record: dict[str, Any] | None = None
    """For the journal, if the pair was made now."""


@dataclass(frozen=True)
class PairMaker:
    """Makes the images of pairs, in any thread or process."""

    settings: Any
    """`BlurSettings` here: a dataclass with the `kind` of blur and its `halves`, the folders of a part."""

    def read(self, pair: PlannedPair) -> tuple[list[bytes], dict[str, Any]]:
        """What the pair is made of, undecoded, and what the record says of it."""
        source = read_content(pair.job.source)
        return [source], {"source": pair.job.relative.as_posix(), "source_sha256": hashlib.sha256(source).hexdigest()}

    def render(
        self, pair: PlannedPair, source: list[bytes], rng: np.random.Generator
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The images by their half's name, and what the record says of how they were made."""
        stored = fit(to_storable(decode_image(source[0]).pixels), self.settings.resize)
        drawn = DrawnBlur.draw(self.settings, stored.shape[0], stored.shape[1], rng)
        blurred, shown = drawn.apply(stored, self.settings.noise, rng)
        return {"blur": blurred, "sharp": shown}, drawn.to_record()

    def encode(
        self, pair: PlannedPair, source: list[bytes], rng: np.random.Generator
    ) -> tuple[dict[str, bytes], dict[str, Any]]:
        """As `render`, with files in place of images."""
        images, record = self.render(pair, source, rng)
        return {half: encode_image(Image(image)).data for half, image in images.items()}, record


@dataclass(frozen=True)
class _SetWork:
    """What the threads do that make a set: they only read the journal."""

    out: Path
    maker: PairMaker
    journal: Journal
    renderers: Executor | None

    def make(self, pair: PlannedPair) -> _MadePair:
        """Make a pair, unless it is there with the record that it would get now.

        Whatever fails is this pair's failure; only where nothing can be written any more the run ends.
        """
        settings = self.maker.settings
        try:
            source, facts = self.maker.read(pair)
            facts["image_seed"] = seed = _image_seed(settings.seed, pair)
            if self._is_there(pair, facts):
                return _MadePair(PairResult(pair.key, "skipped"))
            files, record = self._encode(pair, source, np.random.default_rng(seed))
            for half, data in files.items():
                write_atomically(self.out / pair.path(half), data)
                record[f"{half}_sha256"] = hashlib.sha256(data).hexdigest()
        except RestorekitError as error:
            if no_room_left(error):
                raise
            error.path = error.path or pair.job.source
            return _MadePair(PairResult(pair.key, "failed", str(error)))
        except Exception as error:  # a codec's own exception, no memory for a huge image: the other pairs do not care
            return _MadePair(PairResult(pair.key, "failed", f"{pair.job.source}: {type(error).__name__}: {error}"))
        record |= {
            "facts": facts,
            "blur": pair.path("blur"),
            "sharp": pair.path("sharp"),
            "settings": asdict(settings),
            "restorekit": __version__,
            "algorithm": ALGORITHM,
        }
        return _MadePair(PairResult(pair.key, "done"), record)

    def _encode(
        self, pair: PlannedPair, source: list[bytes], rng: np.random.Generator
    ) -> tuple[dict[str, bytes], dict[str, Any]]:
        if self.renderers is None:
            return self.maker.encode(pair, source, rng)
        return self.renderers.submit(self.maker.encode, pair, source, rng).result()

    def _is_there(self, pair: PlannedPair, facts: dict[str, Any]) -> bool:
        """Whether all files are those that a matching record names: a run with other settings may have replaced them."""
        entry = self.journal.find(pair.key, facts)
        return entry is not None and all(
            _sha256(self.out / pair.path(half)) == entry.get(f"{half}_sha256") for half in self.maker.settings.halves
        )


def to_storable(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels that PNG can hold: 16 bits are enough for what a camera delivers as floating point."""
    return pixels if pixels.dtype != np.float32 else from_unit(to_unit(pixels), np.uint16)


def fit(image: NDArray[Any], size: tuple[int, int] | None) -> NDArray[Any]:
    """An image (H,W,C) in another size (width, height), with MATLAB's antialiased bicubic; as it is for None."""
    return image if size in (None, image.shape[1::-1]) else resize(image, (size[1], size[0]))


def _sha256(path: Path) -> str | None:
    """Digest of a file; None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _image_seed(seed: int, pair: PlannedPair) -> int:
    """The seed of one pair, by its place in the set alone."""
    digest = hashlib.sha256(
        f"{seed}|{pair.part}|{pair.job.relative.as_posix()}|{pair.copy}".encode(errors=NAMES)
    ).digest()
    return int.from_bytes(digest[:8], "big")
