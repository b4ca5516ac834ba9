"""Decide which pairs a set gets, and where each of them goes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.discover import Job, check_apart, find_images, real_path

NAMES = "surrogateescape"  # how bytes of names that are no text are encoded


@dataclass(frozen=True)
class PlannedPair:
    """A pair that the set should have."""

    job: Job
    """The sharp original."""
    part: str
    name: str
    """Path of both images below their folders."""
    copy: int
    """Which of several blurs of the same image or sequence."""

    @property
    def key(self) -> str:
        """The pair's name in records and reports."""
        return f"{self.part}/{self.name}"

    def path(self, half: str) -> str:
        """Path of one of its images below the set's folder; `half` is blur or sharp."""
        return f"{self.part}/{half}/{self.name}"


def plan_pairs(
    inputs: Iterable[Path],
    out: Path,
    split: Mapping[str, int] | None,
    per_image: int,
    seed: int,
    excluded: Iterable[Path] = (),
) -> list[PlannedPair]:
    """All pairs of a set, sorted by part and original.

    Args:
        inputs: sharp images, folders of them, patterns.
        out: the set's folder; may lie inside an input.
        split: images of every part; None puts all into the part "all". The seed and the images' names put them in a
            random order, from which the parts take in the order of *their* names: the test part is the same however
            large the training part is, and an image that comes or goes moves at most one other from part to part.
        per_image: blurs of each image.
        seed: decides the split.
        excluded: folders that are not searched, beside `out`.

    Raises:
        UsageError: no images, fewer than the split asks for, or an image that would replace an original.
    """
    if per_image < 1:
        raise UsageError(f"`per_image` must be at least 1, not {per_image}.")
    inputs = list(inputs)
    check_apart(inputs, [out])
    jobs = find_images(inputs, [out, *excluded])
    if not jobs:
        raise UsageError("There is no image.", "PNG, JPEG, WebP, TIFF or BMP are read.")
    stems = [job.relative.with_suffix("").as_posix() for job in jobs]
    # A stem that several share, or that is another image's whole name, gives way to the whole name.
    uses = Counter([*stems, *(job.relative.as_posix() for job in jobs if job.relative.suffix)])
    names = {job: stem if uses[stem] == 1 else job.relative.as_posix() for job, stem in zip(jobs, stems, strict=True)}
    pairs = [
        PlannedPair(job, part, f"{names[job]}{f'_{copy}' if per_image > 1 else ''}.png", copy)
        for part, job in sorted(assign_parts(jobs, split, seed), key=lambda item: (item[0], item[1].relative))
        for copy in range(per_image)
    ]
    originals = {real_path(job.source) for job in jobs}
    for pair in pairs:
        for path in (out / pair.path("blur"), out / pair.path("sharp")):
            if real_path(path) in originals:
                raise UsageError("The pair would replace an original.", "Choose another folder for the set.", path)
    return pairs


def assign_parts(jobs: list[Job], split: Mapping[str, int] | None, seed: int) -> list[tuple[str, Job]]:
    """The part of every job that gets into one, see `plan_pairs`.

    Raises:
        UsageError: the split names no folder, or asks for more jobs than there are.
    """
    if split is None:
        return [("all", job) for job in jobs]
    for part, count in split.items():
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            raise UsageError(f"`split` cannot name a part '{part}'.", "A part is the name of a folder, e.g. train.")
        if count < 1:
            raise UsageError(f"`split` asks for {count} images of {part}.", "Ask for at least 1.")
    if sum(split.values()) > len(jobs):
        raise UsageError(
            f"`split` asks for {sum(split.values())} images, but there are {len(jobs)}.",
            "Ask for fewer; `per_image` makes several pairs of each.",
        )
    order = iter(sorted(jobs, key=lambda job: draw_digest(seed, job.relative.as_posix())))
    return [(part, next(order)) for part in sorted(split) for _ in range(split[part])]


def draw_digest(seed: int, name: str) -> bytes:
    """Random bytes that depend on the seed and a name alone, so that other images change nothing."""
    return hashlib.sha256(f"{seed}|{name}".encode(errors=NAMES)).digest()
