"""Keep what libraries say of damaged files off the terminal: the command says it once, in words, with the file's name."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2  # its descriptor


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Let only Python write to standard error, without what Pillow and tifffile log and warn of.

    libpng, libtiff and OpenCV write to the descriptor itself, which leads nowhere meanwhile; `sys.stderr` has another.
    SVT-AV1 is asked to tell errors alone, unless the user has asked for something else.
    """
    os.environ.setdefault("SVT_LOG", "1")
    for name in ("PIL", "tifffile"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        before = sys.stderr
        if not _writes_to_descriptor(before):
            yield
            return
        before.flush()
        shown = os.dup(STDERR)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), STDERR)
        with open(shown, "w", buffering=1, encoding=before.encoding, errors=before.errors) as sys.stderr:
            try:
                yield
            finally:
                os.dup2(shown, STDERR)
                sys.stderr = before


def _writes_to_descriptor(stream: object) -> bool:
    try:
        return stream.fileno() == STDERR  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError):  # a program that uses the command line has put something else there
        return False
