"""Find the images that a command is meant to work on."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.sniff import SIGNATURE_LENGTH, SUFFIXES, sniff


@dataclass(frozen=True)
class Job:
    """One image to work on."""

    source: Path
    relative: Path
    """Where its result goes below the output folder."""


@dataclass(frozen=True)
class Pair:
    """A sharp image and its blurred twin; `blurred` is None if it is still to be made."""

    sharp: Path
    blurred: Path | None


def find_images(inputs: Iterable[Path], excluded: Iterable[Path] = ()) -> list[Job]:
    """List the images in files, folders (with all below them) and glob patterns, sorted by their results' paths.

    In folders, files count as images by content; a file that only has an image's name is listed too, so that the run
    reports it. Other files, hidden ones and everything inside `excluded` are passed over. A file that is named itself is
    never passed over.

    Args:
        inputs: what the user named.
        excluded: folders that are not searched, e.g. those for results, which may lie inside an input.

    Returns:
        Every source once. Folders keep their tree. Where results of several inputs would collide, all keep their
        path below the inputs' common parent.

    Raises:
        UsageError: an input does not exist.
    """
    passed_over = {folder.resolve() for folder in excluded}
    sources: dict[Path, tuple[Path, Path]] = {}  # resolved file to (as named, base of its tree)
    for item in _expanded(inputs):
        if item.is_dir():
            for file in _walk(item, passed_over):
                sources.setdefault(real_path(file), (file, item))
        else:
            sources.setdefault(real_path(item), (item, item.parent))
    jobs = [Job(file, file.relative_to(base)) for file, base in sources.values()]
    if len({job.relative for job in jobs}) < len(jobs):
        common = Path(os.path.commonpath([base.resolve() for _, base in sources.values()]))
        jobs = [Job(file, real.relative_to(common)) for real, (file, _) in sources.items()]
    return sorted(jobs, key=lambda job: job.relative)


def real_path(path: Path) -> Path:
    """The file that a path leads to. Unlike `Path.resolve`, it leaves a loop of links to whoever opens it."""
    return Path(os.path.realpath(path))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, or a folder that may not be entered
        raise UsageError(f"It cannot be looked at ({error.strerror}).", "Check the path.", path) from None


def _expanded(inputs: Iterable[Path]) -> Iterator[Path]:
    for item in inputs:
        if _exists(item):
            yield item
        elif matches := sorted(glob.glob(str(item), recursive=True)):
            yield from map(Path, matches)
        else:
            raise UsageError("There is no such file or folder.", "Check the path.", item)


def _walk(folder: Path, passed_over: set[Path]) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() not in passed_over
        )
        for name in sorted(files):
            if not name.startswith(".") and _looks_like_image(here / name):
                yield here / name


def _looks_like_image(file: Path) -> bool:
    if file.suffix.lower() in SUFFIXES:
        return True
    try:
        with file.open("rb") as stream:
            return sniff(stream.read(SIGNATURE_LENGTH)) is not None
    except OSError:
        return False


def find_pairs(folder: Path) -> list[Pair]:
    """List the pairs below a folder: same paths below sibling folders `blur` and `sharp`, at any depth.

    Args:
        folder: e.g. what `synth-blur` writes, one of its splits, or GoPro's tree. A folder that is itself called
            `sharp` holds no pairs, only sharp images.

    Raises:
        UsageError: a sharp image has no blurred twin.
    """
    pairs = []
    for job in find_images([folder]):
        blurred = _blurred_twin(job.source, folder)
        if blurred is None:
            continue
        if not blurred.exists():
            raise UsageError("The sharp image has no blurred twin.", f"{blurred} is expected.", job.source)
        pairs.append(Pair(job.source, blurred))
    return pairs


def _blurred_twin(file: Path, folder: Path) -> Path | None:
    """Where the twin of a sharp image lies; None for what is in no folder `sharp` beside a folder `blur`."""
    parts = file.relative_to(folder).parts
    for depth in reversed(range(len(parts) - 1)):
        beside = folder.joinpath(*parts[:depth], "blur")
        if parts[depth] == "sharp" and beside.is_dir():
            return beside.joinpath(*parts[depth + 1 :])
    return None
