"""Where fetched weights are kept, and how processes that fetch at once keep out of each other's way."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from restorekit.errors import UnwritableOutput
from restorekit.runtime.atomic import write_atomically


def cache_folder() -> Path:
    """Where fetched files are kept: $RESTOREKIT_CACHE, or the system's place for such files."""
    chosen = os.environ.get("RESTOREKIT_CACHE")
    return Path(chosen) if chosen else user_cache_path("restorekit", appauthor=False)


def weights_path(model: str, file: str) -> Path:
    """Where a fetched weights file of a model is kept."""
    return cache_folder() / "weights" / model / file


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process writes `path`, then keep others waiting. The system ends the lock with the process.

    Raises:
        UnwritableOutput: the folder cannot be made or written.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write below the cache folder into an error that names `path`.

    Raises:
        UnwritableOutput: no permission, no space, no such place.
    """
    try:
        yield
    except OSError as error:
        raise UnwritableOutput(
            f"The cache cannot be written ({error.strerror or error}).",
            "Make room, or name another place in RESTOREKIT_CACHE.",
            path,
        ) from error


def recorded_sha256(path: Path) -> str | None:
    """The hash that a file had when it was fetched, where its publisher states none; None if it was never recorded."""
    record = _record(path)
    return record.read_text(encoding="ascii", errors="replace").strip() if record.is_file() else None


def record_sha256(path: Path, sha256: str) -> None:
    """Keep the hash of a file whose publisher states none, to find later damage.

    Raises:
        UnwritableOutput: the folder cannot be written.
    """
    write_atomically(_record(path), f"{sha256}\n".encode("ascii"))


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
