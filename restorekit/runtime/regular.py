"""Open files of others: a pipe lets its reader wait, a device has no end, and a link may lead to what must not change."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        OSError: it cannot be read, or is a folder, pipe, socket or device.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()  # where a folder cannot be searched, this says why
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return open(path, "rb", opener=_open_without_waiting)


def read_regular(path: Path, most: int) -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        OSError: as `open_regular`, or it is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size  # what grows meanwhile, or states no size as /proc does, is not followed
        if size > most:
            raise OSError(errno.EFBIG, f"it has {size} bytes, more than the {most} that are read", str(path))
        return file.read(size)


def _open_without_waiting(path: str, flags: int) -> int:
    """Whatever has taken the file's place since it was looked at."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def open_without_following(path: str, flags: int) -> int:
    """An `opener` for files to write: it follows no link and does not wait for a reader.

    Raises:
        OSError: the path is a link, or a pipe that nobody reads.
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
