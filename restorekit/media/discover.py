"""Find the images and videos that a command is meant to work on."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.sniff import SIGNATURE_LENGTH, SUFFIXES, is_video, sniff
from restorekit.runtime.regular import open_regular


@dataclass(frozen=True, slots=True)
class Job:
    """One image or video to work on. It holds texts: a hundred thousand `Path`s would take 100 MB."""

    base: str
    """Folder that was searched, or that of a file that was named."""
    name: str
    """Path below it, with slashes."""
    target: str
    """Where its result goes below the output folder, with slashes."""
    video: bool = False

    @classmethod
    def of(cls, source: Path, relative: Path, video: bool = False) -> "Job":
        """A job for one file, whose result goes to `relative`."""
        return cls(str(source.parent), source.name, relative.as_posix(), video)

    @property
    def source(self) -> Path:
        """The file."""
        return Path(self.base, self.name)

    @property
    def relative(self) -> Path:
        """Where its result goes below the output folder."""
        return Path(self.target)


@dataclass(frozen=True)
class Pair:
    """A sharp image and its blurred twin; `blurred` is None if it is still to be made."""

    sharp: Path
    blurred: Path | None


def find_images(
    inputs: Iterable[Path], excluded: Iterable[Path] = (), videos: bool = False, only: Iterable[str] | None = None
) -> list[Job]:
    """List the images in files, folders (with all below them) and glob patterns, sorted by their results' paths.

    In folders, files count as images by content; a file that only has an image's name is listed too, so that the run
    reports it, and so is a folder that cannot be searched. Other files, hidden ones and everything inside `excluded` are
    passed over, also where a pattern matches it. A file that is named itself is never passed over.

    Args:
        inputs: what the user named.
        excluded: folders that are not searched, e.g. those for results, which may lie inside an input.
        videos: whether videos and GIFs are listed too.
        only: files and folders to look at, by their paths below the input, which is one folder; None for all of it.

    Returns:
        Every source once. Folders keep their tree. Where results of several inputs would collide, all keep their
        path below the inputs' common parent.

    Raises:
        UsageError: an input does not exist or is a folder that cannot be searched.
    """
    passed_over = {os.path.realpath(folder) for folder in excluded}
    places, seen = RealPaths(), dict[str, set[str]]()
    jobs = []
    for item in _expanded(inputs, passed_over):
        base, names = str(item.parent), iter([item.name])
        if item.is_dir():
            base = str(item)
            names = _walk(base, passed_over, videos) if only is None else _below(base, only, passed_over, videos)
        for name in names:
            folder, last = places.split(os.path.join(base, name))
            if last not in seen.setdefault(folder, set()):
                seen[folder].add(last)
                jobs.append(Job(base, name, name))
    if len({job.target for job in jobs}) < len(jobs):
        bases = {base: real_path(Path(base)) for base in {job.base for job in jobs}}
        common = os.path.commonpath(bases.values())
        jobs = [replace(job, target=(bases[job.base] / job.name).relative_to(common).as_posix()) for job in jobs]
    if videos:
        jobs = [job if _claims_image(job.name) else replace(job, video=looks_like_video(job.source)) for job in jobs]
    return sorted(jobs, key=lambda job: job.target.replace("/", "\0"))  # as paths are sorted: folder by folder


class RealPaths:
    """Where many paths really lead: each folder is resolved and searched for links once, not each file."""

    def __init__(self) -> None:
        self._folders: dict[str, tuple[str, frozenset[str] | None]] = {}

    def parent(self, path: str) -> tuple[str, str]:
        """The real folder of a path and its last part, which is not followed."""
        folder, name = os.path.split(path)
        return self._look(folder)[0], name

    def split(self, path: str) -> tuple[str, str]:
        """The same of the file that a path leads to."""
        folder, name = os.path.split(path)
        real, links = self._look(folder)
        if links is None or name in links:
            real, name = os.path.split(os.path.realpath(path))
        return real, name

    def _look(self, folder: str) -> tuple[str, frozenset[str] | None]:
        """The real folder, and the links in it; None if it cannot be searched."""
        if folder not in self._folders:
            try:
                with os.scandir(folder or ".") as entries:
                    links = frozenset(entry.name for entry in entries if entry.is_symlink())
            except FileNotFoundError:
                links = frozenset()
            except OSError:
                self._folders[folder] = os.path.realpath(folder), None
                return self._folders[folder]
            self._folders[folder] = os.path.realpath(folder), links
        return self._folders[folder]


def real_path(path: Path) -> Path:
    """The file that a path leads to. Unlike `Path.resolve`, it leaves a loop of links to whoever opens it."""
    return Path(os.path.realpath(path))


def check_apart(inputs: Iterable[Path], written: Iterable[Path]) -> None:
    """Check that no folder that is written to is also one of the inputs.

    Raises:
        UsageError: one is; the next run would restore what this one writes there.
    """
    places = {real_path(folder) for folder in written}
    for item in inputs:
        if item.is_dir() and real_path(item) in places:
            raise UsageError(
                "What is written here would be an input of the next run.", "A folder inside the input will do.", item
            )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, or a folder that may not be entered
        raise UsageError(f"It cannot be looked at ({error.strerror}).", "Check the path.", path) from None


def _expanded(inputs: Iterable[Path], passed_over: set[str]) -> Iterator[Path]:
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
            if passed_over.isdisjoint(map(str, (real, *real.parents))):
                yield match


def _below(root: str, names: Iterable[str], passed_over: set[str], videos: bool) -> Iterator[str]:
    """What `_walk` would give of these files and folders below the root, and of all below them."""
    real = os.path.realpath(root)
    for name in names:
        path = Path(real, name)
        hidden = any(part.startswith(".") for part in name.split("/"))
        if (
            hidden
            or real_path(path.parent) != path.parent
            or not passed_over.isdisjoint(map(str, (path, *path.parents)))
        ):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(root, passed_over, videos, name)
        elif _claims_image(name) or _is_wanted(path, videos):
            yield name


def _walk(root: str, passed_over: set[str], videos: bool, start: str = "") -> Iterator[str]:
    """Files that look like images or, if wanted, like videos, and folders that cannot be searched, as paths below the root.

    Links to folders are not followed. Folders wait in a list, not on the stack, which a tree of a thousand levels would
    fill.
    """
    skipped_names = {os.path.basename(folder) for folder in passed_over}
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                inside = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            if not folder:
                raise UsageError(
                    f"The folder cannot be searched ({error.strerror}).", "Check the path.", Path(root)
                ) from None
            yield folder
            continue
        below = []
        for last, is_folder in inside:
            name = f"{folder}/{last}" if folder else last
            path = os.path.join(root, name)
            if last.startswith(".") or (last in skipped_names and os.path.realpath(path) in passed_over):
                continue
            if is_folder:
                below.append(name)
            elif _claims_image(last) or _is_wanted(Path(path), videos):
                yield name
        waiting += reversed(below)


def _claims_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _is_wanted(file: Path, videos: bool) -> bool:
    """Whether a file without an image's name is an image by its content, or a video or GIF where they are wanted."""
    if sniff(_head(file)) is not None:
        return True
    return videos and (file.suffix.lower() == ".gif" or looks_like_video(file))


def looks_like_video(file: Path) -> bool:
    """Whether a file is a video by its content, or claims to be one by its name."""
    return file.suffix.lower() not in SUFFIXES and is_video(_head(file), file.suffix)


def _head(file: Path) -> bytes:
    try:
        with open_regular(file) as stream:
            return stream.read(SIGNATURE_LENGTH) or b""  # None where nothing is there yet
    except OSError:
        return b""


def find_pairs(folder: Path, excluded: Iterable[Path] = ()) -> list[Pair]:
    """List the pairs below a folder: same paths below sibling folders `blur` and `sharp`, at any depth.

    Args:
        folder: e.g. what `synth-blur` writes, one of its splits, or GoPro's tree. A folder that is itself called
            `sharp` holds no pairs, only sharp images.
        excluded: see `find_images`.

    Raises:
        UsageError: a sharp image has no blurred twin.
    """
    pairs = []
    for job in find_images([folder], excluded):
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
