"""Find the images and videos that a command is meant to work on."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.sniff import SIGNATURE_LENGTH, SUFFIXES, is_video, sniff
from restorekit.runtime.regular import open_regular


@dataclass(frozen=True)
class Job:
    """One image or video to work on."""

    source: Path
    relative: Path
    """Where its result goes below the output folder."""
    video: bool = False


@dataclass(frozen=True)
class Pair:
    """A sharp image and its blurred twin; `blurred` is None if it is still to be made."""

    sharp: Path
    blurred: Path | None


def find_images(inputs: Iterable[Path], excluded: Iterable[Path] = (), videos: bool = False) -> list[Job]:
    """List the images in files, folders (with all below them) and glob patterns, sorted by their results' paths.

    In folders, files count as images by content; a file that only has an image's name is listed too, so that the run
    reports it, and so is a folder that cannot be searched. Other files, hidden ones and everything inside `excluded` are
    passed over, also where a pattern matches it. A file that is named itself is never passed over.

    Args:
        inputs: what the user named.
        excluded: folders that are not searched, e.g. those for results, which may lie inside an input.
        videos: whether videos and GIFs are listed too.

    Returns:
        Every source once. Folders keep their tree. Where results of several inputs would collide, all keep their
        path below the inputs' common parent.

    Raises:
        UsageError: an input does not exist or is a folder that cannot be searched.
    """
    passed_over = {real_path(folder) for folder in excluded}
    sources: dict[Path, tuple[Path, Path]] = {}  # resolved file to (as named, base of its tree)
    for item in _expanded(inputs, passed_over):
        if item.is_dir():
            for file in _walk(item, passed_over, videos):
                sources.setdefault(real_path(file), (file, item))
        else:
            sources.setdefault(real_path(item), (item, item.parent))
    jobs = [Job(file, file.relative_to(base)) for file, base in sources.values()]
    if len({job.relative for job in jobs}) < len(jobs):
        bases = {base: real_path(base) for _, base in sources.values()}
        common = os.path.commonpath(bases.values())
        jobs = [
            Job(file, (bases[base] / file.relative_to(base)).relative_to(common)) for file, base in sources.values()
        ]
    if videos:
        jobs = [replace(job, video=looks_like_video(job.source)) for job in jobs]
    return sorted(jobs, key=lambda job: job.relative)


def real_path(path: Path) -> Path:
    """The file that a path leads to. Unlike `Path.resolve`, it leaves a loop of links to whoever opens it."""
    return Path(os.path.realpath(path))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, or a folder that may not be entered
        raise UsageError(f"It cannot be looked at ({error.strerror}).", "Check the path.", path) from None


def _expanded(inputs: Iterable[Path], passed_over: set[Path]) -> Iterator[Path]:
    for item in inputs:
        if _exists(item):
            yield item
            continue
        try:
            matches = sorted(map(Path, glob.glob(str(item), recursive=True)))
        except RecursionError:
            raise UsageError(
                "The pattern reaches too deep.", "Name a folder; those of any depth are searched.", item
            ) from None
        if not matches:
            raise UsageError("There is no such file or folder.", "Check the path.", item)
        for match in matches:
            real = real_path(match)
            if passed_over.isdisjoint((real, *real.parents)):
                yield match


def _walk(root: Path, passed_over: set[Path], videos: bool) -> Iterator[Path]:
    """Files that look like images or, if wanted, like videos, and folders that cannot be searched.

    Links to folders are not followed. Folders wait in a list, not on the stack, which a tree of a thousand levels would
    fill.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            if folder == root:
                raise UsageError(
                    f"The folder cannot be searched ({error.strerror}).", "Check the path.", root
                ) from None
            yield folder
            continue
        below = []
        for name, is_folder in inside:
            path = folder / name
            if name.startswith(".") or any(
                name == skipped.name and real_path(path) == skipped for skipped in passed_over
            ):
                continue
            if is_folder:
                below.append(path)
            elif _looks_like_image(path) or (videos and (path.suffix.lower() == ".gif" or looks_like_video(path))):
                yield path
        waiting += reversed(below)


def _looks_like_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES or sniff(_head(file)) is not None


def looks_like_video(file: Path) -> bool:
    """Whether a file is a video by its content, or claims to be one by its name."""
    return file.suffix.lower() not in SUFFIXES and is_video(_head(file), file.suffix)


def _head(file: Path) -> bytes:
    try:
        with open_regular(file) as stream:
            return stream.read(SIGNATURE_LENGTH) or b""  # None where nothing is there yet
    except OSError:
        return b""


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
