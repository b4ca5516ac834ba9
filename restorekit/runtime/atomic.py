"""Write files whole or not at all: beside their place first, synced to the disk, then renamed."""

import errno
import os
import platform
import secrets
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restorekit.errors import UnwritableOutput

SUFFIX = ".part"
"""Ends the names of files that are still being written. They begin with a dot, the machine and the process."""
HOST = f"{zlib.crc32(platform.node().encode()):08x}"
NO_ROOM = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS") if hasattr(errno, name)}
LEFT_ALONE = 86_400  # seconds after which a leftover counts as dead where processes cannot be asked


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and put what was written there into its place.

    The temporary name is unique, so two writers of one file do not meet: the last one wins with a whole file. A new file has
    the permissions that the user's umask gives to new files.

    Args:
        path: the file to make or replace; missing folders are made.

    Yields:
        An absent file in the same folder. It is synced and renamed at the end, or removed where anything was raised.

    Raises:
        UnwritableOutput: no permission, no space, no such place. Nothing is left behind.
    """
    beside = name_beside(path)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            put_in_place(beside, path)
    finally:
        with suppress(OSError):  # where nothing can be written nothing was left either
            beside.unlink(missing_ok=True)


def name_beside(path: Path) -> Path:
    """A name of its own in the same folder, short enough for any file system; see `remove_leftovers`."""
    return path.with_name(f".{HOST}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says against writing a file, as `UnwritableOutput`."""
    try:
        yield
    except OSError as error:
        raise UnwritableOutput(
            f"The file cannot be written ({error.strerror or error}).",
            "Make room or choose another place; running again continues.",
            path,
        ) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all.

    Args:
        path: the file to make or replace; missing folders are made.
        data: its content.

    Raises:
        UnwritableOutput: see `replacing`.
    """
    with replacing(path) as beside:
        beside.write_bytes(data)


def put_in_place(finished: Path, path: Path) -> None:
    """Sync a finished file to the disk and rename it.

    Args:
        finished: on the same file system as `path`.
        path: its final name; a file of that name is replaced.

    Raises:
        OSError: no permission, no space.
    """
    _sync(finished)
    os.replace(finished, path)
    _sync_folder(path.parent)


def no_room_left(error: Exception) -> bool:
    """Whether the next file would meet the same error of the disk: it is full, or became read-only."""
    cause = error.__cause__
    return isinstance(error, UnwritableOutput) and isinstance(cause, OSError) and cause.errno in NO_ROOM


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes of this machine left half written in a folder; what others still write stays.

    Args:
        folder: not searched below; it may be absent.
    """
    with suppress(OSError):  # a path that is too long; another run may remove a leftover as well
        for leftover in folder.glob(f".{HOST}-*-*{SUFFIX}"):
            process = leftover.name.split("-")[1]
            if not process.isdecimal() or not _is_writing(int(process), leftover):
                leftover.unlink(missing_ok=True)


def _is_writing(process: int, path: Path) -> bool:
    if sys.platform == "win32":  # a signal would end the process there instead of asking for it
        return time.time() - path.stat().st_mtime < LEFT_ALONE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _sync(path: Path) -> None:
    """Wait until a file's content is on the disk: a rename alone may survive a power cut that its content does not."""
    descriptor = os.open(path, os.O_RDWR)  # Windows cannot sync what is open for reading only
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """The same for the name, where the system can open a folder."""
    with suppress(OSError):  # Windows cannot, and some network file systems
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
