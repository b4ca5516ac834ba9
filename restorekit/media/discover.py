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


def find_images(inputs: Iterable[Path], out: Path | None = None) -> list[Job]:
    """List the images in files, folders (with all below them) and glob patterns, sorted by their results' paths.

    In folders, files count as images by content; a file that only has an image's name is listed too, so that the run
    reports it. Other files, hidden ones and everything inside `out` are passed over. A file that is named itself is never
    passed over.

    Args:
        inputs: what the user named.
        out: the output folder, which may lie inside an input.

    Returns:
        Every source once. Folders keep their tree. Where results of several inputs would collide, all keep their
        path below the inputs' common parent.

    Raises:
        UsageError: an input does not exist.
    """
    excluded = out.resolve() if out is not None else None
    sources: dict[Path, tuple[Path, Path]] = {}  # resolved file to (as named, base of its tree)
    for item in _expanded(inputs):
        if item.is_dir():
            for file in _walk(item, excluded):
                sources.setdefault(file.resolve(), (file, item))
        else:
            sources.setdefault(item.resolve(), (item, item.parent))
    jobs = [Job(file, file.relative_to(base)) for file, base in sources.values()]
    if len({job.relative for job in jobs}) < len(jobs):
        common = Path(os.path.commonpath([base.resolve() for _, base in sources.values()]))
        jobs = [Job(file, real.relative_to(common)) for real, (file, _) in sources.items()]
    return sorted(jobs, key=lambda job: job.relative)


def _expanded(inputs: Iterable[Path]) -> Iterator[Path]:
    for item in inputs:
        if item.exists():
            yield item
        elif matches := sorted(glob.glob(str(item), recursive=True)):
            yield from map(Path, matches)
        else:
            raise UsageError("There is no such file or folder.", "Check the path.", item)


def _walk(folder: Path, excluded: Path | None) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != excluded
        )
        for name in sorted(files):
            if not name.startswith(".") and _claims_to_be_picture(here / name):
                yield here / name


def _claims_to_be_picture(file: Path) -> bool:
    if file.suffix.lower() in SUFFIXES:
        return True
    try:
        with file.open("rb") as stream:
            return sniff(stream.read(SIGNATURE_LENGTH)) is not None
    except OSError:
        return False


def find_pairs(folder: Path) -> list[Pair]:
    """List the pairs below a folder: same names in sibling folders `blur` and `sharp`, at any depth.

    Args:
        folder: e.g. what `synth-blur` writes, one of its splits, or GoPro's tree. A folder that is itself called
            `sharp` holds no pairs, only sharp images.

    Raises:
        UsageError: a sharp image has no blurred twin.
    """
    pairs = []
    for sharp in find_images([folder]):
        parent = sharp.source.parent
        if parent.name == "sharp" and parent != folder and (parent.parent / "blur").is_dir():
            blurred = parent.parent / "blur" / sharp.source.name
            if not blurred.exists():
                raise UsageError("The sharp image has no blurred twin.", f"{blurred} is expected.", sharp.source)
            pairs.append(Pair(sharp.source, blurred))
    return pairs
