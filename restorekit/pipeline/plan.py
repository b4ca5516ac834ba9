"""Decide which images a run restores, and where their results go."""

from collections.abc import Iterable
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.discover import Job, find_images


def plan_files(inputs: Iterable[Path], out: Path, compare: Path | None = None) -> list[Job]:
    """The images of a run, in the order of their results' paths.

    Args:
        inputs: files, folders (with everything below) or patterns.
        out: where results go; may lie inside an input.
        compare: where side-by-side images go; may lie inside an input.

    Raises:
        UsageError: an input does not exist, there is no image, or a result would replace an input.
    """
    inputs = list(inputs)
    jobs = [job for job in find_images(inputs, out) if compare is None or not _inside(job.source, compare)]
    if not jobs:
        raise UsageError(
            f"No image was found in {', '.join(map(str, inputs))}.", "PNG, JPEG, WebP, TIFF or BMP are read."
        )
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if (out / job.relative).resolve() in sources:
            raise UsageError("The result would replace an input.", "Choose another output folder.", out / job.relative)
    return jobs


def side_by_side_path(compare: Path, job: Job) -> Path:
    """Where an image's side-by-side view goes."""
    return compare / job.relative.with_name(job.relative.name + ".png")


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
