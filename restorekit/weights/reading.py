"""Failures to read a weights file, of whatever kind it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restorekit.errors import WeightsError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a failure to read a weights file into an error that names it.

    Raises:
        WeightsError: there is no such file, or it cannot be read.
    """
    try:
        if not path.is_file():
            raise WeightsError("There is no such weights file.", "Check its name.", path)
        yield
    except OSError as error:
        raise WeightsError(f"The file cannot be read ({error.strerror or error}).", "", path) from None
