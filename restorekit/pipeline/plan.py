"""Decide which images and videos a run restores, and where everything that it writes goes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.errors import UsageError
from restorekit.media.discover import Job, RealPaths, check_apart, find_images, looks_like_video
from restorekit.media.encoding import CONTAINERS, Encoding, result_path
from restorekit.media.numbered import is_pattern, numbered_file, numbers, pattern_of
from restorekit.media.sniff import SUFFIXES, VIDEO_SUFFIXES
from restorekit.runtime.lock import HIDDEN

if TYPE_CHECKING:
    from restorekit.pipeline.blur_files import KnownBlurs

LONGEST_NAME = 255  # bytes
VALUES, PICTURE = ".blur.tif", ".blur.png"
"""What is added to an image's name where its blur is written."""


def plan_files(
    inputs: Iterable[Path],
    out: Path,
    compare: Path | None = None,
    report: Path | None = None,
    encoding: Encoding = Encoding(),
    name: str = "",
    blur_out: Path | None = None,
    blurs: KnownBlurs | None = None,
    may_be_empty: bool = False,
    only: Iterable[str] | None = None,
) -> list[Job]:
    """The images and videos of a run, in the order of their results' paths.

    Args:
        inputs: files, folders (with everything below) or patterns.
        out: where results go; may lie inside an input.
        compare: where side-by-side views go; may lie inside an input.
        report: where the report goes.
        encoding: of videos, which decides the names of their results.
        name: of the only result, see `split_target`; the input is then one image, one video, or numbered images.
        blur_out: where the images' blurs go; may lie inside an input.
        blurs: what blurred the images; their files are inputs too.
        may_be_empty: whether no image at all is no error.
        only: see `find_images`; what these would replace is left to `Taken.refuse`.

    Raises:
        UsageError: an input does not exist, there is no image, or see `Taken.take`.
    """
    inputs = list(inputs)
    if name:
        jobs = [_only_job(inputs, encoding, name)]
    else:
        inputs = [file for item in inputs for file in (_numbered(item) if is_pattern(item) else [item])]
        known = None if blurs is None else blurs.folder
        excluded = [folder for folder in (out, compare, blur_out, known) if folder is not None]
        check_apart(inputs, (folder for folder in (compare, blur_out) if folder is not None))
        found = find_images(inputs, excluded, videos=True, only=only)
        jobs = [
            replace(job, target=result_path(job.relative, encoding).as_posix()) if job.video else job for job in found
        ]
    if not jobs and not may_be_empty:
        raise UsageError(
            f"No image was found in {', '.join(map(str, inputs))}, and no video.",
            "PNG, JPEG, WebP, TIFF, BMP and most kinds of videos are read.",
        )
    if report is not None and report.parent.name == HIDDEN:
        raise UsageError("The report would lie among a run's own files.", "Choose another place for it.", report)
    if only is None:
        Taken(out, compare, report, blur_out, blurs).take(jobs, RealPaths())
    return jobs


class Taken:
    """Files that a run reads and writes, none of which what else it writes may replace.

    Args:
        out, compare, report, blur_out, blurs: see `plan_files`.
    """

    def __init__(
        self, out: Path, compare: Path | None, report: Path | None, blur_out: Path | None, blurs: KnownBlurs | None
    ) -> None:
        self._out, self._compare, self._report, self._blur_out, self._blurs = out, compare, report, blur_out, blurs
        self._read: dict[str, set[str]] = {}  # names, by folder
        self._written: dict[str, dict[str, Job | None]] = {}  # whose a file is, by folder and name

    def take(self, jobs: list[Job], places: RealPaths) -> None:
        """Add what jobs read and write.

        Raises:
            UsageError: something that they write would replace an input, or something else that is written.
        """
        for job in jobs:
            told = None if self._blurs is None else self._blurs.find(job)
            for source in (os.path.join(job.base, job.name), *([] if told is None else [str(told)])):
                folder, last = places.split(source)
                self._read.setdefault(folder, set()).add(last)
        for path, kind, owner in self._destinations(jobs):
            # What is written replaces a link and does not follow it; where it leads to may still be an input.
            folder, last = place = places.parent(path)
            followed, name = places.split(path)
            if last in self._read.get(folder, ()) or name in self._read.get(followed, ()):
                what = _describe(kind, owner)
                raise UsageError(f"The {what} would replace an input.", "Choose another place for it.", Path(path))
            other = self._written.setdefault(folder, {}).setdefault(last, owner)
            if other != owner:
                others = self._destinations([] if other is None else [other])
                before = next(_describe(kind, job) for earlier, kind, job in others if places.parent(earlier) == place)
                what = _describe(kind, owner)
                raise UsageError(f"The {what} would replace the {before}.", "Choose another place for it.", Path(path))

    def refuse(self, jobs: list[Job]) -> dict[Job, UsageError]:
        """Add what jobs read and write, and tell what is wrong with those for which that is not possible."""
        refused, places = dict[Job, UsageError](), RealPaths()
        for job in jobs:
            try:
                self.take([job], places)
            except UsageError as error:
                refused[job] = error
        return refused

    def _destinations(self, jobs: list[Job]) -> Iterator[tuple[str, str, Job | None]]:
        return destinations(jobs, self._out, self._compare, self._report, self._blur_out)


