"""Write files whole or not at all: beside their place first, synced to the disk, then renamed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restorekit.errors import UnwritableOutput

SUFFIX = ".part"
"""Ends the names of files that are still being written."""


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
    beside = path.with_name(f".{secrets.token_hex(6)}{SUFFIX}")  # a name of its own, short enough for any file system
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _sync(beside)
        os.replace(beside, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UnwritableOutput(
            f"The file cannot be written ({error.strerror or error}).",
            "Make room or choose another place; running again continues.",
            path,
        ) from error
    finally:
        with suppress(OSError):  # where nothing can be written nothing was left either
            beside.unlink(missing_ok=True)


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