def split_target(out: Path) -> tuple[Path, str]:
    """The folder that results go to, and the name of the only one where it is that of an image, of a video, or %06d.png."""
    named = out.suffix.lower() in {*SUFFIXES, *CONTAINERS, *VIDEO_SUFFIXES, ".gif"}
    return (out.parent, out.name) if not out.is_dir() and named else (out, "")


def _only_job(inputs: list[Path], encoding: Encoding, name: str) -> Job:
    """The image, the video, or the numbered images as one, that become one result."""
    source, suffix = inputs[0], Path(name).suffix.lower()
    if not is_pattern(Path(name)) and (suffix in SUFFIXES or suffix == ".gif"):
        given = source.suffix.lower()
        if len(inputs) != 1 or source.is_dir() or SUFFIXES.get(given, given) != SUFFIXES.get(suffix, suffix):
            raise UsageError(f"{name} takes one image of its own format.", "Name a folder for the results of others.")
        return Job.of(source, Path(name))
    if len(inputs) != 1 or not (is_pattern(source) or source.is_dir() or looks_like_video(source)):
        raise UsageError(f"{name} takes one video, or numbered images.", "Name a folder for the results of others.")
    if source.is_dir():
        source = pattern_of(source)
    if is_pattern(source):
        numbers(source)
    if not is_pattern(Path(name)) and result_path(Path(name), encoding) != Path(name):
        raise UsageError(f"{name} cannot hold that codec.", "Choose .mkv, or another codec.")
    return Job.of(source, Path(name), video=True)


def _numbered(pattern: Path) -> list[Path]:
    return [pattern] if pattern.exists() else [numbered_file(pattern, number) for number in numbers(pattern)]


def side_by_side_path(compare: Path, job: Job) -> Path:
    """Where an image's side-by-side view goes."""
    return _named_after(compare, job, ".png")


def _named_after(folder: Path, job: Job, suffix: str) -> Path:
    """NAME and a suffix, shortened where that is longer than file systems take."""
    name = job.relative.name + suffix
    if len(os.fsencode(name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        name = f"{os.fsdecode(os.fsencode(name)[:200])}-{digest}{suffix}"
    return folder / job.relative.with_name(name)


def destinations(
    jobs: list[Job], out: Path, compare: Path | None, report: Path | None, blur_out: Path | None = None
) -> Iterator[tuple[str, str, Job | None]]:
    """Every file that a run writes, what it is, and of which job."""
    for job in jobs:
        yield os.path.join(out, job.target), "result", job
        if compare is not None and not job.video:
            yield str(side_by_side_path(compare, job)), "side-by-side view", job
        for path in blur_paths(blur_out, job):
            yield str(path), "blur", job
    if report is not None:
        yield str(report), "report", None


def blur_paths(blur_out: Path | None, job: Job) -> list[Path]:
    """Where an image's blur goes, as values and as a picture; nowhere if there is no folder, and for videos."""
    return [] if blur_out is None or job.video else [_named_after(blur_out, job, end) for end in (VALUES, PICTURE)]


def _describe(kind: str, job: Job | None) -> str:
    return kind if job is None else f"{kind} of {job.source}"
